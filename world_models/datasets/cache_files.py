"""What lies in a cache folder: four raw files in which rollouts follow each other, and an index.

index.json alone says what is there: which rollout file (name, size, time of change) lies at which rows. New
files are added behind the others; bytes that the index does not mention do not count. So a build that was
stopped half-way is no error, it only has less left to do.
"""

from __future__ import annotations

import math
import os
import shutil
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np

from world_models.datasets.cache_index import (
    PARTS,
    CachedFile,
    CacheIndex,
    index_path,
    read_index,
    same_files,
    write_index,
)
from world_models.datasets.folder_check import check_files
from world_models.datasets.formats.npz import replacing
from world_models.datasets.rollout_files import DTYPES, read_rollout
from world_models.errors import DataError
from world_models.types import FRAME_SHAPE, Rollout

try:
    import fcntl
except ImportError:  # Windows: two builds at once are then up to the user
    fcntl = None  # type: ignore[assignment]

Progress = Callable[[int, int], None]
"""Called with (files done, files in all) while a cache is made."""

_COMMIT_EVERY = 64  # files between two writings of the index: what a power cut costs at most
_READERS = min(8, os.cpu_count() or 1)  # files read at once: to decompress them is most of the work


def map_part(folder: Path, part: str, index: CacheIndex) -> np.memmap[Any, Any]:
    """A read-only memory map of one part of the cache in `folder`."""
    return np.memmap(folder / PARTS[part], dtype=DTYPES[part], mode="r", shape=index.shape(part))


def bring_up_to_date(
    root: Path, folder: Path, files: Sequence[Path], partial: bool, progress: Progress | None
) -> tuple[list[str], CacheIndex]:
    """Brings the cache in `folder` up to date with `files`; unchanged files are not read again.

    Args:
        root: the data folder, from which names are told.
        folder: the cache folder; it is made.
        files: the rollout files wanted, in order.
        partial: keep other files that are still as they were; else the cache holds `files` alone, in order.
        progress: called with (files done, files in all).

    Returns:
        The names of `files`, and the index.

    Raises:
        DataError: a rollout breaks the schema, or the cache cannot be written.
    """
    try:
        wanted = [_describe(root, os.path.relpath(file, root)) for file in files]
        _check_new(root, read_index(folder), wanted)  # before the folder is made, where files cannot be used
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder):
            index = _Builder(root, folder, progress).build(wanted, partial)
    except OSError as error:
        raise DataError(
            f"{folder}: the frame cache cannot be made ({error}); it needs 12,288 bytes of free space "
            "a frame, in a folder that can be written to"
        ) from error
    return [entry.name for entry in wanted], index


class _Builder:
    """Builds one cache; holds a few rollouts in memory at a time (`_READERS`)."""

    def __init__(self, root: Path, folder: Path, progress: Progress | None) -> None:
        self.root = root
        self.folder = folder
        self.progress = progress

    def build(self, wanted: list[CachedFile], partial: bool) -> CacheIndex:
        held = read_index(self.folder)
        if partial:
            still = [entry for entry in held.files if _unchanged(self.root, entry)]
            names = {entry.name for entry in still}
            wanted = still + [entry for entry in dict.fromkeys(wanted) if entry.name not in names]
        kept = len(held.files)
        if kept <= len(wanted) and all(map(CachedFile.same_file, held.files, wanted)):
            return self._append(held, wanted[kept:])
        return self._rebuild(held, wanted)

    def _append(self, index: CacheIndex, new: list[CachedFile]) -> CacheIndex:
        """Adds files behind those that are held; what is done stays done when it is stopped."""
        if not new:
            return index
        self._check_room(*_check_new(self.root, index, [*index.files, *new]))
        if not index.files:
            index_path(self.folder).unlink(missing_ok=True)  # one that was refused, if any
        with ExitStack() as stack:
            outputs = {part: stack.enter_context(_open_end(self.folder, part, index)) for part in PARTS}
            try:
                rollouts = _read_ahead([self.root / entry.name for entry in new])
                for count, (entry, rollout) in enumerate(zip(new, rollouts, strict=True), start=1):
                    self._add(index, outputs, entry, rollout)
                    self._tell(len(index.files), len(index.files) + len(new) - count)
                    if count % _COMMIT_EVERY == 0:
                        _commit(self.folder, index, outputs)
            finally:
                _commit(self.folder, index, outputs)
        return index

    def _rebuild(self, held: CacheIndex, wanted: list[CachedFile]) -> CacheIndex:
        """Rewrites all parts; rows of files that have not changed are copied from the old ones."""
        known = {entry.name: entry for entry in same_files(held, wanted)}
        frames, columns = _check_new(self.root, held, wanted)
        self._check_room(frames + sum(entry.length for entry in known.values()), columns)
        old = {part: map_part(self.folder, part, held) for part in PARTS}
        index = CacheIndex()
        with ExitStack() as stack:
            # Left in reverse order, so the old index is gone before the first part is replaced.
            outputs = {part: stack.enter_context(replacing(self.folder / PARTS[part])) for part in PARTS}
            for entry in wanted:
                kept = known.get(entry.name)
                rollout = _slice(old, kept) if kept else read_rollout(self.root / entry.name)
                self._add(index, outputs, entry, rollout)
                self._tell(len(index.files), len(wanted))
            index_path(self.folder).unlink(missing_ok=True)
        _commit(self.folder, index, {})
        return index

    def _add(self, index: CacheIndex, outputs: dict[str, IO[bytes]], entry: CachedFile, rollout: Rollout) -> None:
        size = rollout.actions.shape[1]
        if index.files and size != index.action_size:
            raise DataError(
                f"{self.root / entry.name}: actions have {size} columns and those of {index.files[0].name} "
                f"{index.action_size}; keep rollouts of different environments in different folders"
            )
        for part, output in outputs.items():
            output.write(np.ascontiguousarray(getattr(rollout, part)).data)
        entry = replace(entry, length=len(rollout), offset=index.rows)
        index.action_size = size
        index.files.append(entry)

    def _check_room(self, frames: int, columns: int) -> None:
        """Raises DataError, before anything is written, where the disk has too little room for so many frames."""
        needed = frames * (math.prod(FRAME_SHAPE) + np.dtype(np.float32).itemsize * (columns + 2))
        free = shutil.disk_usage(self.folder).free
        if needed > free:
            raise DataError(
                f"{self.folder}: the frame cache needs {needed / 1e9:,.3f} GB for {frames:,} frames, and "
                f"{free / 1e9:,.3f} GB are free; free some, or move the rollouts to a larger disk"
            )

    def _tell(self, done: int, total: int) -> None:
        if self.progress is not None:
            self.progress(done, total)


