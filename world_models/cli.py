"""The `world-models` command: run | collect | train | evaluate | dream | report | export | watch | doctor."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

from world_models.commands.doctor import add_doctor_flags
from world_models.commands.dream import add_dream_command
from world_models.commands.export import add_export
from world_models.commands.train import train_world_model
from world_models.commands.training_flags import add_training_flags
from world_models.envs.env_kwargs import add_env_kwargs
from world_models.report.watch import Watch, add_watch_flags, watch
from world_models.rollout.driver import BACKENDS
from world_models.runs.evaluation import EVALUATION_SEED, evaluate_recipe, run_recipe
from world_models.runs.pack import pack_run
from world_models.runs.pipeline import require_run
from world_models.runs.report import add_report_flags, report_run
from world_models.runs.resolved_flags import resolve
from world_models.runs.rounds import Run
from world_models.utils.console import guarded


def _run(args: argparse.Namespace) -> None:
    Run(resolve(args)).run(args.episodes)


def _collect(args: argparse.Namespace) -> None:
    Run(resolve(args)).collect()


def _evaluate(args: argparse.Namespace) -> None:
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


def _report(args: argparse.Namespace) -> None:
    print(
        report_run(args.logdir, args.data_dir, args.out, seed=args.seed, video=args.video, env_kwargs=args.env_kwargs)
    )


def _watch(args: argparse.Namespace) -> None:
    require_run(args.logdir)
    recipe = run_recipe(args.logdir, args.env, args.backend, args.time_limit, args.env_kwargs)
    watch(Watch(recipe, args.seed, args.temperature, args.dream_steps, args.out))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="world-models", description="World Models: V sees, M remembers, C drives.")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="collect, train V, M and C, score and report, in one go")
    add_training_flags(run)
    run.add_argument("--episodes", type=int, default=16, metavar="N", help="of the final score (16)")
    run.set_defaults(work=_run)
    collect = commands.add_parser("collect", help="write rollouts into --data_dir")
    add_training_flags(collect)
    collect.set_defaults(work=_collect)
    train = commands.add_parser("train", help="the specification's training command")
    add_training_flags(train)
    train.set_defaults(work=train_world_model)
    _add_evaluate(commands.add_parser("evaluate", help="the score of a trained run"))
    add_dream_command(commands.add_parser("dream", help="train C inside M, or score it there"))
    report = commands.add_parser("report", help="one HTML page of a run")
    add_report_flags(report)
    report.set_defaults(work=_report)
    export = commands.add_parser("export", help="ONNX graphs, the page to dream in, or a run to pass on")
    add_export(export, run_recipe, pack_run)
    add_doctor_flags(
        commands.add_parser("doctor", help="try an environment, look at data and at a run, say what is wrong")
    )
    watching = commands.add_parser("watch", help="see the trained agent drive, and what V sees and M dreams")
    add_watch_flags(watching, EVALUATION_SEED)
    watching.set_defaults(work=_watch)
    return parser


def _add_evaluate(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--logdir", required=True, help="the run's folder")
    add("--episodes", type=int, default=16, metavar="N", help="how many (16)")
    add(
        "--seed",
        type=int,
        default=EVALUATION_SEED,
        help=f"of the first; the others follow ({EVALUATION_SEED})",
    )
    add("--backend", choices=BACKENDS, default="gymnasium", help="reported scores are Gymnasium's")
    add("--env", metavar="ID", help="another environment than the controller's")
    add_env_kwargs(parser, "what that is made with (the controller's)")
    add("--time_limit", type=int, help="steps of an episode at most (the environment's; 1000)")
    add("--workers", type=int, help="processes (one a core)")
    add("--json", action="store_true", help="one line of JSON with every return, seeds and versions")
    parser.set_defaults(work=_evaluate)


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code: 0, 2 for a mistake that a sentence explains, 130 after Ctrl-C."""
    args = _parser().parse_args(argv)
    return guarded(lambda: args.work(args))


if __name__ == "__main__":
    raise SystemExit(main())
