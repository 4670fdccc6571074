"""The frame cache: every frame of a data folder in one uint8 memory map, for random access in microseconds.

A rollout file has to be decompressed whole to get at one of its frames. The cache does that once, into
`<data_dir>/cache/` (see cache_files.py for what lies there and when it is remade).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from world_models.datasets.cache_files import Progress, bring_up_to_date, map_part
from world_models.datasets.cache_index import CacheIndex
from world_models.datasets.rollout_files import list_rollouts
from world_models.errors import DataError
from world_models.types import FloatArray, IntArray, Rollout, UInt8Array

CACHE_FOLDER = "cache"


class FrameCache:
    """All rollouts of a data folder, row by row; row r is transition r.

    The rows of file i are `offsets[i] : offsets[i] + lengths[i]`. With all files of the folder, as opened by
    default, they follow each other from row 0 and N is the sum of the lengths.

    Attributes:
        files: the rollout files, in the order asked for (E of them).
        frames: (N, 64, 64, 3) uint8, a read-only memory map.
        actions: (N, A) float32; `rewards`, `terminals`: (N,) float32; read-only memory maps.
        lengths: (E,) int64; `offsets` likewise.
        fingerprint: hexadecimal; equal exactly when the same files lie in the same order.
        contents: hexadecimal; of names and lengths alone, so that a copy of the folder has the same.
    """

    def __init__(self, folder: Path, files: Sequence[Path], names: Sequence[str], index: CacheIndex) -> None:
        held = {entry.name: entry for entry in index.files}
        entries = [held[name] for name in names]
        self.files: list[Path] = list(files)
        self.lengths: IntArray = np.array([entry.length for entry in entries], dtype=np.int64)
        self.offsets: IntArray = np.array([entry.offset for entry in entries], dtype=np.int64)
        self.frames: UInt8Array = map_part(folder, "observations", index)
        self.actions: FloatArray = map_part(folder, "actions", index)
        self.rewards: FloatArray = map_part(folder, "rewards", index)
        self.terminals: FloatArray = map_part(folder, "terminals", index)
        told = "\n".join(f"{entry.name} {entry.size} {entry.mtime_ns} {entry.length}" for entry in entries)
        self.fingerprint = hashlib.sha256(told.encode()).hexdigest()
        self.contents = hashlib.sha256("\n".join(f"{e.name} {e.length}" for e in entries).encode()).hexdigest()

    @classmethod
    def open(
        cls,
        data_dir: str | Path,
        files: Sequence[Path] | None = None,
        progress: Progress | None = None,
    ) -> FrameCache:
        """Opens the cache of `data_dir`, making or extending it where files are new or have changed.

        Making it keeps a few rollouts in memory at a time, and checks every rollout.

        Args:
            data_dir: the folder of rollout files.
            files: those wanted, in order; None for all of them, sorted.
            progress: called with (files done, files in all) while the cache is made.

        Raises:
            DataError: there is no rollout, one breaks the schema or has another number of actions than the
                first, or the cache cannot be written. No rollout file is ever changed.
        """
        root = Path(data_dir)
        wanted = list_rollouts(root) if files is None else [Path(file) for file in files]
        if not wanted:
            raise DataError(f"{root}: no rollout file was asked for; name at least one")
        folder = root / CACHE_FOLDER
        names, index = bring_up_to_date(root, folder, wanted, partial=files is not None, progress=progress)
        return cls(folder, wanted, names, index)

    @property
    def action_size(self) -> int:
        """Columns of the actions."""
        return int(self.actions.shape[1])

    def __len__(self) -> int:
        return len(self.files)

    def rows_of(self, file_indices: Sequence[int]) -> IntArray:
        """The rows of some files, one file after the other."""
        spans = [np.arange(self.offsets[i], self.offsets[i] + self.lengths[i]) for i in file_indices]
        return np.concatenate(spans) if spans else np.zeros(0, dtype=np.int64)

    def gather(self, rows: IntArray) -> torch.Tensor:
        """Copies frames out of the map: `rows` of any shape (...) -> uint8 (..., 64, 64, 3).

        Give the rows in ascending order where the order does not matter: it is kinder to the disk.
        """
        return torch.from_numpy(np.take(np.asarray(self.frames), rows, axis=0))

    def rollout(self, file_index: int) -> Rollout:
        """The episode of one file, as views of the maps: nothing is read until it is used."""
        start = int(self.offsets[file_index])
        rows = slice(start, start + int(self.lengths[file_index]))
        return Rollout(self.frames[rows], self.actions[rows], self.rewards[rows], self.terminals[rows])
