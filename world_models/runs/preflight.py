"""What is known to fail later is refused at once, before anything is written."""

from __future__ import annotations

import argparse
import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from world_models.configs.wm_config import WMControllerConfig
from world_models.datasets.folder_check import check_files
from world_models.datasets.rollout_files import list_rollouts, split_files
from world_models.envs.registry import env_spec
from world_models.errors import ConfigError
from world_models.notices import say_once
from world_models.search.settings import ControllerSettings
from world_models.types import FRAME_SIZE

_LOG = logging.getLogger(__name__)


def check_settings(args: argparse.Namespace, ctrl: WMControllerConfig) -> None:
    """The folders of a run, and what stage C is told.

    Raises:
        ConfigError: one of them cannot work; the message names it and its value.
    """
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
    """There are rollouts, all of them usable and of this environment, and the held-out part is smaller than they are.

    A broken file among thousands is found here in seconds, not when the frame cache comes to it.

    Raises:
        DataError: otherwise; the message has everything that is wrong with the folder.
    """
    files = list_rollouts(data_dir)
    check_split(num_test_files, len(files))
    check_rollouts(data_dir, files, env_id, action_size)


def check_rollouts(data_dir: str | Path, files: Sequence[Path], env_id: str, action_size: int) -> None:
    """Raises DataError where some rollouts are broken, or their actions have another number of columns.

    What points to another environment, or to another view of it, is said once.
    """
    found = check_files(data_dir, files, action_size, env_id)
    named = Counter(each.env_id for each in found if each.env_id)
    others = {name: count for name, count in named.items() if _plain(name) != _plain(env_id)}
    if others:
        say_once(
            _LOG,
            "%s: %s of %s rollouts were recorded in another environment than %s (%s); they are used all the same, as "
            "they have as many actions; name another --data_dir if that is not meant.",
            data_dir, f"{sum(others.values()):,}", f"{len(found):,}", env_id, ", ".join(others),
        )  # fmt: skip
    rows = env_spec(env_id).rows
    uncut = [each for each in found if rows is not None and each.frame_size != (FRAME_SIZE, FRAME_SIZE)]
    if uncut:
        say_once(
            _LOG,
            "%s: %s rollouts have frames of their own size, which are resized whole, while an agent sees only the "
            "first %s rows of %s's frames; store observations[:, :%s] of whole frames.",
            data_dir, f"{len(uncut):,}", rows, env_id, rows,
        )  # fmt: skip


def _plain(env_id: str) -> str:
    """An id without its module and its version."""
    return env_id.rpartition(":")[2].rpartition("-v")[0] or env_id
