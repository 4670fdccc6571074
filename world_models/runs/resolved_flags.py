"""What the flags of a run come to: the command line's values, else the preset's, else the specification's defaults."""

from __future__ import annotations

import argparse
import re
from typing import Any

from world_models import budgets
from world_models.configs.presets import Preset, preset
from world_models.envs.env_kwargs import parse_env_kwargs
from world_models.envs.registry import env_spec
from world_models.runs.kept_environment import kept_env_kwargs
from world_models.runs.overrides import with_overrides

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
