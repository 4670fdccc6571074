"""`world-models watch`: see the trained agent drive, and what V sees and M dreams."""

from __future__ import annotations

import argparse

from world_models.commands.evaluate import add_environment
from world_models.commands.flags import Flags
from world_models.envs.choices import EVALUATION_SEED


def add(parser: argparse.ArgumentParser) -> None:
    """Its flags."""
    flags = Flags(parser)
    flags.add("run", "--logdir", required=True, metavar="DIR", help="the run's folder")
    flags.add(
        "episodes",
        "--seed",
        type=int,
        default=EVALUATION_SEED,
        metavar="N",
        help="of the first episode; R goes on to the next",
    )
    flags.add(
        "episodes", "--time_limit", type=int, metavar="N", help="longest episode", unit="steps",
        usually="the environment's, else 1000",
    )  # fmt: skip
    flags.add("dream", "--temperature", type=float, default=1.0, metavar="T", help="above 0; more is less certain")
    flags.add(
        "dream", "--dream_steps", type=int, default=50, metavar="N", unit="steps",
        help="that a dream goes on alone before it starts from reality again; 0: no dream",
    )  # fmt: skip
    add_environment(flags)
    flags.add("output", "--out", metavar="FILE", help="a video (.mp4) in place of a window", usually="a window")
    parser.set_defaults(work=_watch)


def _watch(args: argparse.Namespace) -> None:
    from world_models.report.watch import Watch, watch
    from world_models.runs.evaluation import run_recipe
    from world_models.runs.pipeline import require_run

    require_run(args.logdir)
    recipe = run_recipe(args.logdir, args.env, args.backend, args.time_limit, args.env_kwargs)
    watch(Watch(recipe, args.seed, args.temperature, args.dream_steps, args.out))
