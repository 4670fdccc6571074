"""`world-models train`: collect, train the stages, or drive the trained model, as the specification's command does."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from world_models.commands.flags import add_training_flags
from world_models.utils.console import guarded


def add(parser: argparse.ArgumentParser) -> None:
    """Its flags."""
    add_training_flags(parser)
    parser.set_defaults(work=train_world_model)


def train_world_model(args: argparse.Namespace) -> None:
    """Do what the flags ask for: collect, train the stages, or drive the trained model.

    Raises:
        WorldModelsError: anything that the user can mend, before anything is written.
    """
    from world_models.runs.evaluation import test_trained_model
    from world_models.runs.pipeline import require_run
    from world_models.runs.resolve import resolve
    from world_models.runs.rounds import Run

    args = resolve(args)
    pipeline = Run(args)
    if args.test:
        require_run(args.logdir)
        limits = {"time_limit": args.ctrl_time_limit, "env_kwargs": args.env_kwargs}
        test_trained_model(args.logdir, pipeline.env_id, pipeline.action_size, **limits)
    elif args.generate_only:
        pipeline.collect()
    else:
        pipeline.train()


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="train_world_model", description="Collect data and train V, M and C.")
    add(parser)
    args = parser.parse_args(argv)
    return guarded(lambda: args.work(args))
