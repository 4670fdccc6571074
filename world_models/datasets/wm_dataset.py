"""The four documented datasets (specification, Stage 1 "Data pipeline" and Stage 2 "Precomputed latents").

The three over rollout files hold `buffer_size` of them in memory at a time and go on to the next ones with
`load_next_buffer()`, so they belong into a DataLoader with num_workers=0; `LatentSequenceDataset` works on
arrays and takes workers. Our own training reads through loaders.py, which needs no buffer.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Dataset, get_worker_info

from world_models.datasets.checks import check_at_least_1, index_in_range, too_short
from world_models.datasets.latent_sequences import LatentSequenceDataset, Sequences
from world_models.datasets.rollout_files import list_rollouts, read_rollout, split_files
from world_models.datasets.transforms import Transform, frames_to_images, transformed_image
from world_models.errors import ConfigError, DataError
from world_models.types import Rollout

__all__ = ["LatentSequenceDataset", "ObservationDataset", "RolloutDataset", "SequenceDataset"]


class RolloutDataset(Dataset[Any]):
    """Steps of rollout files, through a circular buffer of files.

    Indices count the steps of the files in the buffer, and `len()` is their number. The first buffer is
    loaded when it is first needed; `load_next_buffer()` goes on to the next files, and after the last ones
    to the first again.

    Each sample is a dict of float32 tensors: observation (3, 64, 64) in [0, 1], action (A,), reward (),
    terminal ().

    Args:
        root: the data folder.
        transform: called as `transform(image=frame)["image"]` on each uint8 (64, 64, 3) frame, or as
            `transform(frame)` where it takes no `image`.
        train: the training files, or else the test files.
        buffer_size: how many files to hold at a time.
        num_test_files: the last so many files, sorted, are the test files; with too few files all are
            training files.

    Raises:
        DataError: the folder has no rollouts; later, a file breaks the schema.
        ConfigError: `buffer_size` is less than 1, or `num_test_files` is negative.
    """

    def __init__(
        self,
        root: str | Path,
        transform: Transform | None = None,
        train: bool = True,
        buffer_size: int = 200,
        num_test_files: int = 600,
    ) -> None:
        check_at_least_1("buffer_size", buffer_size)
        self.root = Path(root)
        self.transform = transform
        self.train = train
        self.buffer_size = buffer_size
        self.num_test_files = num_test_files
        self.files = split_files(list_rollouts(self.root), num_test_files, train)
        self._next_file = 0
        self._buffer: list[Rollout] | None = None
        self._ends: list[int] = []

    def load_next_buffer(self) -> None:
        """Replaces the buffer by the next `buffer_size` files (fewer at the end of the list).

        Raises:
            ConfigError: called in a DataLoader worker, whose buffer the other processes would never see.
            DataError: a file breaks the schema; the buffer stays as it was.
        """
        _refuse_worker(type(self).__name__)
        files = self.files[self._next_file : self._next_file + self.buffer_size]
        buffer = [read_rollout(file) for file in files]
        self._ends = list(accumulate(self._samples_in(len(rollout)) for rollout in buffer))
        self._buffer = buffer
        end = self._next_file + len(files)
        self._next_file = end if end < len(self.files) else 0

    def __len__(self) -> int:
        self._loaded()
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, index: int) -> Any:
        buffer = self._loaded()
        index = index_in_range(index, len(self), type(self).__name__)
        file = bisect_right(self._ends, index)
        start = self._ends[file - 1] if file else 0
        return self._get_data(buffer[file], index - start)

    def _loaded(self) -> list[Rollout]:
        _refuse_worker(type(self).__name__)
        if self._buffer is None:
            self.load_next_buffer()
        return self._buffer or []

    def _samples_in(self, length: int) -> int:
        """How many samples a rollout of `length` steps gives."""
        return length

    def _get_data(self, rollout: Rollout, index: int) -> Any:
        """Sample `index` of a rollout; what subclasses override."""
        return {
            "observation": transformed_image(self.transform, rollout.observations[index]),
            "action": torch.from_numpy(rollout.actions[index].copy()),
            "reward": torch.tensor(rollout.rewards[index]),
            "terminal": torch.tensor(rollout.terminals[index]),
        }


class ObservationDataset(RolloutDataset):
    """The frames alone, for V: each sample is an image (3, 64, 64) float32 in [0, 1].

    The arguments and errors are those of `RolloutDataset`.
    """

    def _get_data(self, rollout: Rollout, index: int) -> torch.Tensor:
        return transformed_image(self.transform, rollout.observations[index])


class SequenceDataset(RolloutDataset):
    """Sequences of frames, for M without precomputed latents.

    Each sample is a tuple of float32 tensors: observations (seq_len, 3, 64, 64) in [0, 1], actions
    (seq_len, A), rewards (seq_len,), terminals (seq_len,), next observations (seq_len, 3, 64, 64), where row
    t of the last is row t + 1 of the episode. A sequence lies within one file; files of fewer than
    seq_len + 1 steps give none.

    Args:
        root, transform, train, buffer_size, num_test_files: as for `RolloutDataset`; the transform is called
            on each frame by itself, so one with chance in it would treat the frames of a sequence unlike.
        seq_len: steps of a sequence.

    Raises:
        DataError: as `RolloutDataset`; also when no file is long enough.
        ConfigError: `seq_len` or `buffer_size` is less than 1, or `num_test_files` is negative.
    """

    def __init__(
        self,
        root: str | Path,
        transform: Transform | None = None,
        train: bool = True,
        buffer_size: int = 200,
        num_test_files: int = 600,
        seq_len: int = 32,
    ) -> None:
        check_at_least_1("seq_len", seq_len)
        super().__init__(root, transform, train, buffer_size, num_test_files)
        self.seq_len = seq_len

    def load_next_buffer(self) -> None:
        """As `RolloutDataset`'s, but buffers without a file that is long enough are passed over."""
        longest = 0
        for _ in range(-(-len(self.files) // self.buffer_size)):
            super().load_next_buffer()
            if self._ends[-1] > 0:
                return
            longest = max(longest, *map(len, self._buffer or []))
        self._buffer = []
        self._ends = []
        if self.files:
            raise DataError(too_short(f"the {len(self.files)} files from {self.files[0]}", self.seq_len, longest))

    def _samples_in(self, length: int) -> int:
        return max(0, length - self.seq_len)

    def _get_data(self, rollout: Rollout, index: int) -> Sequences:
        steps = slice(index, index + self.seq_len)
        images = self._images(rollout, index)
        return (
            images[:-1],
            torch.from_numpy(rollout.actions[steps].copy()),
            torch.from_numpy(rollout.rewards[steps].copy()),
            torch.from_numpy(rollout.terminals[steps].copy()),
            images[1:],
        )

    def _images(self, rollout: Rollout, index: int) -> torch.Tensor:
        frames = rollout.observations[index : index + self.seq_len + 1]
        if self.transform is None:
            return frames_to_images(frames)
        return torch.stack([transformed_image(self.transform, frame) for frame in frames])


def _refuse_worker(name: str) -> None:
    if get_worker_info() is not None:
        raise ConfigError(
            f"{name} reads through a circular buffer of files, which a DataLoader worker would keep to "
            "itself; make the DataLoader with num_workers=0"
        )
