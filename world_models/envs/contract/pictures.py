"""What an environment shows, as pictures (H, W, 3) uint8: read where the meaning is plain, refused where it is not.

One reader an environment: it decides at the first picture where pictures come from, how their axes lie and which
values are black and white, says what it changes, and holds the environment to it.
"""

from __future__ import annotations

import logging
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from world_models.errors import ObservationError
from world_models.notices import say_once
from world_models.types import UInt8Array

_LOG = logging.getLogger(__name__)
_Array = npt.NDArray[Any]
_CHANNELS = (1, 3, 4)
_LEAST = 2  # pixels of a side
_LEAST_DECLARED, _LEAST_ALONE = 32, 8  # of an observation that nobody calls a picture; a smaller one is a table or grid
_WIDEST = 65535.0  # a declared range beyond this says nothing
_SLACK = 1e-3  # how far, in ranges, resizing in floats may have left the range
_MEND = "give uint8 pictures (H, W, 3)"


class Layout(NamedTuple):
    """How a picture's axes lie: `channels_first` or last, and how many `channels` there are (gray: 1)."""

    channels: int
    channels_first: bool


def layout_of(shape: tuple[int, ...], least: int = _LEAST) -> Layout | None:
    """(H, W), (H, W, C) or (C, H, W) with 1, 3 or 4 channels and sides of at least `least` pixels; None: no picture.

    Where first and last axis could both be channels, they are the last.
    """
    if len(shape) == 2 and min(shape) >= least:
        return Layout(1, False)
    if len(shape) == 3 and shape[2] in _CHANNELS and min(shape[:2]) >= least:
        return Layout(shape[2], False)
    if len(shape) == 3 and shape[0] in _CHANNELS and min(shape[1:]) >= least:
        return Layout(shape[0], True)
    return None


def declared_range(space: Any) -> tuple[float, float] | None:
    """(black, white) as a Box declares them, alike for all its entries; None where it does not say."""
    if not isinstance(space, gymnasium.spaces.Box) or not space.is_bounded("both") or not space.low.size:
        return None
    low, high = float(space.low.min()), float(space.high.max())
    alike = bool(np.all(space.low == space.low.flat[0]) and np.all(space.high == space.high.flat[0]))
    return (low, high) if alike and 0 < high - low <= _WIDEST else None


def declares_picture(space: Any) -> bool:
    """Whether observations are plainly pictures: a Box of uint8 (H, W, 3), or, at 32 pixels a side and more, one of
    (H, W), (H, W, 1), (1, H, W), (H, W, 3) or (3, H, W) with one range for all pixels. Four channels are not plain.
    """
    if not isinstance(space, gymnasium.spaces.Box):
        return False
    if space.dtype == np.uint8 and len(space.shape) == 3 and space.shape[2] == 3:
        return True
    layout = layout_of(space.shape, _LEAST_DECLARED)
    return layout is not None and layout.channels != 4 and declared_range(space) is not None


def _level(value: float, limits: tuple[float, float]) -> float:
    """A value of the range [black, white] on the scale of 0 to 255."""
    return 255 * (value - limits[0]) / (limits[1] - limits[0])


def name_of(env: gymnasium.Env[Any, Any]) -> str:
    """An environment's id, or its class where it has none."""
    return env.spec.id if env.spec is not None else type(env.unwrapped).__name__


