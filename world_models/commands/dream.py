"""The flags of `world-models dream train`, `dream evaluate` and `dream table`, and what they do."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

from world_models.configs.presets import PRESETS, preset
from world_models.configs.wm_config import WMControllerConfig
from world_models.envs.env_kwargs import add_env_kwargs
from world_models.envs.registry import env_spec
from world_models.models.dream_rules import PRECISIONS, REWARDS, STARTS, TERMINALS, DreamRules
from world_models.models.load import load_cell
from world_models.runs.dream import environment_of, evaluate_dream, prepare, train_in_dream
from world_models.runs.dream_table import TEMPERATURES, Work, as_markdown, temperature_table
from world_models.runs.evaluation import EVALUATION_SEED, evaluate_recipe, run_recipe
from world_models.training.train_controller import ControllerResult
from world_models.utils.device import resolve_device

# A preset's settings that are about real episodes, where steps cost something, and its budgets, which are about them
# where its C is not dreamed.
_OF_REALITY = ("backend", "hopeless", "first_horizon", "max_seconds", "max_samples")
_BUDGETS = ("max_env_steps", "phases")
_RULES = ("temperature", "deterministic", "terminal", "threshold", "starts", "reward", "reward_limit", "precision")


def add_dream_command(parser: argparse.ArgumentParser) -> None:
    """`dream train`, `dream evaluate` and `dream table`."""
    commands = parser.add_subparsers(dest="dream_command", required=True)
    train = commands.add_parser("train", help="evolve C inside M")
    _add_common_flags(train)
    _add_train_flags(train)
    train.set_defaults(work=_train)
    score = commands.add_parser("evaluate", help="C's virtual score: its returns in dreams of named seeds")
    _add_common_flags(score)
    score.add_argument("--episodes", type=int, default=100, metavar="N", help="how many (100)")
    score.add_argument("--seed", type=int, default=EVALUATION_SEED, help=f"of the first ({EVALUATION_SEED})")
    score.add_argument("--json", action="store_true", help="one line of JSON with every return, seeds and versions")
    score.set_defaults(work=_evaluate)
    rows = commands.add_parser("table", help="learn in dreams of several temperatures; scores in dream and reality")
    _add_common_flags(rows, temperature=False)
    _add_train_flags(rows, out="the table's folder, with one for each row", needed=True)
    told = " ".join(f"{t:g}" for t in TEMPERATURES)
    rows.add_argument("--temperatures", type=float, nargs="+", default=TEMPERATURES, metavar="T", help=f"({told})")
    rows.add_argument("--episodes", type=int, default=100, metavar="N", help="of each score (100)")
    rows.add_argument("--score_seed", type=int, default=EVALUATION_SEED, help=f"of their first ({EVALUATION_SEED})")
    rows.set_defaults(work=_table)


def _add_common_flags(parser: argparse.ArgumentParser, temperature: bool = True) -> None:
    add, rules = parser.add_argument, DreamRules()
    add("--logdir", required=True, help="the run's folder, with V and M")
    add("--data_dir", metavar="DIR", help="rollouts to make M's starts from, where they are missing")
    add("--env", metavar="ID", help="another environment than M's data say")
    add_env_kwargs(parser, "what that is made with (M's data's)")
    if temperature:
        add("--temperature", type=float, default=rules.temperature, metavar="T", help="above 0; more is less sure (1)")
    add("--deterministic", action="store_true", help="the limit of temperature 0: the likeliest component's mean")
    add("--terminal", choices=TERMINALS, default=rules.terminal, help="what ends a dream beside the step limit (auto)")
    add("--threshold", type=float, default=rules.threshold, metavar="P", help="of --terminal threshold (0.5)")
    add("--starts", choices=STARTS, default=rules.starts, help="first frames, after a real sequence, or both (both)")
    add("--reward", choices=REWARDS, default=rules.reward, help="M's, or 1 a step survived (predicted)")
    add("--reward_limit", type=float, default=0.0, metavar="X", help="largest absolute reward of a step (0: none)")
    add("--precision", choices=PRECISIONS, default=rules.precision, help="of M's matrix products (auto)")
    add("--max_steps", type=int, metavar="N", help="of a dream (the environment's)")
    add("--workers", type=int, metavar="N", help="processes (one a core; a GPU has one)")
    add("--lanes", type=int, default=256, metavar="N", help="dreams of one batch in a worker (256; a GPU wants more)")


def _add_train_flags(
    parser: argparse.ArgumentParser,
    out: str = "another folder for C: V and M are copied there (logdir)",
    needed: bool = False,
) -> None:
    add = parser.add_argument
    add("--out", metavar="DIR", required=needed, help=out)
    add("--preset", metavar="NAME", default="default", help=f"C's settings: {', '.join(PRESETS)}")
    add("--generations", type=int, default=200, metavar="N", help="to have had in all (200)")
    add("--pop_size", type=int, default=64, metavar="N", help="candidates a generation (64)")
    add("--samples", type=int, default=16, metavar="N", help="dreams a candidate (16)")
    add("--components", type=int, metavar="N", help="whitened components to search in; 0: C's own parameters")
    add("--sigma", type=float, metavar="X", help="the first step size")
    add("--target", type=float, default=math.inf, metavar="X", help="stop at this virtual return")
    add("--pessimism", type=float, default=0.0, metavar="X", help="standard deviations taken off a mean return (0)")
    add("--eval_every", type=int, default=10, metavar="N", help="generations between re-evaluations (10)")
    add("--eval_episodes", type=int, default=64, metavar="N", help="their dreams (64)")
    add("--seed", type=int, default=0, help="of the search and its dreams (0)")
    add("--device", default="cpu", help="cpu, cuda, ... (cpu)")
    add("--noreload", action="store_true", help="start anew, whatever C lies there")


def _rules(args: argparse.Namespace) -> DreamRules:
    return DreamRules(**{name: getattr(args, name) for name in _RULES})


def _train(args: argparse.Namespace) -> None:
    result = _learn(args, _rules(args))
    print(
        f"{result.best}: {result.best_return:.1f} in the dream after {result.generations} generations, "
        f"{result.env_steps} dreamed steps"
    )


def _learn(args: argparse.Namespace, rules: DreamRules) -> ControllerResult:
    table = preset(args.preset)
    folder = prepare(args.logdir, args.data_dir, args.out, args.seed)
    cell = load_cell(folder)
    name, made_with = environment_of(folder, args.env, args.env_kwargs)
    spec = env_spec(name, made_with)
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
        extra=_settings(args, {name: value for name, value in table.ctrl.items() if name not in left_out})
        | {"env_kwargs": made_with},
        **({} if args.workers is None else {"max_workers": args.workers}),
    )
    return train_in_dream(config, rules, args.pessimism)


def _table(args: argparse.Namespace) -> None:
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
