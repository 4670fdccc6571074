"""`world-models collect`: write rollouts into --data_dir."""

from __future__ import annotations

import argparse

from world_models.commands.flags import add_training_flags


def add(parser: argparse.ArgumentParser) -> None:
    """Its flags."""
    add_training_flags(parser)
    parser.set_defaults(work=_collect)


def _collect(args: argparse.Namespace) -> None:
    from world_models.runs.resolve import resolve
    from world_models.runs.rounds import Run

    Run(resolve(args)).collect()