class PictureReader:
    """Reads one environment's pictures.

    They are its observations where these are declared as pictures (`declares_picture`); else what it renders; else,
    where it renders nothing, an observation, or the only entry of a Dict, that has a picture's shape.

    Values: a declared range, alike for all pixels, is black to white; floats or wide integers of no declared range are
    [0, 1] if none of the first picture's is above 1, else [0, 255]; bool is black or white. Gray fills three channels.
    A fourth channel is left out where it is opaque all over. Of a list of pictures the last is taken.

    Args:
        env: The environment, with all its wrappers.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        self._env, self.name = env, name_of(env)
        self._source: str | None = None  # "observation", "rendering", or "observation's 'key'"
        self._key: str | None = None
        self._space: Any = None  # what declares the source
        self._plain_shape: tuple[int, ...] | None = None  # of uint8 pictures that pass as they are
        self._shape: tuple[int, ...] | None = None
        self._dtype: np.dtype[Any] | None = None
        self._range: tuple[float, float] | None = None
        self._layout = Layout(3, False)

    def read(self, observation: Any) -> UInt8Array:
        """The picture (H, W, 3) uint8 that belongs to what `reset` or `step` gave.

        Raises:
            ObservationError: there is none, its meaning is not plain, or it is unlike the first.
        """
        shown = self._shown(observation) if self._source else self._first(observation)
        if type(shown) is np.ndarray and shown.shape == self._plain_shape and shown.dtype == np.uint8:
            return shown
        return self._converted(self._array(shown))

    def _first(self, observation: Any) -> Any:
        """Decides where pictures come from, and gives the first."""
        space = getattr(self._env, "observation_space", None)
        if declares_picture(space):
            self._source, self._space = "observation", space
            return observation
        rendered = self._rendered()
        if rendered is not None:
            self._source = "rendering"
            return rendered
        entries: dict[Any, Any] = {None: space}
        if isinstance(space, gymnasium.spaces.Dict):
            entries = dict(space.spaces)
        alone = [key for key, each in entries.items() if layout_of(getattr(each, "shape", None) or (), _LEAST_ALONE)]
        if len(alone) != 1:
            raise ObservationError(
                f"{self.name} gives neither pixel observations ({space}) nor rgb pictures: make it with "
                'render_mode="rgb_array".'
            )
        self._key, self._space = alone[0], entries[alone[0]]
        self._source = "observation" if self._key is None else f"observation's {self._key!r}"
        return self._shown(observation)

    def _shown(self, observation: Any) -> Any:
        if self._source == "rendering":
            return self._rendered()
        return observation if self._key is None else observation[self._key]

    def _rendered(self) -> Any:
        try:
            return self._env.render()
        except NotImplementedError:  # Gymnasium's own, where an environment has no `render`
            return None

    def _array(self, shown: Any) -> _Array:
        """Anything that holds numbers as an array: lists, tensors, Pillow's images; the last of a list of pictures."""
        listed = isinstance(shown, list | tuple)
        if listed and self._source == "rendering" and str(self._env.render_mode).endswith("_list"):
            if not shown:
                raise self._refusal("is an empty list", 'make it with render_mode="rgb_array"')
            shown, listed = shown[-1], False
        if isinstance(shown, torch.Tensor):
            shown = shown.detach().cpu().numpy()
        if isinstance(shown, Image.Image):
            shown = shown.convert("RGB")
        try:
            array = np.asarray(shown)
        except ValueError:
            raise self._refusal("is no array (its rows differ in length)", _MEND) from None
        if array.dtype.kind not in "biuf":
            raise self._refusal(f"is no array of numbers, but {type(shown).__name__}", _MEND)
        return array[-1] if listed and array.ndim == 4 and len(array) else array

    def _converted(self, array: _Array) -> UInt8Array:
        if self._shape is None:
            layout = layout_of(array.shape)
            if layout is None:
                raise self._refusal(f"is no picture, but {array.dtype} of shape {array.shape}", _MEND)
            self._shape, self._layout = array.shape, layout
        elif array.shape != self._shape:
            raise self._refusal(
                f"is {array.shape} where the first was {self._shape}",
                "give pictures of one size (gymnasium.wrappers.ResizeObservation)",
            )
        if not self._layout.channels_first:
            planes = array.reshape(*array.shape[:2], self._layout.channels)
        else:
            planes = np.moveaxis(array, 0, -1)
        undecided = self._range is None
        if undecided:  # pictures that are black say nothing of what numbers mean; the first other one does, for all
            self._range, self._dtype = self._range_of(array), array.dtype
        elif array.dtype != self._dtype:
            raise self._refusal(f"is {array.dtype} where others were {self._dtype}", "give pictures of one dtype")
        picture = self._three_channels(self._scaled(planes))
        if undecided and self._range is not None:
            self._say(array)
        return picture

    def _extremes(self, array: _Array) -> tuple[float, float]:
        smallest, largest = float(array.min()), float(array.max())
        if not np.isfinite([smallest, largest]).all():
            raise self._refusal(f"is {array.dtype} with NaN or infinity in it", "give finite numbers")
        return smallest, largest

    def _range_of(self, array: _Array) -> tuple[float, float] | None:
        """Which values are black and white; None: all is black so far."""
        declared = declared_range(self._space)
        if array.dtype == np.bool_:
            return 0.0, 1.0
        if array.dtype == np.uint8:
            return (0.0, 1.0) if declared == (0.0, 1.0) and array.max() <= 1 else (0.0, 255.0)
        smallest, largest = self._extremes(array)
        if smallest == largest == 0 and (declared is None or declared[0] == 0):
            return None
        # Declared as [0, 255] and never above 1 is a common slip, which would be all but black.
        wide = declared is None or (declared[0] == 0 and declared[1] >= 255)
        if wide and smallest >= -_SLACK and largest <= 1 + _SLACK:
            return 0.0, 1.0
        if declared is not None and (
            largest == declared[0] or largest - declared[0] > (declared[1] - declared[0]) / 510
        ):
            return declared
        if declared is not None or smallest < -_SLACK or largest > 255 * (1 + _SLACK):
            where = "no declared range" if declared is None else f"the declared [{declared[0]:g}, {declared[1]:g}]"
            raise self._refusal(
                f"is {array.dtype} of shape {array.shape} with values in [{smallest:g}, {largest:g}] of {where}",
                "give values in [0, 1] or [0, 255], or declare their range as the Box's low and high",
            )
        return 0.0, 255.0

    def _scaled(self, planes: _Array) -> UInt8Array:
        if self._range is None:
            return np.zeros(planes.shape, np.uint8)
        low, high = self._range
        if planes.dtype == np.uint8 and high == 255:
            return planes
        smallest, largest = self._extremes(planes)
        slack = _SLACK * (high - low)
        if smallest < low - slack or largest > high + slack:
            raise self._refusal(
                f"is {planes.dtype} with values in [{smallest:g}, {largest:g}] where [{low:g}, {high:g}] is "
                "declared or was seen before",
                "give all in one range, or declare it as the Box's low and high",
            )
        values = (planes.astype(np.float32) - np.float32(low)) * np.float32(255 / (high - low))
        return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)

    def _three_channels(self, planes: UInt8Array) -> UInt8Array:
        if planes.shape[2] == 1:
            return np.repeat(planes, 3, axis=2)
        if planes.shape[2] == 4:
            if self._range is not None and planes[..., 3].min() < 255:
                raise self._refusal(
                    f"has the shape {self._shape} with a fourth channel that is not opaque: it may be RGBA that shows "
                    "what is behind it, or four gray frames in one",
                    f"{_MEND}, and leave the stacking of frames out (M remembers)",
                )
            planes = planes[..., :3]
        return np.ascontiguousarray(planes)

    def _say(self, array: _Array) -> None:
        """Logs once what is changed about the pictures; from now on those that need no change pass unchecked."""
        assert self._range is not None
        changes = []
        if self._range != (0.0, 255.0):
            changes.append(f"values in [{self._range[0]:g}, {self._range[1]:g}] are scaled to 0..255")
        elif array.dtype.kind == "f":
            changes.append("values in [0, 255] are rounded")
        if self._layout.channels_first:
            changes.append("the first axis is taken as channels")
        if self._layout.channels == 1:
            changes.append("gray fills three channels")
        if self._layout.channels == 4:
            changes.append("the fourth channel, which is opaque, is left out")
        if not changes and array.dtype == np.uint8:
            self._plain_shape = array.shape
        if changes:
            what = f"{self.name}: its {self._source} is {array.dtype} {array.shape}"
            say_once(_LOG, "%s: %s.", what, ", ".join(changes))

    def _refusal(self, fault: str, mend: str) -> ObservationError:
        return ObservationError(f"{self.name}: its {self._source} {fault}; {mend}.")
