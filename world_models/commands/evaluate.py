"""`world-models evaluate`: the score of a trained run."""

from __future__ import annotations

import argparse
import json

from world_models.commands.flags import Flags
from world_models.envs.choices import BACKENDS, EVALUATION_SEED


def add(parser: argparse.ArgumentParser) -> None:
    """Its flags."""
    flags = Flags(parser)
    flags.add("run", "--logdir", required=True, metavar="DIR", help="the run's folder")
    flags.add("episodes", "--episodes", type=int, default=16, metavar="N", help="how many are driven", unit="episodes")
    flags.add("episodes", "--seed", type=int, default=EVALUATION_SEED, metavar="N", help="of the first; others follow")
    flags.add(
        "episodes", "--time_limit", type=int, metavar="N", help="longest episode", unit="steps",
        usually="the environment's, else 1000",
    )  # fmt: skip
    add_environment(flags)
    flags.add(
        "output", "--workers", type=int, metavar="N", help="how many drive", unit="processes", usually="one a core"
    )
    flags.add(
        "output", "--json", action="store_true", default=False,
        help="one line of JSON with every return, seeds and versions",
    )  # fmt: skip
    parser.set_defaults(work=_evaluate)


def add_environment(flags: Flags) -> None:
    """The environment of a trained run, or another one."""
    flags.add("environment", "--env", metavar="ID", help="Gymnasium id", usually="the controller's")
    flags.add_env_kwargs("the controller's")
    flags.add(
        "environment", "--backend", choices=BACKENDS, default="gymnasium",
        help="simulator; reported scores are Gymnasium's",
    )  # fmt: skip


def _evaluate(args: argparse.Namespace) -> None:
    from world_models.runs.evaluation import evaluate_recipe, run_recipe
    from world_models.runs.pipeline import require_run

    require_run(args.logdir)
    recipe = run_recipe(args.logdir, args.env, args.backend, args.time_limit, args.env_kwargs)
    score = evaluate_recipe(recipe, args.episodes, args.seed, args.workers, display=not args.json)
    if args.json:
        print(json.dumps({"logdir": args.logdir, **score}))
        return
    print(
        f"{score['env']} ({score['backend']}), {score['episodes']} episodes from seed {args.seed}: "
        f"{score['mean']:.1f} ± {score['std']:.1f} (min {score['min']:.1f}, max {score['max']:.1f})"
    )
