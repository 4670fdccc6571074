"""Policy output to native action and back: the only place that knows action spaces.

Three forms of an action:
  raw     what C gives, any real numbers (A,);
  action  what files store, M reads and policies return: float32 (A,), a Box's own numbers (whole ones where it is of
          integers), a one-hot row, or one number in [-1, 1] where a Discrete's actions lie along a line (left,
          stay, right);
  native  what `env.step` takes: the Box's array or a Discrete's integer, in the space's own dtype and inside it.
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


_MOST_CHOICES = 4096  # C and M have an output and an input for each


def check_finite(actions: npt.ArrayLike, where: str) -> None:
    """Raises ActionSpaceError, with its row, where actions (n, A) or (A,) hold NaN or infinity."""
    try:
        numbers = np.asarray(actions)
    except (TypeError, ValueError, RuntimeError):  # not an array's: the environment says so
        return
    if numbers.dtype.kind != "f" or np.isfinite(numbers).all():
        return
    rows = np.atleast_2d(numbers)
    row = int(np.flatnonzero(~np.isfinite(rows).reshape(len(rows), -1).all(1))[0])
    error = ActionSpaceError(
        f"The action for {where} is {rows[row].tolist()}, which no environment gets: where C gave it, weights of V, M "
        "or C are no finite numbers; take another checkpoint."
    )
    error.row = row
    raise error


class ActionAdapter:
    """Actions of one environment.

    Args:
        space: A bounded Box of one dimension, of any dtype, or Discrete.
        squash: One name of `SQUASHES` a dimension; by default tanh over [low, high].
        where: The environment's name, for messages.
        line: For Discrete alone: its actions in their order along a line. C has then one output, which thresholds
            cut into equal parts of [-1, 1] (three actions: at ±1/3), and actions are -1, ..., 1, equally spaced.

    Attributes:
        discrete: Whether there is a finite number of actions; `choices` (n, A) are these, as stored.
        low, high: float32 (A,), bounds of actions as stored.
        whole: Whether they are whole numbers, as in a Box of integers.

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
        self.space, self.where = space, where
        self.discrete = isinstance(space, gymnasium.spaces.Discrete)
        self.whole = False
        self._line = None if line is None else np.asarray(line, np.int64)
        if isinstance(space, gymnasium.spaces.Discrete):
            self._take_discrete(space, line)
        elif isinstance(space, gymnasium.spaces.Box) and len(space.shape) == 1 and space.shape[0] > 0:
            self._take_box(space)
        else:
            raise self._undrivable()
        self._squash = list(squash) if squash is not None else ["tanh"] * self.size
        if not self.discrete and len(self._squash) != self.size:
            raise ActionSpaceError(f"{where} has {self.size} actions but {len(self._squash)} squashes are named.")
        if line is not None and not self.discrete:
            raise ActionSpaceError(f"The actions of {where} are {space}: only a Discrete space's lie along a line.")

    def _undrivable(self) -> ActionSpaceError:
        return ActionSpaceError(
            f"The action space of {self.where} is {self.space}: only Discrete (of {_MOST_CHOICES} actions at most) and "
            "one-dimensional Box spaces whose bounds are finite in float32 can be driven; wrap the environment "
            "(gymnasium.wrappers.TransformAction)."
        )

    def _take_discrete(self, space: gymnasium.spaces.Discrete, line: Sequence[int] | None) -> None:
        self._start = int(space.start)
        self.size = int(space.n) if line is None else 1
        if line is not None:
            self._check_line(space, line, self.where)
            self.choices = np.linspace(-1, 1, len(line), dtype=np.float32)[:, None]
        elif self.size > _MOST_CHOICES:
            raise self._undrivable()
        else:
            self.choices = np.eye(self.size, dtype=np.float32)
        self.low = np.full(self.size, 0 if line is None else -1, np.float32)
        self.high = np.ones(self.size, np.float32)

    def _take_box(self, space: gymnasium.spaces.Box) -> None:
        with np.errstate(over="ignore"):
            self.low, self.high = space.low.astype(np.float32), space.high.astype(np.float32)
            widths = self.high - self.low
        if not space.is_bounded("both") or not np.isfinite([self.low, self.high, widths]).all():
            raise self._undrivable()  # bounds as wide as float32 stand for none, and no tanh reaches over them
        self.size = int(space.shape[0])
        self.whole = space.dtype is not None and space.dtype.kind in "biu"

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
        actions = torch.stack(columns, dim=-1)
        return actions.round() + 0.0 if self.whole else actions  # and no -0

    def fitted(self, actions: npt.ArrayLike) -> FloatArray:
        """Any numbers (n, A) as actions of a Box, as stored: clipped to its bounds, rounded where it is of integers."""
        stored = np.clip(np.asarray(actions, np.float32), self.low, self.high)
        return np.rint(stored) + np.float32(0) if self.whole else stored

    def native(self, actions: FloatArray) -> npt.NDArray[Any]:
        """Actions (n, A) as what `env.step` takes, stacked: (n, A) of a Box, (n,) of Discrete, each in the space.

        Raises:
            ActionSpaceError: an action is NaN or infinite; it says which row.
        """
        check_finite(actions, self.where)
        dtype = self.space.dtype or np.dtype(np.int64)
        if self._line is not None:
            steps = (np.clip(actions[..., 0], -1, 1) + 1) / 2 * (len(self._line) - 1)
            return self._line[np.rint(steps).astype(np.int64)].astype(dtype)
        if self.discrete:
            return np.asarray(actions.argmax(-1) + self._start, dtype)
        assert isinstance(self.space, gymnasium.spaces.Box)
        numbers: npt.NDArray[Any] = np.asarray(actions)
        if self.whole:
            numbers = _castable(np.rint(numbers.astype(np.float64)), dtype)
        elif dtype == np.float16:  # what is beyond it would be infinity
            numbers = np.clip(numbers, self.low, self.high)
        return np.asarray(np.clip(numbers.astype(dtype), self.space.low, self.space.high))

    def stored(self, native: npt.ArrayLike) -> FloatArray:
        """What `env.step` takes, stacked, as actions (n, A): the inverse of `native`.

        Raises:
            ActionSpaceError: it is no action of the space, NaN or infinite.
        """
        numbers = np.asarray(native)
        if not self.discrete:
            if numbers.dtype.kind not in "biuf" or numbers.size % self.size:
                raise self._stranger(native)
            check_finite(numbers.reshape(-1, self.size), self.where)
            return np.clip(np.asarray(numbers, np.float32).reshape(-1, self.size), self.low, self.high)
        order = self._line.tolist() if self._line is not None else range(self._start, self._start + self.size)
        if numbers.dtype.kind not in "biu" or not all(int(action) in order for action in numbers.ravel()):
            raise self._stranger(native)
        return self.choices[[order.index(int(action)) for action in numbers.ravel()]]

    def as_stored(self, actions: npt.ArrayLike) -> FloatArray:
        """Actions in either form as stored, (..., A), with any leading axes.

        Args:
            actions: Floats (..., A), of a Box clipped to its bounds, of Discrete left as they are; or what `env.step`
                takes, (..., A) of a Box and (...) of Discrete.

        Raises:
            ActionSpaceError: they are no actions of the space.
        """
        numbers = np.asarray(actions)
        native = self.discrete and numbers.dtype.kind != "f"
        if not native and numbers.shape[-1:] != (self.size,):
            raise self._stranger(actions)
        if self.discrete and not native:
            return numbers.astype(np.float32)
        return self.stored(numbers).reshape(*(numbers.shape if native else numbers.shape[:-1]), self.size)

    def _stranger(self, native: npt.ArrayLike) -> ActionSpaceError:
        return ActionSpaceError(f"{native!r} is no action of {self.where}, which takes {self.space}.")


def _castable(numbers: npt.NDArray[np.float64], dtype: np.dtype[Any]) -> npt.NDArray[np.float64]:
    """Numbers clipped to what an integer type holds: the float nearest to its last one may lie beyond it."""
    if dtype.kind == "b":
        return np.clip(numbers, 0, 1)
    info = np.iinfo(dtype)
    last = float(info.max)
    return np.clip(numbers, float(info.min), last if int(last) <= info.max else np.nextafter(last, 0))
