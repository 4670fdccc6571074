"""`world-models run`: collect, train V, M and C, score and report, in one go."""

from __future__ import annotations

import argparse

from world_models.commands.flags import add_training_flags


def add(parser: argparse.ArgumentParser) -> None:
    """Its flags."""
    add_training_flags(parser, leave_out=())
    parser.set_defaults(work=_run)


def _run(args: argparse.Namespace) -> None:
    from world_models.runs.resolve import resolve
    from world_models.runs.rounds import Run

    args = resolve(args)
    Run(args).run(args.episodes)