def _check_new(root: Path, held: CacheIndex, wanted: Sequence[CachedFile]) -> tuple[int, int]:
    """Frames and action columns of those files that are not held as they are.

    Raises:
        DataError: some of them cannot be used, or have another number of columns than those that are held.
    """
    same = same_files(held, wanted)
    names = {entry.name for entry in same}
    new = [root / entry.name for entry in wanted if entry.name not in names]
    columns, whose = (held.action_size, same[0].name) if same else (None, "")
    found = check_files(root, new, columns, whose)
    return sum(each.length for each in found), columns or (found[0].columns if found else 0)


def _read_ahead(paths: Sequence[Path]) -> Iterator[Rollout]:
    """The rollouts of these files in their order, some read while the one before them is used."""
    with ThreadPoolExecutor(_READERS) as readers:
        waiting: deque[Future[Rollout]] = deque()
        for path in paths:
            waiting.append(readers.submit(read_rollout, path))
            if len(waiting) > _READERS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _slice(parts: dict[str, np.memmap[Any, Any]], entry: CachedFile) -> Rollout:
    rows = slice(entry.offset, entry.offset + entry.length)
    return Rollout(**{part: array[rows] for part, array in parts.items()})


def _describe(root: Path, name: str) -> CachedFile:
    path = root / name
    if not path.is_file():
        raise DataError(f"{path}: there is no such rollout file; leave it out, or collect it again")
    status = path.stat()
    return CachedFile(Path(name).as_posix(), status.st_size, status.st_mtime_ns)


def _unchanged(root: Path, entry: CachedFile) -> bool:
    return (root / entry.name).is_file() and _describe(root, entry.name).same_file(entry)


@contextmanager
def _open_end(folder: Path, part: str, index: CacheIndex) -> Iterator[IO[bytes]]:
    """Opens a part for writing behind the rows of `index`; leftovers of a stopped build are cut off."""
    path = folder / PARTS[part]
    if not index.files:
        # A new file, not a shortened one: another process may still have the old one mapped.
        path.unlink(missing_ok=True)
        path.touch()
    with path.open("r+b") as output:
        output.truncate(index.nbytes(part))
        output.seek(index.nbytes(part))
        yield output


def _commit(folder: Path, index: CacheIndex, outputs: dict[str, IO[bytes]]) -> None:
    """Makes what was written valid: flushes the parts first, then the index that names them."""
    for output in outputs.values():
        output.flush()
        os.fsync(output.fileno())
    if index.files:
        write_index(folder, index)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lets one process at a time work on a cache folder; the others wait."""
    with (folder / ".lock").open("w") as lock:
        if fcntl is not None:
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
