"""`python -m world_models.training.train_world_model`: the specification's training command, of `commands/train.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from world_models.commands.train import main, train_world_model

if TYPE_CHECKING:
    from world_models.runs.collection import generate_rollouts
    from world_models.runs.evaluation import test_trained_model

__all__ = ["generate_rollouts", "main", "test_trained_model", "train_world_model"]


def __getattr__(name: str) -> Any:
    """The documented functions, imported when they are asked for, and PyTorch with them: --help needs none."""
    if name == "generate_rollouts":
        from world_models.runs.collection import generate_rollouts

        return generate_rollouts
    if name == "test_trained_model":
        from world_models.runs.evaluation import test_trained_model

        return test_trained_model
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


if __name__ == "__main__":
    raise SystemExit(main())
