"""LatentSequenceDataset: windows of precomputed latents (specification, Stage 2 "Precomputed latents")."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset

from world_models.datasets.checks import check_at_least_1, index_in_range, too_short
from world_models.datasets.rollout_files import split_files
from world_models.errors import DataError
from world_models.types import FloatArray, IntArray

Sequences = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


class LatentSequenceDataset(Dataset[Sequences]):
    """Sequences of precomputed latents, for M; without a buffer, so any num_workers will do.

    Each sample is a tuple of float32 tensors: latent (seq_len, Z), action (seq_len, A), reward (seq_len,),
    terminal (seq_len,), next latent (seq_len, Z) with next[t] = latent[t + 1]. There is one for each row that
    has seq_len more rows of its episode after it.

    Args:
        latents_arr: (N, Z); actions: (N, A); rewards, terminals: (N,). Converted to float32.
        train: the training episodes, or else the test episodes.
        buffer_size: taken for the sake of one signature with the other datasets; there is no buffer.
        num_test_files: the last so many episodes (one a file) are the test episodes; with too few episodes
            all are training episodes.
        seq_len: steps of a sequence.
        episode_lengths: (E,) rows of each episode, in order. Where it is not given, an episode ends at each
            terminal of 1; time limits leave no such mark, so give the lengths where they are known.

    Raises:
        DataError: the arrays do not fit together, or no training episode is long enough.
        ConfigError: `seq_len` is less than 1, or `num_test_files` is negative.
    """

    def __init__(
        self,
        latents_arr: npt.ArrayLike,
        actions: npt.ArrayLike,
        rewards: npt.ArrayLike,
        terminals: npt.ArrayLike,
        train: bool = True,
        buffer_size: int = 200,
        num_test_files: int = 600,
        seq_len: int = 32,
        episode_lengths: npt.ArrayLike | None = None,
    ) -> None:
        check_at_least_1("seq_len", seq_len)
        self.latents = _rows("latents_arr", latents_arr, 2)
        self.actions = _rows("actions", actions, 2)
        self.rewards = _rows("rewards", rewards, 1)
        self.terminals = _rows("terminals", terminals, 1)
        self._check_equal_rows()
        self.train = train
        self.buffer_size = buffer_size
        self.num_test_files = num_test_files
        self.seq_len = seq_len
        lengths = _episode_lengths(self.terminals, episode_lengths)
        self._starts = self._window_starts(lengths)

    def _check_equal_rows(self) -> None:
        rows = len(self.latents)
        for name, array in (
            ("actions", self.actions),
            ("rewards", self.rewards),
            ("terminals", self.terminals),
        ):
            if len(array) != rows:
                raise DataError(f"{name} has {len(array)} rows and latents_arr {rows}; give one row a step")

    def _window_starts(self, lengths: IntArray) -> IntArray:
        """The first rows of all windows of the chosen episodes."""
        offsets = np.cumsum(lengths) - lengths
        cut = _episode_cut(len(lengths), self.num_test_files)
        chosen = slice(None, cut) if self.train else slice(cut, None)
        lengths, offsets = lengths[chosen], offsets[chosen]
        if self.train and not (lengths > self.seq_len).any():
            raise DataError(too_short("the episodes", self.seq_len, int(lengths.max(initial=0))))
        counts = np.maximum(0, lengths - self.seq_len)
        before = np.cumsum(counts) - counts
        starts: IntArray = np.repeat(offsets - before, counts) + np.arange(counts.sum())
        return starts

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, index: int) -> Sequences:
        start = int(self._starts[index_in_range(index, len(self), type(self).__name__)])
        rows = slice(start, start + self.seq_len)
        latents = torch.from_numpy(self.latents[start : start + self.seq_len + 1].copy())
        return (
            latents[:-1],
            torch.from_numpy(self.actions[rows].copy()),
            torch.from_numpy(self.rewards[rows].copy()),
            torch.from_numpy(self.terminals[rows].copy()),
            latents[1:],
        )


def _episode_cut(episodes: int, num_test_files: int) -> int:
    """Where the test episodes begin; the rule is that of `split_files`."""
    names = [Path(f"{i:012d}") for i in range(episodes)]
    return len(split_files(names, num_test_files, train=True))


def _episode_lengths(terminals: FloatArray, given: npt.ArrayLike | None) -> IntArray:
    rows = len(terminals)
    if given is None:
        ends = np.union1d(np.flatnonzero(terminals > 0.5) + 1, [rows] if rows else [])
        return np.diff(ends, prepend=0).astype(np.int64)
    lengths = np.asarray(given, dtype=np.int64)
    if lengths.ndim != 1 or (lengths < 0).any() or lengths.sum() != rows:
        raise DataError(
            f"episode_lengths sum to {lengths.sum()} and there are {rows} rows of latents; "
            "give the rows of each episode, in order"
        )
    return lengths


def _rows(name: str, values: npt.ArrayLike, ndim: int) -> FloatArray:
    array = np.asarray(values, dtype=np.float32)
    if array.ndim != ndim:
        raise DataError(f"{name} has shape {array.shape}; give an array of {ndim} dimensions, one row a step")
    return array
