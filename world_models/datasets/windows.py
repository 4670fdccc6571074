"""Windows of episodes: which rows make up a sequence that M learns from, and in which order they come."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import numpy as np
import torch

from world_models.datasets.checks import check_at_least_1
from world_models.errors import DataError
from world_models.types import BoolArray, IntArray


class WindowBatches(ABC):
    """Batches of windows of seq_len + 1 rows that never cross an episode; what a row is, subclasses say.

    With `shuffle`, each epoch cuts each episode from another starting row on into windows that do not
    overlap, and puts all windows in a random order; without, they are cut from row 0 on and stay in order.
    An episode of fewer rows gives one window, whose last rows are its last one again; a batch with such a window
    has, beside what subclasses put into it, `mask` (B, T + 1), bool, on the CPU: which rows are real. Where every
    episode has fewer, T is the longest one's. Loaders of equal lengths, episodes, sizes and seed give the same
    windows in the same order, whatever their rows are.

    An episode needs 2 rows, a transition and the next latent; with `ended` it needs 1.

    Args:
        lengths: (E,) rows of each episode.
        offsets: (E,) the row at which each begins.
        episodes: which of them to use.
        batch_size: B; the last batch of an epoch may be smaller.
        seq_len: T at most; a window has T transitions, and T + 1 rows.
        seed: of the windows and their order, with the epoch.
        shuffle: see above.
        device: where the tensors are wanted.
        max_batches: end an epoch after so many batches.
        ended: (E,) which episodes ended in a terminal: each of them gives, beside the others, a window whose last
            row is its last (once, where the others have it already). None: no such windows.

    Attributes:
        lengths: (n,) rows of each episode that is used.
        seq_len: T.

    Raises:
        DataError: not one of the episodes is long enough.
    """

    def __init__(
        self,
        lengths: IntArray,
        offsets: IntArray,
        episodes: Sequence[int],
        batch_size: int,
        seq_len: int,
        seed: int,
        shuffle: bool,
        device: torch.device | str,
        max_batches: int | None,
        ended: BoolArray | None = None,
    ) -> None:
        check_positive(batch_size=batch_size, seq_len=seq_len, max_batches=max_batches)
        chosen = np.asarray(episodes, dtype=np.int64)
        used = chosen[lengths[chosen] >= least_rows(ended is not None)]
        _check_some_left(lengths[chosen], len(used), ended is not None)
        self.lengths, self._offsets = lengths[used], offsets[used]
        self._last_rows = np.sort(self._offsets + self.lengths - 1)
        self._ended = None if ended is None else ended[used]
        self.batch_size = batch_size
        self.seq_len = min(seq_len, max(int(self.lengths.max()) - 1, 1))
        self.seed = seed
        self.shuffle = shuffle
        self.device = torch.device(device)
        self.max_batches = max_batches
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Chooses the epoch that the next iteration gives; the number of batches may change with it."""
        self.epoch = epoch
        rng = order_generator(self.seed, epoch) if self.shuffle else None
        self._starts = cut_windows(self.lengths, self._offsets, self.seq_len, rng)
        if self._ended is not None:
            last_starts = np.maximum(self._offsets + self.lengths - self.seq_len - 1, self._offsets)
            starts = np.union1d(self._starts, last_starts[self._ended])
            self._starts = starts if rng is None else rng.permutation(starts)

    def __len__(self) -> int:
        return count_batches(len(self._starts), self.batch_size, self.max_batches)

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        starts = self._starts
        for number in range(len(self)):
            rows, real = self._rows(starts[number * self.batch_size : (number + 1) * self.batch_size])
            batch = self._batch(rows)
            yield batch if real.all() else batch | {"mask": torch.from_numpy(real)}

    def _rows(self, starts: IntArray) -> tuple[IntArray, BoolArray]:
        """The rows (B, T + 1) of the windows that begin at `starts` (B,), and which are real."""
        rows = starts[:, None] + np.arange(self.seq_len + 1)
        last = self._last_rows[np.searchsorted(self._last_rows, starts)][:, None]
        return np.minimum(rows, last), rows <= last

    @abstractmethod
    def _batch(self, rows: IntArray) -> dict[str, torch.Tensor]:
        """The batch of the windows `rows` (B, T + 1)."""


def cut_windows(lengths: IntArray, offsets: IntArray, seq_len: int, rng: np.random.Generator | None) -> IntArray:
    """The first rows of windows of seq_len + 1 rows; an episode of fewer rows gives one, from its first row on.

    Windows do not overlap. With `rng` each episode is cut from a random row on (never so late that a whole
    window could stand before it) and the windows are shuffled; without it, from its first row on, in order.
    """
    span = seq_len + 1
    phases = np.zeros_like(lengths)
    if rng is not None:
        phases = rng.integers(0, np.clip(lengths - span, 0, seq_len), endpoint=True)
    counts = np.maximum((lengths - phases) // span, 1)
    place = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    starts: IntArray = np.repeat(offsets + phases, counts) + place * span
    return starts if rng is None else rng.permutation(starts)


def least_rows(whole: bool) -> int:
    """Rows that an episode must have to give a window: one, of whole windows; else also the next latent's."""
    return 1 if whole else 2


def order_generator(seed: int, epoch: int) -> np.random.Generator:
    """The random generator of an epoch's order; it depends on these two alone."""
    return np.random.default_rng([seed, epoch])


def count_batches(items: int, batch_size: int, max_batches: int | None) -> int:
    """Batches of an epoch, the last of which may be smaller."""
    batches = -(-items // batch_size)
    return batches if max_batches is None else min(batches, max_batches)


def check_positive(**values: int | None) -> None:
    """Raises ConfigError for the first of these settings that is below 1; None is no setting."""
    for name, value in values.items():
        if value is not None:
            check_at_least_1(name, value)


def _check_some_left(lengths: IntArray, left: int, whole: bool) -> None:
    if left == 0:
        longest = int(lengths.max()) if len(lengths) else 0
        raise DataError(
            f"none of the {len(lengths)} episodes has the {least_rows(whole)} rows that M needs to learn from (the "
            f"longest has {longest}); collect longer episodes"
        )
