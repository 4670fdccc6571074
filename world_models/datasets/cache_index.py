"""The index of a frame cache: which rollout file (name, size, time of change) lies at which rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from world_models.datasets.formats.npz import replacing
from world_models.datasets.rollout_files import DTYPES
from world_models.types import FRAME_SHAPE

_VERSION = 1
PARTS = {
    "observations": "frames.u8",
    "actions": "actions.f32",
    "rewards": "rewards.f32",
    "terminals": "terminals.f32",
}


@dataclass(frozen=True)
class CachedFile:
    """One rollout file in the cache: its rows (offset : offset + length), its name, size and time of change."""

    name: str
    size: int
    mtime_ns: int
    length: int = 0
    offset: int = 0

    def same_file(self, other: CachedFile) -> bool:
        """Whether both describe the same bytes, as far as name, size and time of change tell."""
        return (self.name, self.size, self.mtime_ns) == (other.name, other.size, other.mtime_ns)


@dataclass
class CacheIndex:
    """The files of a cache, in the order of their rows, and how many columns their actions have."""

    files: list[CachedFile] = field(default_factory=list)
    action_size: int = 0

    @property
    def rows(self) -> int:
        """N, the rows of all files."""
        return self.files[-1].offset + self.files[-1].length if self.files else 0

    def shape(self, part: str) -> tuple[int, ...]:
        """The shape of a part of the cache: (N, ...)."""
        tails = {"observations": FRAME_SHAPE, "actions": (self.action_size,)}
        return (self.rows, *tails.get(part, ()))

    def nbytes(self, part: str) -> int:
        """How many bytes of a part's file are valid by the index."""
        return int(np.prod(self.shape(part))) * np.dtype(DTYPES[part]).itemsize


def index_path(folder: Path) -> Path:
    """The path of the index in a cache folder."""
    return folder / "index.json"


def read_index(folder: Path) -> CacheIndex:
    """The index of a cache folder; an empty one where there is none, or it does not fit the parts."""
    try:
        stored = json.loads(index_path(folder).read_text(encoding="utf-8"))
        if stored["version"] != _VERSION:
            return CacheIndex()
        index = CacheIndex([CachedFile(**entry) for entry in stored["files"]], int(stored["action_size"]))
        whole = all((folder / name).stat().st_size >= index.nbytes(part) for part, name in PARTS.items())
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return CacheIndex()
    return index if whole else CacheIndex()


def same_files(held: CacheIndex, wanted: Sequence[CachedFile]) -> list[CachedFile]:
    """The entries of those files that are held as they are."""
    known = {entry.name: entry for entry in held.files}
    return [known[entry.name] for entry in wanted if entry.name in known and known[entry.name].same_file(entry)]


def write_index(folder: Path, index: CacheIndex) -> None:
    """Writes the index atomically: from then on the rows that it names are valid."""
    stored = {
        "version": _VERSION,
        "action_size": index.action_size,
        "files": [asdict(entry) for entry in index.files],
    }
    with replacing(index_path(folder)) as file:
        file.write(json.dumps(stored).encode())
