"""The flags of `world-models dream train`, `dream evaluate` and `dream table`, and what they do."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from world_models.commands.flags import Flags
from world_models.configs.presets import PRESETS, preset
from world_models.envs.choices import EVALUATION_SEED
from world_models.models.dream_rules import TEMPERATURES, DreamRules
from world_models.search.settings import ControllerSettings
from world_models.typed import kinds_of, renamed

if TYPE_CHECKING:
    from world_models.training.train_controller import ControllerResult

# A preset's settings that are about real episodes, where steps cost something, and its budgets, which are about them
# where its C is not dreamed.
_OF_REALITY = ("backend", "early_termination", "initial_horizon", "max_seconds", "max_samples")
_BUDGETS = ("max_env_steps", "phases")
_RULES = ("temperature", "deterministic", "terminal", "threshold", "starts", "reward", "reward_limit", "precision")


def add(parser: argparse.ArgumentParser) -> None:
    """`dream train`, `dream evaluate` and `dream table`."""
    commands = parser.add_subparsers(dest="dream_command", required=True)
    train = commands.add_parser("train", help="evolve C inside M")
    flags = _common_flags(train)
    _train_flags(flags)
    train.set_defaults(work=_train)
    score = commands.add_parser("evaluate", help="C's virtual score: its returns in dreams of named seeds")
    flags = _common_flags(score)
    flags.add("score", "--episodes", type=int, default=100, metavar="N", help="how many are dreamed", unit="dreams")
    flags.add("score", "--seed", type=int, default=EVALUATION_SEED, metavar="N", help="of the first; others follow")
    flags.add(
        "score", "--json", action="store_true", default=False,
        help="one line of JSON with every return, seeds and versions",
    )  # fmt: skip
    score.set_defaults(work=_evaluate)
    rows = commands.add_parser("table", help="learn in dreams of several temperatures; scores in dream and reality")
    flags = _common_flags(rows, _RULES[1:])
    _train_flags(flags, out="the table's folder, with one for each row", needed=True)
    flags.add(
        "score", "--temperatures", type=float, nargs="+", default=TEMPERATURES, metavar="T", help="one a row",
        usually=" ".join(f"{t:g}" for t in TEMPERATURES),
    )  # fmt: skip
    flags.add("score", "--episodes", type=int, default=100, metavar="N", help="how many give a score", unit="episodes")
    flags.add("score", "--score_seed", type=int, default=EVALUATION_SEED, metavar="N", help="of their first")
    rows.set_defaults(work=_table)


def _common_flags(parser: argparse.ArgumentParser, rules: Sequence[str] = _RULES) -> Flags:
    flags = Flags(parser)
    flags.add("run", "--logdir", required=True, metavar="DIR", help="the run's folder, with V and M")
    flags.add("run", "--data_dir", metavar="DIR", help="rollouts to make missing starts of M from", usually="none")
    flags.add("environment", "--env", metavar="ID", help="Gymnasium id", usually="M's data's")
    flags.add_env_kwargs("M's data's")
    flags.add_fields(DreamRules, rules, "dream")
    flags.add(
        "dream", "--max_steps", type=int, metavar="N", help="longest dream", unit="steps", usually="the environment's"
    )
    flags.add(
        "machine", "--workers", type=int, metavar="N", help="how many dream; a GPU has one", unit="processes",
        usually="one a core",
    )  # fmt: skip
    flags.add(
        "machine", "--lanes", type=int, default=256, metavar="N", help="how many at once in a worker; a GPU wants more",
        unit="dreams",
    )  # fmt: skip
    return flags


def _train_flags(
    flags: Flags, out: str = "another folder for C; V and M are copied there", needed: bool = False
) -> None:
    flags.add("run", "--out", metavar="DIR", required=needed, help=out, usually="logdir")
    flags.add("run", "--preset", metavar="NAME", default="default", help=f"C's settings: {', '.join(PRESETS)}")
    flags.add("run", "--seed", type=int, default=0, metavar="N", help="of the search and its dreams")
    flags.add("run", "--noreload", action="store_true", default=False, help="start anew, whatever C lies there")
    flags.add(
        "C", "--generations", type=int, default=200, metavar="N", help="how many to have had in all", unit="generations"
    )
    flags.add("C", "--pop_size", type=int, default=64, metavar="N", help="population size", unit="candidates")
    flags.add("C", "--samples", type=int, default=16, metavar="N", help="evaluations of a candidate", unit="dreams")
    flags.add(
        "C", "--components", type=int, metavar="N", usually="the preset's, else 0",
        help="whitened components to search in; 0: C's own parameters",
    )  # fmt: skip
    flags.add("C", "--sigma", type=float, metavar="X", help="first step size", usually="the preset's, else the space's")
    flags.add(
        "C", "--target", type=float, default=math.inf, metavar="X", help="virtual return to stop at", unit="reward"
    )
    flags.add(
        "C", "--pessimism", type=float, default=0.0, metavar="X", help="taken off a candidate's mean return",
        unit="standard deviations of its dreams",
    )  # fmt: skip
    flags.add("C", "--eval_every", type=int, default=10, metavar="N", help="between re-evaluations", unit="generations")
    flags.add("C", "--eval_episodes", type=int, default=64, metavar="N", help="of a re-evaluation", unit="dreams")
    flags.add("machine", "--device", default="cpu", metavar="NAME", help="cpu, cuda, ...")


def _rules(args: argparse.Namespace) -> DreamRules:
    return DreamRules(**{name: getattr(args, name) for name in _RULES})


def _train(args: argparse.Namespace) -> None:
    result = _learn(args, _rules(args))
    print(
        f"{result.best}: {result.best_return:.1f} in the dream after {result.generations} generations, "
        f"{result.env_steps} dreamed steps"
    )


def _learn(args: argparse.Namespace, rules: DreamRules) -> ControllerResult:
    from world_models.configs.wm_config import WMControllerConfig
    from world_models.envs.registry import env_spec
    from world_models.models.load import load_cell
    from world_models.runs.dream import environment_of, prepare, train_in_dream

    table = preset(args.preset)
    folder = prepare(args.logdir, args.data_dir, args.out, args.seed)
    cell = load_cell(folder)
    name, made_with = environment_of(folder, args.env, args.env_kwargs)
    spec = env_spec(name, made_with)
    ctrl = renamed(table.ctrl, kinds_of(ControllerSettings))
    left_out = _OF_REALITY if table.dream else _OF_REALITY + _BUDGETS
    config = WMControllerConfig(
        latent_size=cell.latents,
        hidden_size=cell.hiddens,
        action_size=cell.actions,
        env_name=spec.env_id,
        logdir=str(folder),
        n_samples=args.samples,
        pop_size=args.pop_size,
        target_return=args.target,
        time_limit=args.max_steps or spec.max_steps,
        extra=_settings(args, {name: value for name, value in ctrl.items() if name not in left_out})
        | {"env_kwargs": made_with},
        **({} if args.workers is None else {"max_workers": args.workers}),
    )
    return train_in_dream(config, rules, args.pessimism)


def _table(args: argparse.Namespace) -> None:
    from world_models.envs.registry import env_spec
    from world_models.runs.dream import environment_of, prepare
    from world_models.runs.dream_table import Work, as_markdown, temperature_table
    from world_models.runs.evaluation import evaluate_recipe, run_recipe

    prepare(args.logdir, args.data_dir, seed=args.seed)
    name, made_with = environment_of(args.logdir, args.env, args.env_kwargs)
    env_id = env_spec(name, made_with).env_id

    def of(temperature: float, folder: Path) -> argparse.Namespace:
        return argparse.Namespace(**{**vars(args), "temperature": temperature, "out": str(folder)})

    def train(temperature: float, folder: Path) -> None:
        mine = of(temperature, folder)
        _learn(mine, _rules(mine))

    def dreamed(temperature: float, folder: Path) -> dict[str, Any]:
        return _dreamed(of(temperature, folder), folder, args.score_seed, display=True)

    def real(_: float, folder: Path) -> dict[str, Any]:
        recipe = run_recipe(folder, env_id, time_limit=args.max_steps, env_kwargs=made_with)
        return evaluate_recipe(recipe, args.episodes, args.score_seed, args.workers)

    work = Work(train, dreamed, real, args.episodes, args.score_seed)
    print(as_markdown(temperature_table(args.out, args.temperatures, work, env_id), env_id))


def _settings(args: argparse.Namespace, table: dict[str, Any]) -> dict[str, Any]:
    from world_models.utils.device import resolve_device

    given = {name: getattr(args, name) for name in ("components", "sigma") if getattr(args, name) is not None}
    return (
        table
        | given
        | {
            "seed": args.seed,
            "device": str(resolve_device(args.device, strict=True)),
            "max_generations": args.generations,
            "eval_every": args.eval_every,
            "eval_episodes": args.eval_episodes,
            "num_lanes": args.lanes,
            "noreload": args.noreload,
        }
    )


def _dreamed(args: argparse.Namespace, folder: Path, seed: int, display: bool) -> dict[str, Any]:
    from world_models.runs.dream import evaluate_dream

    return evaluate_dream(
        folder,
        _rules(args),
        args.episodes,
        seed,
        env_name=args.env,
        env_kwargs=args.env_kwargs,
        time_limit=args.max_steps,
        workers=args.workers,
        num_lanes=args.lanes,
        display=display,
    )


def _evaluate(args: argparse.Namespace) -> None:
    from world_models.runs.dream import prepare

    rules = _rules(args)
    score = _dreamed(args, prepare(args.logdir, args.data_dir), args.seed, display=not args.json)
    if args.json:
        print(json.dumps({"logdir": args.logdir, **score}))
        return
    heat = "deterministic" if rules.deterministic else f"temperature {rules.temperature:g}"
    print(
        f"{score['env']} (dream, {heat}), {score['episodes']} episodes from seed {args.seed}: {score['mean']:.1f} ± "
        f"{score['std']:.1f} (min {score['min']:.1f}, max {score['max']:.1f}); {score['ended']} ended, "
        f"{score['clamped']} latents had left the data's range"
    )
