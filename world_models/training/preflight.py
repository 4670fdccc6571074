"""What is known to fail later is refused at once, before anything is written."""

from __future__ import annotations

import argparse
from pathlib import Path

from world_models.configs.wm_config import WMControllerConfig
from world_models.datasets.rollout_files import inspect_rollout, list_rollouts, split_files
from world_models.errors import ConfigError, DataError
from world_models.training.controller_settings import ControllerSettings

_COUNTS = ("num_rollouts", "rollout_len", "num_workers")


def check_settings(args: argparse.Namespace, ctrl: WMControllerConfig) -> None:
    """The numbers and folders of a run.

    Raises:
        ConfigError: one of them cannot work; the message names it and its value.
    """
    for name in _COUNTS:
        check_at_least(name, getattr(args, name), 1)
    check_at_least("seed", args.seed, 0)
    if args.num_test_files is not None:
        check_at_least("num_test_files", args.num_test_files, 0)
    for name in ("data_dir", "logdir"):
        _check_folder(name, Path(getattr(args, name)))
    ControllerSettings.from_config(ctrl)


def check_at_least(name: str, value: int, least: int) -> None:
    """Raises ConfigError where `value` is less than `least`."""
    if value < least:
        raise ConfigError(f"{name}={value} cannot work: give a whole number of at least {least}.")


def _check_folder(name: str, folder: Path) -> None:
    for path in (folder, *folder.parents):
        if path.exists():
            if not path.is_dir():
                raise ConfigError(f"{name}={folder} cannot be a folder: {path} is a file; name another.")
            return


def check_split(num_test_files: int | None, num_files: int) -> None:
    """Raises DataError where the held-out files leave none of `num_files` to train on."""
    if num_test_files is not None:
        split_files([Path(str(i)) for i in range(num_files)], num_test_files, train=True, strict=True)


def check_data(data_dir: str | Path, env_id: str, action_size: int, num_test_files: int | None) -> None:
    """There are rollouts, whole ones of this environment, and the held-out part is smaller than they are.

    A broken file among thousands is found here in seconds, not when the frame cache comes to it.

    Raises:
        DataError: otherwise.
    """
    files = list_rollouts(data_dir)
    check_split(num_test_files, len(files))
    for path in files:
        check_actions(path, env_id, action_size)


def check_actions(path: Path, env_id: str, action_size: int) -> None:
    """Raises DataError where a rollout is broken, or its actions have another number of columns."""
    columns = inspect_rollout(path).actions.shape[1]
    if columns != action_size:
        raise DataError(
            f"{path}: the actions have {columns} columns and {env_id} has {action_size} actions: it is a rollout "
            "of another environment; name another --data_dir, or its --env."
        )
