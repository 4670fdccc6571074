"""What `settings.json` keeps of a run as a whole, and how a run is repeated from it."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from world_models.configs.presets import Preset
from world_models.errors import ConfigError, DataError
from world_models.runs.settings import RunSettings
from world_models.typed import kinds_of, renamed
from world_models.utils.run_settings import FILE_NAME, read_settings, write_settings
from world_models.utils.versions import versions

# Where a run lies, what it is asked for besides training, and where it computes are the next run's own.
_OF_ONE_RUN = ("data_dir", "logdir", "noreload", "nosamples", "stage", "generate_only", "test", "device")


@dataclass
class Earlier:
    """A run to be repeated.

    Attributes:
        given: What its command line said, by flag.
        table: Its preset, with what `--set` had changed.
        settings: All of its flags as they were resolved.
    """

    given: dict[str, Any]
    table: Preset
    settings: dict[str, Any]


def note_run(args: argparse.Namespace, env_id: str, device: str) -> None:
    """Writes what a run is asked for as a whole into its settings.json; each stage notes its own when it begins."""
    asked = {name: getattr(args, name) for name in kinds_of(RunSettings) if name not in _OF_ONE_RUN}
    asked |= {"env": env_id, "env_kwargs": dict(args.env_kwargs), "device": device}
    asked |= {f"dream_{name}": value for name, value in args.table.dream.items()}
    write_settings(args.logdir, "run", asked)
    given = {
        name: args.given[name]
        for name in (*kinds_of(RunSettings), "env_kwargs")
        if name not in _OF_ONE_RUN and args.given.get(name) is not None
    }
    line = " ".join(
        f"--{name} {value if isinstance(value, str) else json.dumps(value)}" for name, value in given.items()
    )
    write_settings(args.logdir, "repeat", {"given": given, "preset": asdict(args.table)}, made_on=False)
    write_settings(args.logdir, "made_by", {"command": line, **_made_by()}, made_on=False)


def earlier_run(path: str | Path) -> Earlier:
    """The run whose settings.json (or folder) this is.

    Raises:
        ConfigError: There is no such file, or it does not tell enough.
        DataError: It is no JSON object of objects.
    """
    file = Path(path) / FILE_NAME if Path(path).is_dir() else Path(path)
    if not file.is_file():
        raise ConfigError(f"--config {path}: there is no such file; name the settings.json of a run.")
    if file.name != FILE_NAME:
        raise ConfigError(f"--config {path}: settings of a run are a file {FILE_NAME}; name it so.")
    parts = read_settings(file.parent)
    if not {"run", "repeat"} <= parts.keys():
        raise ConfigError(
            f"--config {path}: this file does not say all settings of its run (it is of an older version, or of a "
            "stage that was trained alone); give them as flags."
        )
    known = [*kinds_of(RunSettings), "env_kwargs"]
    settings = {name: value for name, value in parts["run"].items() if name in known and name not in _OF_ONE_RUN}
    if settings.get("ctrl_target", 0) is None:  # JSON has no infinity
        settings["ctrl_target"] = float("inf")
    given = {name: value for name, value in renamed(parts["repeat"]["given"], known).items() if name in known}
    try:
        return Earlier(given, Preset.from_tables(parts["repeat"]["preset"]), settings)
    except (TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{file}: repeat.preset is not understood ({error}).") from error


def _made_by() -> dict[str, Any]:
    """The code and the machine that make a run."""
    return {
        "version": versions().get("world-models-torch", "not installed"),
        "commit": commit(),
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "cores": os.cpu_count(),
    }


def commit() -> str | None:
    """The commit of the checkout that this package is used from, with "+" where files have changed; None without."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return None

    def git(*command: str) -> str:
        done = subprocess.run(["git", *command], cwd=root, capture_output=True, text=True, timeout=10, check=True)
        return done.stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", "world_models")
        return git("rev-parse", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return None
