"""`world-models doctor`: try an environment, look at data and at a run, say what is wrong."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from world_models.commands.flags import Flags, given_env_kwargs
from world_models.errors import ConfigError, WorldModelsError
from world_models.runs.settings import RunSettings
from world_models.typed import default_of

if TYPE_CHECKING:
    from world_models.envs.contract.probe import Probe
    from world_models.runs.doctor.findings import Findings


def add(parser: argparse.ArgumentParser) -> None:
    """Its flags; one of --env, --data_dir and --logdir is needed."""
    flags = Flags(parser)
    flags.add(
        "environment", "--env", metavar="ID", help="to make and drive for some steps", usually="the run's, the data's"
    )
    flags.add_env_kwargs("the run's, the data's")
    flags.add("environment", "--steps", type=int, default=200, metavar="N", help="to drive it", unit="steps")
    flags.add("files", "--data_dir", metavar="DIR", help="rollouts to look at, or where they shall be", usually="none")
    flags.add("files", "--logdir", metavar="DIR", help="a run to look at, or where it shall be", usually="none")
    flags.add_fields(RunSettings, ["seq_len"], "files")
    flags.add(
        "output", "--out", metavar="FILE", help="write a sheet of the environment's pictures (.png)", usually="none"
    )
    flags.add("output", "--json", action="store_true", default=False, help="all findings as one line of JSON")
    parser.set_defaults(work=doctor)


def doctor(args: argparse.Namespace) -> Findings:
    """Looks, prints, and leaves nothing but the sheet that was asked for.

    Raises:
        WorldModelsError: there is a problem; the lines above it say which.
    """
    _check(args)
    found = examine(args.env, given_env_kwargs(args), args)
    print(json.dumps(found.as_json()) if args.json else f"{found.as_text()}\n\n{found.summary()}")
    if found.problems:
        parts = ", ".join(dict.fromkeys(finding.part for finding in found.problems))
        raise WorldModelsError(f"{found.summary().partition(',')[0]} to mend first: {parts}.")
    return found


def _check(args: argparse.Namespace) -> None:
    if not (args.env or args.data_dir or args.logdir):
        raise ConfigError(
            "There is nothing to look at: give --env ID, --data_dir DIR, --logdir DIR, or several of them."
        )
    for name, value in (("steps", args.steps), ("seq_len", args.seq_len)):
        if value < 1:
            raise ConfigError(f"{name}={value} cannot work: give a whole number of at least 1.")
    if args.out is not None and Path(args.out).suffix.lower() != ".png":
        raise ConfigError(f"out={args.out!r} is no .png file: name it so.")


def examine(env_name: str | None, env_kwargs: dict[str, Any] | None, args: argparse.Namespace) -> Findings:
    """All that the flags name; an environment that they do not name is the run's or the data's."""
    from world_models.envs.registry import canonical_id
    from world_models.runs.doctor.data import look_at_data
    from world_models.runs.doctor.environment import look_at_environment
    from world_models.runs.doctor.findings import Findings
    from world_models.runs.doctor.machine import look_at_folder, look_at_machine
    from world_models.runs.doctor.run import look_at_run
    from world_models.runs.kept_environment import environment_kept

    found = Findings()
    look_at_machine(found)
    data_dir, logdir = (None if each is None else Path(each) for each in (args.data_dir, args.logdir))
    found.part = "Environment"
    name, made_with = env_name, env_kwargs or {}
    with found.looking("which"):
        name, made_with = environment_kept(env_name, env_kwargs, logdir, data_dir)
    probe: Probe | None = None
    if name is not None:
        out = None if args.out is None else Path(args.out)
        probe = look_at_environment(found, name, made_with, args.steps, out, args.seq_len)
    else:
        found.note("which", "neither --env nor the files name one: it is not looked at.")
    own_name = name if probe is None else canonical_id(probe.env_id)
    if data_dir is not None:
        rows = look_at_data(found, data_dir, None if probe is None else probe.action_size, args.seq_len, own_name)
        asked = default_of(RunSettings, "num_rollouts") * (1000 if probe is None else probe.spec.max_steps)
        look_at_folder(found, "--data_dir", data_dir, rows or asked)
    if logdir is not None:
        look_at_run(found, logdir, probe)
        look_at_folder(found, "--logdir", logdir, None)
    return found
