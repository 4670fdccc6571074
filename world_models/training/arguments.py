"""The flags of the training command, written once for both entry points."""

from __future__ import annotations

import argparse
import re
from typing import Any

from world_models import budgets
from world_models.configs.presets import PRESETS, Preset, preset
from world_models.envs.env_kwargs import add_env_kwargs, parse_env_kwargs
from world_models.envs.registry import env_spec
from world_models.rollout.driver import BACKENDS, POLICIES
from world_models.training.kept_environment import kept_env_kwargs
from world_models.training.overrides import with_overrides

# What a flag is when neither the command line nor the preset says: the specification's defaults. Where an
# environment has a cap of its own, it takes the place of the 1,000 steps of `ctrl_time_limit` and `rollout_len`.
DEFAULTS: dict[str, Any] = {
    "env": "CarRacing-v2",
    "device": "auto",
    "latent_size": 32,
    "rnn_hidden": 256,
    "gmm_components": 5,
    "seq_len": 32,
    "vae_epochs": 10,
    "vae_batch_size": 32,
    "vae_lr": 1e-3,
    "rnn_epochs": 30,
    "rnn_batch_size": 16,
    "rnn_lr": 1e-3,
    "ctrl_pop_size": 10,
    "ctrl_samples": 4,
    "ctrl_workers": 32,
    "ctrl_target": 950.0,
    "ctrl_time_limit": 1000,
    "num_rollouts": 1000,
    "rollout_len": 1000,
    "num_workers": 8,
    "policy": "brownian",
    "spread": 0.0,
    "backend": "auto",
    "precompute_latents": True,
    "amp": False,
    "tensorboard": True,
    "wandb": False,
    "seed": 0,
}

_STAGES = ("all", "vae", "rnn", "ctrl")


def add_training_flags(parser: argparse.ArgumentParser) -> None:
    """Every documented flag; a flag that is not given stays None until `resolve` fills it in."""
    add = parser.add_argument
    add("--env", metavar="ID", help="a Gymnasium id (CarRacing-v2, an alias of CarRacing-v3)")
    add_env_kwargs(parser)
    add("--stage", choices=_STAGES, default="all", help="train this stage only (all: collect, then all three)")
    add("--preset", metavar="NAME", default="default", help=f"named settings: {', '.join(PRESETS)}")
    add("--generate_only", action="store_true", help="collect rollouts and stop")
    add("--test", action="store_true", help="drive the trained model instead of training")
    add("--data_dir", metavar="DIR", help="rollouts (./data/<env>)")
    add("--logdir", metavar="DIR", help="checkpoints and logs (./results/<env>)")
    add("--device", help="auto, cpu, cuda, cuda:1, ... (auto)")
    add("--seed", type=int, help="of everything (0)")
    add("--noreload", action="store_true", help="start anew, whatever lies in logdir")
    add("--nosamples", action="store_true", help="no sample sheets of V")
    sizes = (
        ("--latent_size", "Z"),
        ("--rnn_hidden", "R"),
        ("--gmm_components", "K"),
        ("--action_size", "A; by default the environment's"),
        ("--seq_len", "steps of M's sequences"),
        ("--vae_epochs", ""),
        ("--vae_batch_size", ""),
        ("--rnn_epochs", ""),
        ("--rnn_batch_size", ""),
        ("--ctrl_pop_size", "candidates a generation"),
        ("--ctrl_samples", "episodes a candidate"),
        ("--ctrl_workers", "processes at most"),
        ("--ctrl_time_limit", "steps of an episode at most"),
        ("--ctrl_generations", "stop after so many"),
        ("--film_every", "re-evaluations of C between two films of it in TensorBoard (0: no film)"),
        ("--num_rollouts", "files in data_dir"),
        ("--rollout_len", "steps of a rollout at most"),
        ("--num_workers", "processes that collect"),
        ("--num_test_files", "files held out"),
        ("--rounds", "times to drive, add the rollouts, train V and M again and evolve on (with --stage all)"),
    )
    for flag, text in sizes:
        add(flag, type=int, metavar="N", help=text or None)
    numbers = (
        ("--vae_lr", ""),
        ("--rnn_lr", ""),
        ("--ctrl_target", "stop at this return"),
        ("--spread", "of --policy agent: steps of its search about the best controller (0)"),
    )
    for flag, text in numbers:
        add(flag, type=float, metavar="X", help=text or None)
    add("--set", action="append", metavar="STAGE.NAME=VALUE", help="a setting without a flag: ctrl.use_hidden=false")
    add("--policy", choices=POLICIES, help="who drives while collecting (brownian: correlated noise)")
    add("--backend", choices=BACKENDS, help="simulator for collection and evolution (auto)")
    _switch(parser, "precompute_latents", "encode all frames once before M is trained")
    _switch(parser, "amp", "train M in bf16 mixed precision", "--use_amp")
    _switch(parser, "tensorboard", "figures and sample frames for TensorBoard beside the logs (--no_tensorboard: none)")
    _switch(parser, "wandb", "and for Weights & Biases (needs the extra wandb)")


def _switch(parser: argparse.ArgumentParser, name: str, text: str, *others: str) -> None:
    parser.add_argument(f"--{name}", *others, dest=name, action="store_true", default=None, help=text)
    parser.add_argument(f"--no_{name}", dest=name, action="store_false", default=None, help=argparse.SUPPRESS)


def resolve(args: argparse.Namespace, table: Preset | None = None) -> argparse.Namespace:
    """Fill in what was not given: the values of `table` (by default the preset's), then the defaults.

    `args.given` keeps what there was before, `args.table` the table.

    Raises:
        ConfigError: the preset is unknown, or a setting of --set. EnvironmentNameError: the environment is.
    """
    args.given = dict(vars(args))
    args.table = with_overrides(preset(args.preset), getattr(args, "set", None) or ()) if table is None else table
    flags = args.table.flags
    if args.rounds is None:
        args.rounds = 1 + len(args.table.rounds)
    args.env = args.env or flags.get("env", DEFAULTS["env"])
    folder = re.split("[/:]", args.env)[-1].rsplit("-v", 1)[0].lower()
    args.data_dir = args.data_dir or f"./data/{folder}"
    args.logdir = args.logdir or f"./results/{folder}"
    asked = getattr(args, "env_kwargs", None)
    kept = None if asked is not None else kept_env_kwargs(args.env, args.logdir, args.data_dir)
    args.env_kwargs = parse_env_kwargs(asked) if kept is None else kept
    steps = env_spec(args.env, args.env_kwargs).max_steps
    for name, value in {**DEFAULTS, "ctrl_time_limit": steps, "rollout_len": steps}.items():
        if getattr(args, name, None) is None:
            setattr(args, name, flags.get(name, value))
    for name in ("rounds", "seq_len", "ctrl_time_limit"):  # the others where they are used
        setattr(args, name, budgets.at_most(name, getattr(args, name)))
    return args
