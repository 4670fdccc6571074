"""What a run's settings come to: the command line's, else the preset's, else the specification's defaults.

With `--config RUN/settings.json` the settings are those of an earlier run, and the command line counts before them.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

from world_models import budgets
from world_models.configs.presets import Preset, preset
from world_models.envs.env_kwargs import parse_env_kwargs
from world_models.envs.registry import env_spec
from world_models.errors import ConfigError
from world_models.runs.kept_environment import kept_env_kwargs
from world_models.runs.repeat import Earlier, earlier_run
from world_models.runs.settings import RunSettings
from world_models.runs.stages import read_stages, with_overrides
from world_models.typed import check, default_of, kinds_of


def resolve(
    args: argparse.Namespace, table: Preset | None = None, earlier: Earlier | None = None
) -> argparse.Namespace:
    """Fill in what was not given: the values of `table` (by default the preset's), then the defaults.

    `args.given` keeps what there was before, `args.table` the table, `args.earlier` the run to repeat.

    Raises:
        ConfigError: Names every setting that cannot work. EnvironmentNameError: The environment is unknown.
    """
    if table is None and getattr(args, "config", None) is not None:
        earlier = _with_earlier(args)
    args.given, args.earlier = dict(vars(args)), earlier
    args.preset = args.preset or default_of(RunSettings, "preset")
    if table is None:
        base = preset(args.preset) if earlier is None else earlier.table
        table = with_overrides(base, getattr(args, "set", None) or ())
    args.table = table
    _fill_in(args, table, {} if earlier is None else earlier.settings)
    _, wrong = check(RunSettings, {name: getattr(args, name, None) for name in kinds_of(RunSettings)})
    try:
        read_stages(table)
    except ConfigError as error:
        wrong.append(str(error))
    if wrong:
        raise ConfigError("; ".join(wrong))
    for name in ("rounds", "seq_len", "ctrl_time_limit"):  # the others where they are used
        setattr(args, name, budgets.at_most(name, getattr(args, name)))
    return args


def _with_earlier(args: argparse.Namespace) -> Earlier:
    """The run of `--config`; what its command line said is taken over where this one says nothing."""
    for name, why in (("preset", "which has the settings of its own"), ("logdir", "the folder of the new run")):
        if (getattr(args, name) is None) == (name == "logdir"):
            word = "give" if name == "logdir" else "leave out"
            raise ConfigError(f"--config {args.config}: {word} --{name}, {why}.")
    earlier = earlier_run(args.config)
    if args.env is not None and args.env != earlier.settings.get("env"):
        earlier.settings.pop("env_kwargs", None)
        earlier.given.pop("env_kwargs", None)
    for name, value in earlier.given.items():
        if getattr(args, name, None) is None:
            setattr(args, name, value)
    args.data_dir = args.data_dir or str(Path(args.logdir) / "rollouts")  # where no later round has added to them
    return earlier


def _fill_in(args: argparse.Namespace, table: Preset, earlier: dict[str, Any]) -> None:
    flags = {**earlier, **table.flags}
    if args.rounds is None:
        args.rounds = 1 + len(table.rounds)
    args.env = args.env or flags.get("env", default_of(RunSettings, "env"))
    folder = re.split("[/:]", args.env)[-1].rsplit("-v", 1)[0].lower()
    args.data_dir = args.data_dir or f"./data/{folder}"
    args.logdir = args.logdir or f"./results/{folder}"
    asked = getattr(args, "env_kwargs", None)
    asked = earlier.get("env_kwargs") if asked is None else asked
    kept = None if asked is not None else kept_env_kwargs(args.env, args.logdir, args.data_dir)
    args.env_kwargs = parse_env_kwargs(asked) if kept is None else kept
    steps = env_spec(args.env, args.env_kwargs).max_steps
    for name in kinds_of(RunSettings):
        if getattr(args, name, None) is None:
            usual = steps if name in ("ctrl_time_limit", "rollout_len") else default_of(RunSettings, name)
            setattr(args, name, flags.get(name, usual))
