"""The rollout files: one episode an .npz file, in the schema of the specification (Stage 1, "Data pipeline").

observations (T, 64, 64, 3) uint8, actions (T, A), rewards (T,), terminals (T,) float32. Anything else in a
file describes it (`env_id`, `backend`, `seed`, `policy`) and is read by `read_meta` alone.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from world_models.datasets.npz import AnyArray, open_npz, read_array, read_outline, write_npz
from world_models.errors import ConfigError, DataError
from world_models.types import FRAME_SHAPE, Rollout

DTYPES = {"observations": np.uint8, "actions": np.float32, "rewards": np.float32, "terminals": np.float32}
"""The keys of a rollout file and their dtypes."""

DERIVED_FOLDERS = ("latents", "cache")
"""Folders inside a data folder that hold what is made from the rollouts, not rollouts."""

MetaValue = str | int | float | bool

_MEND = "collect it again, or move the file out of the data folder"


def write_rollout(path: str | Path, rollout: Rollout, meta: Mapping[str, MetaValue] | None = None) -> None:
    """Writes one episode as a compressed .npz file, whole or not at all.

    Args:
        path: where to; missing folders are made, an existing file is replaced.
        rollout: the episode; it is checked first.
        meta: further facts (`env_id`, `backend`, `seed`, `policy`), each stored as a 0-d array.

    Raises:
        DataError: the rollout does not meet the schema, or a fact takes the name of one of its keys.
    """
    path = Path(path)
    check_rollout(rollout, str(path))
    facts = {key: np.asarray(value) for key, value in (meta or {}).items()}
    _check_meta(facts, path)
    write_npz(path, {key: getattr(rollout, key) for key in DTYPES} | facts, compress=True)


def read_rollout(path: str | Path) -> Rollout:
    """The episode in `path`, checked.

    Raises:
        DataError: the file is missing, truncated or not an .npz file, lacks a key, or breaks the schema.
    """
    path = Path(path)
    with open_npz(path, _MEND) as archive:
        rollout = Rollout(**{key: read_array(archive, path, key, _MEND) for key in DTYPES})
    check_rollout(rollout, str(path))
    return rollout


def inspect_rollout(path: str | Path) -> Rollout:
    """The episode in `path` without its frames: zeros of their shape, which take neither time nor memory.

    Everything that `read_rollout` checks is checked, but the bytes of the frames.

    Raises:
        DataError: as `read_rollout`.
    """
    path = Path(path)
    with open_npz(path, _MEND) as archive:
        frames = read_outline(archive, path, "observations", _MEND)
        small = {key: read_array(archive, path, key, _MEND) for key in DTYPES if key != "observations"}
    rollout = Rollout(frames, **small)
    check_rollout(rollout, str(path))
    return rollout


def read_meta(path: str | Path) -> dict[str, MetaValue]:
    """The facts stored beside the schema's four arrays: those other keys of `path` that are 0-d.

    Raises:
        DataError: the file is missing, truncated or not an .npz file.
    """
    path = Path(path)
    with open_npz(path, _MEND) as archive:
        others = {key: read_array(archive, path, key, _MEND) for key in archive.files if key not in DTYPES}
    return {key: value.item() for key, value in others.items() if value.ndim == 0}


def check_rollout(rollout: Rollout, where: str) -> None:
    """Raises DataError, beginning with `where`, unless `rollout` meets the schema."""
    for key, dtype in DTYPES.items():
        _check_dtype(getattr(rollout, key), key, np.dtype(dtype), where)
    _check_shapes(rollout, where)
    for key in ("actions", "rewards", "terminals"):
        _check_finite(getattr(rollout, key), key, where)
    outside = (rollout.terminals < 0) | (rollout.terminals > 1)
    if outside.any():
        row = int(np.argmax(outside))
        raise DataError(
            f"{where}: terminals[{row}] is {rollout.terminals[row]}, outside 0 to 1; "
            "write 1 where the task ended and 0 elsewhere"
        )


def list_rollouts(data_dir: str | Path) -> list[Path]:
    """The .npz files of a data folder and its sub-folders, sorted; what is derived from them is left out.

    Raises:
        DataError: the folder is missing, or has no rollout in it.
    """
    root = Path(data_dir)
    mend = "collect rollouts into it (generate_rollouts, or --generate_only), or name another data_dir"
    if not root.is_dir():
        raise DataError(f"{root}: there is no such data folder; {mend}")
    files = []
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = [name for name in subfolders if name not in DERIVED_FOLDERS and name[0] != "."]
        files += [Path(folder, name) for name in names if _is_rollout_name(name)]
    if not files:
        raise DataError(f"{root}: the data folder has no rollout (*.npz) in it; {mend}")
    return sorted(files)


def split_files(files: Sequence[Path], num_test_files: int, train: bool, strict: bool = False) -> list[Path]:
    """The training or the test part of `files`: sorted, the last `num_test_files` are the test part.

    With no test files asked for, or too few files to leave any for training, all go to training and the test
    part is empty (specification, "Train/test split").

    Args:
        files: all rollout files, in any order.
        num_test_files: how many to hold out.
        train: True for the training part, False for the test part.
        strict: refuse a test part that would leave no training file, in place of giving it up.

    Raises:
        ConfigError: `num_test_files` is negative.
        DataError: `strict`, and the test part is not smaller than the data.
    """
    if num_test_files < 0:
        raise ConfigError(f"num_test_files is {num_test_files}; give 0 for no test files, or more")
    if strict and num_test_files >= len(files):
        raise DataError(
            f"the test split is larger than the data: num_test_files is {num_test_files} and there are "
            f"{len(files)} rollout files; collect more, or lower num_test_files"
        )
    ordered = sorted(files)
    # Not files[:-n]: that is empty for n = 0.
    cut = len(ordered) - num_test_files if num_test_files < len(ordered) else len(ordered)
    return ordered[:cut] if train else ordered[cut:]


def _is_rollout_name(name: str) -> bool:
    return name.endswith(".npz") and not name.startswith((".", "latents_"))


def _check_meta(facts: Mapping[str, AnyArray], path: Path) -> None:
    for key, value in facts.items():
        if key in DTYPES:
            raise DataError(f"{path}: the fact {key!r} has the name of a rollout array; give it another name")
        if value.ndim or value.dtype.kind not in "Uifb":
            raise DataError(f"{path}: the fact {key!r} must be one text or number, not {value!r}")


def _check_dtype(array: AnyArray, key: str, dtype: np.dtype[np.generic], where: str) -> None:
    if array.dtype != dtype:
        raise DataError(
            f"{where}: {key} has dtype {array.dtype}, not {dtype}; store it with .astype(np.{dtype}), "
            "or collect it again"
        )


def _check_shapes(rollout: Rollout, where: str) -> None:
    frames = rollout.observations
    if frames.ndim != 4 or frames.shape[1:] != FRAME_SHAPE:
        raise DataError(
            f"{where}: observations have shape {frames.shape}, not (T, 64, 64, 3); "
            "resize the frames to 64x64 RGB before storing them (GymImageEnv does)"
        )
    if len(frames) == 0:
        raise DataError(f"{where}: the rollout has no rows (T = 0); {_MEND}")
    for key, ndim, form in (("actions", 2, "(T, A)"), ("rewards", 1, "(T,)"), ("terminals", 1, "(T,)")):
        array = getattr(rollout, key)
        if array.ndim != ndim or 0 in array.shape[1:]:
            raise DataError(f"{where}: {key} have shape {array.shape}, not {form}; {_MEND}")
        if len(array) != len(frames):
            raise DataError(
                f"{where}: {key} have {len(array)} rows and observations {len(frames)}, one of each a step "
                f"are needed; {_MEND}"
            )


def _check_finite(array: AnyArray, key: str, where: str) -> None:
    bad = ~np.isfinite(array)
    if bad.any():
        index = tuple(int(i) for i in np.argwhere(bad)[0])
        place = ", ".join(map(str, index))
        raise DataError(f"{where}: {key}[{place}] is {array[index]}; {_MEND}")
