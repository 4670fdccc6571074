"""LatentSequenceDataset: windows of precomputed latents (specification, Stage 2 "Precomputed latents")."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset

from world_models.datasets.checks import check_at_least_1, index_in_range, too_short
from world_models.datasets.rollout_files import split_files
from world_models.errors import DataError
from world_models.notices import say_once
from world_models.types import BoolArray, FloatArray, IntArray

_LOG = logging.getLogger(__name__)

Sequences = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


class LatentSequenceDataset(Dataset[Sequences]):
    """Sequences of precomputed latents, for M; without a buffer, so any num_workers will do.

    Each sample is a tuple of float32 tensors: latent (seq_len, Z), action (seq_len, A), reward (seq_len,),
    terminal (seq_len,), next latent (seq_len, Z) with next[t] = latent[t + 1]. Windows lie end to end: the next
    one begins where the transitions of the last one end, so n rows give (n - 1) // seq_len of them.

    With `episode_lengths` windows are cut within each episode, and the last `num_test_files` episodes are the test
    part. Without them all rows are one sequence, the last `num_test_files` windows are the test part, and a window
    may go on over the end of an episode: terminals mark only some ends (a time limit leaves no mark), so they do
    not cut. Give the lengths where they are known; the file of `precompute_latents` has them under `lengths`.

    Args:
        latents_arr: (N, Z); actions: (N, A); rewards, terminals: (N,) or (N, 1). Converted to float32.
        train: the training part, or else the test part.
        buffer_size: taken for the sake of one signature with the other datasets; there is no buffer.
        num_test_files: how many episodes (one a file) or windows, see above, are the test part; where they are
            not fewer than all, all are training.
        seq_len: steps of a sequence.
        episode_lengths: (E,) rows of each episode, in order, or None.

    Raises:
        DataError: the arrays do not fit together, or there is no row for a training window.
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
        self._starts = self._whole_rows() if episode_lengths is None else self._within_episodes(episode_lengths)

    def _check_equal_rows(self) -> None:
        rows = len(self.latents)
        for name, array in (
            ("actions", self.actions),
            ("rewards", self.rewards),
            ("terminals", self.terminals),
        ):
            if len(array) != rows:
                raise DataError(f"{name} has {len(array)} rows and latents_arr {rows}; give one row a step")

    def _whole_rows(self) -> IntArray:
        """The first rows of the chosen windows of all rows in one sequence."""
        starts = _end_to_end(np.array([len(self.latents)]), self.seq_len)
        if self.train and not len(starts):
            raise DataError(too_short("the latents", self.seq_len, len(self.latents)))
        across = int(self.terminals[starts[:, None] + np.arange(self.seq_len)].any(axis=1).sum())
        if across:
            say_once(
                _LOG,
                "LatentSequenceDataset: %d of %d windows go on over an end that terminals mark; give episode_lengths",
                across,
                len(starts),
            )
        return starts[self._part(len(starts))]

    def _within_episodes(self, episode_lengths: npt.ArrayLike) -> IntArray:
        """The first rows of the windows of the chosen episodes."""
        lengths = _episode_lengths(len(self.latents), episode_lengths)
        chosen = np.zeros(len(lengths), bool)
        chosen[self._part(len(lengths))] = True
        if self.train and not (lengths[chosen] > self.seq_len).any():
            raise DataError(too_short("the episodes", self.seq_len, int(lengths[chosen].max(initial=0))))
        return _end_to_end(lengths, self.seq_len, chosen)

    def _part(self, count: int) -> slice:
        """Which of `count` episodes or windows are training, or test; the rule is that of `split_files`."""
        cut = len(split_files([Path()] * count, self.num_test_files, train=True))
        return slice(None, cut) if self.train else slice(cut, None)

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


def _end_to_end(lengths: IntArray, seq_len: int, chosen: BoolArray | None = None) -> IntArray:
    """The first rows of windows of seq_len transitions, one after the other, of episodes (E,) or the chosen ones.

    The last transition needs the row after it, so an episode of n rows gives (n - 1) // seq_len windows.
    """
    counts = np.maximum(0, lengths - 1) // seq_len * (True if chosen is None else chosen)
    before = np.cumsum(counts) - counts
    place = np.arange(counts.sum()) - np.repeat(before, counts)
    starts: IntArray = np.repeat(np.cumsum(lengths) - lengths, counts) + seq_len * place
    return starts


def _episode_lengths(rows: int, given: npt.ArrayLike) -> IntArray:
    lengths = np.asarray(given, dtype=np.int64)
    if lengths.ndim != 1 or (lengths < 0).any() or lengths.sum() != rows:
        raise DataError(
            f"episode_lengths sum to {lengths.sum()} and there are {rows} rows of latents; "
            "give the rows of each episode, in order"
        )
    return lengths


def _rows(name: str, values: npt.ArrayLike, ndim: int) -> FloatArray:
    array = np.asarray(values, dtype=np.float32)
    if ndim == 1 and array.shape[1:] == (1,):
        array = array[:, 0]  # a column loses nothing
    if array.ndim != ndim:
        raise DataError(f"{name} has shape {array.shape}; give an array of {ndim} dimensions, one row a step")
    return array
