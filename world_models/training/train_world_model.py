"""`python -m world_models.training.train_world_model`: the specification's training command, of `commands/train.py`."""

from __future__ import annotations

from world_models.commands.train import generate_rollouts, main, test_trained_model, train_world_model

__all__ = ["generate_rollouts", "main", "test_trained_model", "train_world_model"]

if __name__ == "__main__":
    raise SystemExit(main())
