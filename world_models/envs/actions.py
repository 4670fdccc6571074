"""Policy output to native action and back: the only place that knows action spaces.

Three forms of an action:
  raw     what C gives, any real numbers (A,);
  action  what files store, M reads and policies return: float32 (A,), a Box's own numbers, a one-hot row, or
          one number in [-1, 1] where a Discrete's actions lie along a line (left, stay, right);
  native  what `env.step` takes: the Box's array or a Discrete's integer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
import torch

from world_models.errors import ActionSpaceError
from world_models.types import FloatArray


def _clipped_tanh(raw: torch.Tensor) -> torch.Tensor:
    return raw.tanh().clamp_min(0.0)


# How C's output k becomes a number in [low, high] of a Box, by name.
SQUASHES: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "clipped_tanh": _clipped_tanh,
}
_RANGES = {"tanh": (-1.0, 1.0), "sigmoid": (0.0, 1.0), "clipped_tanh": (0.0, 1.0)}


class ActionAdapter:
    """Actions of one environment.

    Args:
        space: A bounded Box of one dimension, or Discrete.
        squash: One name of `SQUASHES` a dimension; by default tanh over [low, high].
        where: The environment's name, for messages.
        line: For Discrete alone: its actions in their order along a line. C has then one output, which thresholds
            cut into equal parts of [-1, 1] (three actions: at ±1/3), and actions are -1, ..., 1, equally spaced.

    Attributes:
        discrete: Whether there is a finite number of actions; `choices` (n, A) are these, as stored.

    Raises:
        ActionSpaceError: for any other space, or a line that is not the space's.
    """

    def __init__(
        self,
        space: gymnasium.Space[object],
        squash: Sequence[str] | None = None,
        where: str = "the environment",
        line: Sequence[int] | None = None,
    ) -> None:
        self.space = space
        self.discrete = isinstance(space, gymnasium.spaces.Discrete)
        self._line = None if line is None else np.asarray(line, np.int64)
        if isinstance(space, gymnasium.spaces.Discrete):
            self.size = int(space.n) if line is None else 1
            self._start = int(space.start)
            self.low = np.full(self.size, 0 if line is None else -1, np.float32)
            self.high = np.ones(self.size, np.float32)
            self.choices = np.eye(int(space.n), dtype=np.float32)
            if line is not None:
                self._check_line(space, line, where)
                self.choices = np.linspace(-1, 1, len(line), dtype=np.float32)[:, None]
        elif isinstance(space, gymnasium.spaces.Box) and len(space.shape) == 1 and space.is_bounded("both"):
            self.size = int(space.shape[0])
            self.low = space.low.astype(np.float32)
            self.high = space.high.astype(np.float32)
        else:
            raise ActionSpaceError(
                f"The action space of {where} is {space}: only Discrete and bounded one-dimensional Box "
                "spaces can be driven; wrap the environment (gymnasium.wrappers.TransformAction)."
            )
        self._squash = list(squash) if squash is not None else ["tanh"] * self.size
        if not self.discrete and len(self._squash) != self.size:
            raise ActionSpaceError(f"{where} has {self.size} actions but {len(self._squash)} squashes are named.")
        if line is not None and not self.discrete:
            raise ActionSpaceError(f"The actions of {where} are {space}: only a Discrete space's lie along a line.")

    @staticmethod
    def _check_line(space: gymnasium.spaces.Discrete, line: Sequence[int], where: str) -> None:
        if len(line) < 2 or len(set(line)) < len(line) or not all(space.contains(int(action)) for action in line):
            raise ActionSpaceError(
                f"line={tuple(line)} is no order of actions of {where}, {space}: name at least two, each once."
            )

    def from_raw(self, raw: torch.Tensor) -> torch.Tensor:
        """C's output (n, A) as actions (n, A): squashed into the Box, one-hot at the largest, or cut by thresholds."""
        if self._line is not None:
            count = len(self._line)
            thresholds = torch.linspace(-1, 1, count + 1, dtype=raw.dtype, device=raw.device)[1:-1]
            places = torch.bucketize(raw, thresholds)  # a threshold itself belongs to the action below it
            return places.to(raw.dtype) * (2 / (count - 1)) - 1
        if self.discrete:
            return torch.nn.functional.one_hot(raw.argmax(-1), self.size).to(raw.dtype)
        columns = []
        for k, name in enumerate(self._squash):
            squashed = SQUASHES[name](raw[..., k])
            (bottom, top), (low, high) = _RANGES[name], (float(self.low[k]), float(self.high[k]))
            if (low, high) != (bottom, top):
                squashed = (low + (squashed - bottom) / (top - bottom) * (high - low)).clamp(low, high)
            columns.append(squashed)
        return torch.stack(columns, dim=-1)

    def native(self, actions: FloatArray) -> npt.NDArray[Any]:
        """Actions (n, A) as what `env.step` takes, stacked: (n, A) float32 inside the Box, or (n,) int64."""
        if self._line is not None:
            steps = (np.clip(actions[..., 0], -1, 1) + 1) / 2 * (len(self._line) - 1)
            return np.asarray(self._line[np.rint(steps).astype(np.int64)], np.int64)
        if self.discrete:
            return np.asarray(actions.argmax(-1) + self._start, np.int64)
        return np.asarray(np.clip(actions, self.low, self.high), np.float32)

    def stored(self, native: npt.ArrayLike) -> FloatArray:
        """What `env.step` takes, stacked, as actions (n, A): the inverse of `native`."""
        if self._line is not None:
            return self.choices[[self._line.tolist().index(int(action)) for action in np.ravel(native)]]
        if self.discrete:
            return self.choices[np.ravel(np.asarray(native, np.int64)) - self._start]
        return np.clip(np.asarray(native, np.float32).reshape(-1, self.size), self.low, self.high)
