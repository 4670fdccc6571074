"""Which rollout files train and which are held out, as indices of a sorted list of files."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from world_models.datasets.rollout_files import split_files

_LOG = logging.getLogger(__name__)
_DOCUMENTED_TEST_FILES = 600
_FEW_FILES = 10


def default_test_files(num_files: int) -> int:
    """How many files are held out unless `num_test_files` says: the documented 600; of fewer files a tenth;
    of fewer than ten none."""
    if num_files > _DOCUMENTED_TEST_FILES:
        return _DOCUMENTED_TEST_FILES
    return num_files // 10 if num_files >= _FEW_FILES else 0


def training_files(files: Sequence[Path], asked: int | None) -> tuple[int, int]:
    """How many of `files`, the first ones when sorted, are trained on; and how many were `asked` to be held out.

    Raises:
        ConfigError: `num_test_files` is negative.
    """
    count = default_test_files(len(files)) if asked is None else asked
    return len(split_files(files, count, train=True)), count


def split_indices(files: Sequence[Path], asked: int | None, stage: str) -> tuple[list[int], list[int]]:
    """Indices into the sorted `files` of the training and of the held-out part.

    `asked`, the setting num_test_files, is taken as it is; where it leaves no file to train on, all are trained on
    (specification, "Train/test split"). What was done stands in the log.

    Raises:
        ConfigError: `num_test_files` is negative.
    """
    train, count = training_files(files, asked)
    if asked is not None and len(files) - train != count:
        _LOG.warning(
            "%s: num_test_files=%d of %d rollout files leaves none to train on; all are trained on",
            stage, count, len(files),
        )  # fmt: skip
    _LOG.info("%s: %d rollout files to train on, %d held out", stage, train, len(files) - train)
    return list(range(train)), list(range(train, len(files)))
