"""What training reads from: batches of frames for V, batches of windows for M, all through memory maps.

Each loader is an iterable over one epoch. The order of an epoch follows from (seed, epoch) alone, so a run
that was stopped and goes on sees the same batches as one that was not: call `set_epoch` before each epoch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from world_models.datasets.frame_cache import FrameCache
from world_models.datasets.latents import Latents
from world_models.datasets.transforms import Transform, transformed_frame
from world_models.datasets.windows import (
    WindowBatches,
    check_positive,
    count_batches,
    cut_windows,
    order_generator,
)
from world_models.types import BoolArray, FloatArray, IntArray

__all__ = ["FrameBatches", "FrameSequenceBatches", "SequenceBatches", "WindowBatches", "cut_windows"]


class FrameBatches:
    """Batches of frames for V, shuffled over all frames of the chosen files.

    Iterating gives uint8 tensors (B, 64, 64, 3); the last batch of an epoch may be smaller. Within a batch
    the frames stand in the order in which they lie on the disk.

    Args:
        cache: where the frames are.
        file_indices: which of the cache's files.
        batch_size: B.
        shuffle: a new order for each epoch; else the order of the files.
        seed: of the order, with the epoch.
        transform: called as `transform(image=frame)["image"]` on each frame; gives 64x64 RGB.
        max_batches: end an epoch after so many batches.
    """

    def __init__(
        self,
        cache: FrameCache,
        file_indices: Sequence[int],
        batch_size: int,
        shuffle: bool,
        seed: int,
        transform: Transform | None = None,
        max_batches: int | None = None,
    ) -> None:
        check_positive(batch_size=batch_size, max_batches=max_batches)
        self.cache = cache
        self.rows = cache.rows_of(file_indices)
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self.transform = transform
        self.max_batches = max_batches
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Chooses the epoch that the next iteration gives."""
        self.epoch = epoch

    def __len__(self) -> int:
        return count_batches(len(self.rows), self.batch_size, self.max_batches)

    def __iter__(self) -> Iterator[torch.Tensor]:
        rows = self.rows
        if self.shuffle:
            rows = order_generator(self.seed, self.epoch).permutation(rows)
        for batch in range(len(self)):
            chosen = np.sort(rows[batch * self.batch_size : (batch + 1) * self.batch_size])
            yield self._transformed(self.cache.gather(chosen))

    def _transformed(self, frames: torch.Tensor) -> torch.Tensor:
        if self.transform is None:
            return frames
        transform = self.transform
        return torch.from_numpy(np.stack([transformed_frame(transform, frame) for frame in frames.numpy()]))


class SequenceBatches(WindowBatches):
    """Batches of windows of latents for M; everything lies on `device` from the start.

    Iterating gives dicts of float32 tensors: latent_mu, latent_logsigma (B, T + 1, Z); action (B, T, A);
    reward, terminal (B, T). Row t of action, reward and terminal is the transition from latent t to t + 1.
    The arguments are those of `WindowBatches`; lengths and offsets are those of `latents`. With `whole`, action,
    reward and terminal have all T + 1 rows of a window, and there are windows that end with an episode's end.
    """

    def __init__(
        self,
        latents: Latents,
        episodes: Sequence[int],
        batch_size: int,
        seq_len: int,
        seed: int,
        shuffle: bool,
        device: torch.device | str = "cpu",
        max_batches: int | None = None,
        whole: bool = False,
    ) -> None:
        super().__init__(
            latents.lengths,
            latents.offsets,
            episodes,
            batch_size,
            seq_len,
            seed,
            shuffle,
            device,
            max_batches,
            _ended(latents.terminals, latents.offsets, latents.lengths) if whole else None,
        )
        self._whole = whole
        self._windows = {"latent_mu": latents.mu, "latent_logsigma": latents.logsigma}
        self._steps = {"action": latents.actions, "reward": latents.rewards, "terminal": latents.terminals}
        self._tensors = {
            name: torch.from_numpy(array).to(self.device) for name, array in (self._windows | self._steps).items()
        }

    def _batch(self, rows: IntArray) -> dict[str, torch.Tensor]:
        all_rows = torch.from_numpy(rows).to(self.device)
        return {
            name: tensor[all_rows if self._whole or name in self._windows else all_rows[:, :-1]]
            for name, tensor in self._tensors.items()
        }


class FrameSequenceBatches(WindowBatches):
    """The same windows in the same order as `SequenceBatches`, with frames in place of the latents.

    Iterating gives dicts: frames uint8 (B, T + 1, 64, 64, 3), and action, reward, terminal as there. The
    arguments are those of `WindowBatches`; lengths and offsets are those of `cache`.
    """

    def __init__(
        self,
        cache: FrameCache,
        episodes: Sequence[int],
        batch_size: int,
        seq_len: int,
        seed: int,
        shuffle: bool,
        device: torch.device | str = "cpu",
        max_batches: int | None = None,
        whole: bool = False,
    ) -> None:
        ended = _ended(np.asarray(cache.terminals), cache.offsets, cache.lengths) if whole else None
        super().__init__(
            cache.lengths, cache.offsets, episodes, batch_size, seq_len, seed, shuffle, device, max_batches, ended
        )
        self._cache = cache
        self._whole = whole

    def _batch(self, rows: IntArray) -> dict[str, torch.Tensor]:
        steps = {
            "action": self._cache.actions,
            "reward": self._cache.rewards,
            "terminal": self._cache.terminals,
        }
        batch = {"frames": self._cache.gather(rows)}
        chosen = rows if self._whole else rows[:, :-1]
        batch |= {name: torch.from_numpy(np.asarray(array)[chosen]) for name, array in steps.items()}
        return {name: tensor.to(self.device) for name, tensor in batch.items()}


def _ended(terminals: FloatArray, offsets: IntArray, lengths: IntArray) -> BoolArray:
    """(E,) which of the episodes in `terminals` (N,) end in a terminal."""
    ended: BoolArray = terminals[offsets + lengths - 1] > 0.5
    return ended
