"""What a data folder holds, told by its files without reading their frames; and some frames to show V on."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from world_models.datasets.folder_check import check_files
from world_models.datasets.rollout_files import inspect_rollout, list_rollouts, read_meta, read_rollout
from world_models.types import FloatArray, Rollout, UInt8Array

_MOST_FILES = 2000  # of a larger folder so many, evenly spread, are looked at
_SHOWN = 4  # of the last rollouts, those that training holds out
_FRAMES = 512


@dataclass(frozen=True)
class Data:
    """A data folder.

    Attributes:
        files: How many rollouts there are.
        looked_at: How many of them the rest is about.
        lengths: Steps of each.
        returns: Return of each.
        terminals: How many ended by themselves.
        actions: All their actions, (steps, A) float32.
        origins: How many rollouts have which (environment, backend, policy), the most first.
        last: The last rollouts, at most four: those that training holds out, where it holds out any.
        rollout: The one of them with most reward, and its file's name.
        frames: Frames (n, 64, 64, 3) uint8 of the last rollouts, evenly spread.
    """

    files: int
    looked_at: int
    lengths: tuple[int, ...]
    returns: tuple[float, ...]
    terminals: int
    actions: FloatArray
    origins: tuple[tuple[tuple[str, str, str], int], ...]
    last: tuple[Rollout, ...]
    rollout: Rollout
    rollout_file: str
    frames: UInt8Array


def read_data(data_dir: str | os.PathLike[str]) -> Data:
    """Reads a data folder.

    Raises:
        DataError: it has no rollout, or some that cannot be used.
    """
    files = list_rollouts(Path(data_dir))
    some = spread(files, _MOST_FILES)
    check_files(Path(data_dir), some)
    looked = [inspect_rollout(path) for path in some]
    origins = Counter(_origin(read_meta(path)) for path in some)
    last = [(read_rollout(path), path.name) for path in files[-_SHOWN:]]
    richest = max(last, key=lambda pair: pair[0].episode_return)
    return Data(
        files=len(files),
        looked_at=len(some),
        lengths=tuple(len(each) for each in looked),
        returns=tuple(each.episode_return for each in looked),
        terminals=sum(bool(each.terminals.any()) for each in looked),
        actions=np.concatenate([each.actions for each in looked]),
        origins=tuple(origins.most_common()),
        last=tuple(each for each, _ in last),
        rollout=richest[0],
        rollout_file=richest[1],
        frames=some_frames([each for each, _ in last]),
    )


def spread(items: Sequence[Path], most: int) -> list[Path]:
    """At most `most` items, evenly spread."""
    if len(items) <= most:
        return list(items)
    return [items[index] for index in np.linspace(0, len(items) - 1, most).round().astype(int)]


def some_frames(rollouts: Sequence[Rollout]) -> UInt8Array:
    """At most 512 frames of rollouts, evenly spread."""
    everything = np.concatenate([each.observations for each in rollouts])
    rows = np.linspace(0, len(everything) - 1, min(len(everything), _FRAMES)).round().astype(int)
    picked: UInt8Array = everything[rows]
    return picked


def _origin(meta: Mapping[str, object]) -> tuple[str, str, str]:
    return (
        str(meta.get("env_id", "not recorded")),
        str(meta.get("backend", "not recorded")),
        str(meta.get("policy", "not recorded")),
    )
