"""`<logdir>/settings.json`: what each stage of a run was trained with, written when its training begins.

Checkpoints hold the sizes that loading needs. Learning rates, batch sizes, seeds, budgets stand here, by stage, for
whoever reads the run later, and for `world-models run --config` (`runs.repeat`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from world_models import budgets
from world_models.errors import DataError
from world_models.utils.device import resolve_device
from world_models.utils.precision import arithmetic
from world_models.utils.run_dir import json_value
from world_models.utils.versions import versions

FILE_NAME = "settings.json"
# Where things lay and how loud they were is of no use to another reader, who may be on another machine.
_LEFT_OUT = (
    "logdir",
    "data_dir",
    "refit_from",
    "start_from",
    "warm_start",
    "whitening_rollouts",
    "driving",
    "noreload",
    "nosamples",
    "display",
    "tensorboard",
    "wandb",
)


def write_settings(logdir: str | os.PathLike[str], part: str, values: Mapping[str, Any], made_on: bool = True) -> Path:
    """Puts the settings of one part ("run", "vae", "mdrnn", "ctrl", ...) in place of the last ones, at once.

    Folders and switches of output are left out; with `made_on` the versions of what computes are added, and its
    number format.

    Raises:
        DataError: the file that is there is not JSON.
    """
    path = Path(logdir) / FILE_NAME
    kept = {name: json_value(value) for name, value in values.items() if name not in _LEFT_OUT}
    if made_on:
        number_format = arithmetic(resolve_device(str(values.get("device", "cpu"))))
        kept |= {"arithmetic": number_format, "versions": versions(), **budgets.facts()}
    content = {**read_settings(logdir), part: kept}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    temporary.write_text(json.dumps(content, indent=2, default=str, allow_nan=False) + "\n", encoding="utf-8")
    os.replace(temporary, path)
    return path


def note_settings(logdir: str | os.PathLike[str], part: str, values: Mapping[str, Any], training: bool) -> None:
    """`write_settings`, but a stage that has nothing left to train keeps what it was trained with."""
    if training or part not in read_settings(logdir):
        write_settings(logdir, part, values)


def read_settings(logdir: str | os.PathLike[str]) -> dict[str, dict[str, Any]]:
    """The settings by part; {} where none were written.

    Raises:
        DataError: the file is no JSON object of objects.
    """
    path = Path(logdir) / FILE_NAME
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path}: this is not JSON ({error}); remove the file.") from error
    if not isinstance(content, dict) or not all(isinstance(part, dict) for part in content.values()):
        raise DataError(f"{path}: settings are an object for each stage; remove the file.")
    return content
