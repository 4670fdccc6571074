"""The rollout files: one episode an .npz file, in the schema of the specification (Stage 1, "Data pipeline").

observations (T, 64, 64, 3) uint8, actions (T, A), rewards (T,), terminals (T,) float32. Anything else in a
file describes it (`env_id`, `backend`, `seed`, `policy`) and is read by `read_meta` alone.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from world_models.datasets.formats.canonical import canonical_rollout
from world_models.datasets.formats.foreign import ForeignKeys, foreign_keys
from world_models.datasets.formats.npz import AnyArray, Archive, open_npz, read_array, read_outline, write_npz
from world_models.datasets.formats.schema import DTYPES, MEND, Wrong, check_rollout
from world_models.datasets.formats.stored_frames import as_pictures, told_by_header
from world_models.errors import ConfigError, DataError
from world_models.notices import say_once
from world_models.types import Rollout

__all__ = [
    "DERIVED_FOLDERS",
    "DTYPES",
    "Inspection",
    "check_rollout",
    "find_rollouts",
    "inspect_file",
    "inspect_rollout",
    "list_rollouts",
    "read_meta",
    "read_rollout",
    "split_files",
    "write_rollout",
]

_LOG = logging.getLogger(__name__)

DERIVED_FOLDERS = ("latents", "cache", "__MACOSX")
"""Folders inside a data folder that hold what is made from the rollouts (or what macOS packs beside them)."""

MetaValue = str | int | float | bool


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


@dataclass(frozen=True)
class Inspection:
    """What is told of a rollout file without its frames.

    Attributes:
        rollout: with zeros for frames, which take no memory.
        frame_size: height and width of the frames as they are stored.
        env_id: the environment that the file names; "" where it names none.
    """

    rollout: Rollout
    frame_size: tuple[int, int]
    env_id: str


def read_rollout(path: str | Path) -> Rollout:
    """The episode in `path`, checked, in the schema's form.

    What other programs store in another form with the same meaning is read all the same, which is said once
    (canonical.py, docs/data.md): numbers of other formats, axes of length 1, frames of other sizes and layouts.

    Raises:
        DataError: the file is missing, truncated or not an .npz file, lacks a key, or has no plain meaning.
    """
    path = Path(path)
    with open_npz(path, MEND) as archive:
        foreign = foreign_keys(path, archive.names)
        if foreign is not None:
            raise foreign
        rollout, remarks, _ = canonical_rollout({key: read_array(archive, key) for key in DTYPES}, str(path))
    _say(remarks)
    return rollout


def inspect_rollout(path: str | Path) -> Rollout:
    """The episode in `path` without its frames: zeros of their shape, which take neither time nor memory.

    Everything that `read_rollout` checks is checked, but the bytes of frames of which the header says all.

    Raises:
        DataError: as `read_rollout`.
    """
    return inspect_file(path).rollout


def inspect_file(path: str | Path) -> Inspection:
    """As `inspect_rollout`, with what else the file says about itself.

    Raises:
        DataError: as `read_rollout`.
    """
    path = Path(path)
    with open_npz(path, MEND) as archive:
        foreign = foreign_keys(path, archive.names)
        if foreign is not None:
            raise _with_all_that_is_wrong(archive, foreign)
        inspection, remarks = _inspected(archive, {})
    _say(remarks)
    return inspection


def read_meta(path: str | Path) -> dict[str, MetaValue]:
    """The facts stored beside the schema's four arrays: those other keys of `path` that are 0-d.

    Raises:
        DataError: the file is missing, truncated or not an .npz file.
    """
    with open_npz(Path(path), MEND) as archive:
        return _facts(archive, archive.names)


def list_rollouts(data_dir: str | Path) -> list[Path]:
    """The rollout files of a data folder, as `find_rollouts`, but at least one.

    Raises:
        DataError: the folder is missing, cannot be read, or has no rollout in it.
    """
    root = Path(data_dir)
    mend = "collect rollouts into it (generate_rollouts, or --generate_only), or name another data_dir"
    if not root.is_dir():
        raise DataError(f"{root}: there is no such data folder; {mend}")
    files = find_rollouts(root)
    if not files:
        raise DataError(f"{root}: the data folder has no rollout (*.npz) in it; {mend}")
    return files


def find_rollouts(data_dir: str | Path) -> list[Path]:
    """Every file that counts as a rollout, sorted: *.npz, in upper case too, in the folder and its sub-folders.

    Hidden files and folders do not count, nor do latents and caches. Links to files and folders are followed; a
    folder that several links lead to is looked at once.

    Raises:
        DataError: a folder cannot be read.
    """
    files: list[Path] = []
    seen: set[str] = set()
    for folder, subfolders, names in os.walk(data_dir, onerror=_unreadable, followlinks=True):
        real = os.path.realpath(folder)
        subfolders[:] = sorted(name for name in subfolders if name not in DERIVED_FOLDERS and name[0] != ".")
        if real in seen:
            subfolders.clear()
            continue
        seen.add(real)
        files += [Path(folder, name) for name in names if _is_rollout_name(name)]
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
    return name.lower().endswith(".npz") and not name.startswith((".", "latents_"))


def _unreadable(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise DataError(f"{error.filename}: the folder cannot be read ({error.strerror}); make it readable") from error


def _inspected(archive: Archive, names: Mapping[str, str]) -> tuple[Inspection, list[str]]:
    """A file's inspection and its remarks; `names` are the file's own of our keys, where they differ."""
    arrays = {key: read_array(archive, names.get(key, key)) for key in DTYPES if key != "observations"}
    name = names.get("observations", "observations")
    frames = read_outline(archive, name)
    pictures = as_pictures(frames)
    by_header = isinstance(pictures, Wrong) or told_by_header(pictures)
    arrays["observations"] = frames if by_header else read_array(archive, name)
    rollout, remarks, size = canonical_rollout(arrays, str(archive.path), outlined=by_header)
    black = np.broadcast_to(np.zeros((), np.uint8), rollout.observations.shape)
    env_id = str(_facts(archive, ["env_id"]).get("env_id", ""))
    return Inspection(replace(rollout, observations=black), size, env_id), remarks


def _with_all_that_is_wrong(archive: Archive, foreign: ForeignKeys) -> ForeignKeys:
    """A file of other names, looked at as if they were ours: nothing shall come to light only after the renaming."""
    if foreign.lacking:
        return foreign
    try:
        foreign.actions = _inspected(archive, foreign.names)[0].rollout.actions
    except DataError as error:
        return foreign.besides(str(error).removeprefix(f"{archive.path}: "))
    return foreign


def _facts(archive: Archive, keys: Sequence[str]) -> dict[str, MetaValue]:
    """Those of `keys` beside the schema's that are there and hold one text or number."""
    facts: dict[str, MetaValue] = {}
    for key in keys:
        if key in DTYPES or key not in archive.names:
            continue
        try:
            value = read_array(archive, key) if read_outline(archive, key).ndim == 0 else None
        except DataError:
            continue  # other people's keys may hold anything
        if value is not None and value.dtype.kind in "Uifb":
            facts[key] = value.item()
    return facts


def _say(remarks: Sequence[str]) -> None:
    for remark in remarks:
        say_once(_LOG, "Rollout files: %s.", remark)


def _check_meta(facts: Mapping[str, AnyArray], path: Path) -> None:
    for key, value in facts.items():
        if key in DTYPES:
            raise DataError(f"{path}: the fact {key!r} has the name of a rollout array; give it another name")
        if value.ndim or value.dtype.kind not in "Uifb":
            raise DataError(f"{path}: the fact {key!r} must be one text or number, not {value!r}")
