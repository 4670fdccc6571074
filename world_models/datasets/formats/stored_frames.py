"""Frames as other programs store them, turned into ours: uint8 (T, 64, 64, 3).

What is plain is used: another layout, another number format, another size. What can have several meanings is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from world_models.datasets.formats.npz import AnyArray
from world_models.datasets.formats.schema import FORMS, Wrong
from world_models.types import FRAME_SHAPE, FRAME_SIZE, UInt8Array
from world_models.vision.resize import resize_frames

_LEAST = 8  # pixels a side: what is smaller is no picture but a vector or a channel
_AT_ONCE = 128  # frames; a rollout of floats is 12 times as large as its bytes
_MEND = "store frames of 0 to 255 as uint8 (T, 64, 64, 3)"
_RANGE_MEND = "store frames of 0 to 255 as uint8, or floats of 0 to 1"


class Pictures(NamedTuple):
    """Frames (T, H, W, C) of 1, 3 or 4 channels, a view of what was stored, and what is remarkable about them."""

    frames: AnyArray
    remarks: list[str]

    @property
    def size(self) -> tuple[int, int]:
        """H and W, as stored."""
        return self.frames.shape[1], self.frames.shape[2]


def as_pictures(array: AnyArray) -> Pictures | Wrong:
    """The layout of frames, told by their shape alone."""
    if array.ndim == 5 and array.shape[1] == 1:
        return _noted(as_pictures(array[:, 0]), "the axis of length 1 behind the steps is left out")
    if array.ndim == 3 and min(array.shape[1:]) >= _LEAST:
        return Pictures(array[..., None], ["frames without a channel axis are read as gray"])
    if array.ndim == 4 and array.shape[3] in (1, 3, 4) and min(array.shape[1:3]) >= _LEAST:
        return Pictures(array, [])
    if array.ndim == 4 and array.shape[1] in (1, 3, 4) and min(array.shape[2:]) >= _LEAST:
        return Pictures(np.moveaxis(array, 1, -1), ["frames whose channels come first are turned round"])
    what = "vectors, not pictures" if array.ndim == 2 else "no pictures of 1, 3 or 4 channels"
    return Wrong(f"observations have shape {array.shape}, not {FORMS['observations']}: these are {what}", _MEND)


def _noted(pictures: Pictures | Wrong, remark: str) -> Pictures | Wrong:
    return pictures if isinstance(pictures, Wrong) else Pictures(pictures.frames, [*pictures.remarks, remark])


def told_by_header(pictures: Pictures) -> bool:
    """Whether shape and dtype say all; else the values have to be looked at."""
    return pictures.frames.dtype == np.uint8 and pictures.frames.shape[3] != 4


def outline(pictures: Pictures) -> UInt8Array:
    """Zeros of the shape that `stored` would give, which take no memory."""
    return np.broadcast_to(np.zeros((), np.uint8), (len(pictures.frames), *FRAME_SHAPE))


def remarks_on(pictures: Pictures) -> list[str]:
    """What is remarkable about frames that are read all the same, but for their number format."""
    remarks = list(pictures.remarks)
    channels, (height, width) = pictures.frames.shape[3], pictures.size
    if channels == 1:
        remarks.append("gray frames get three equal channels")
    if channels == 4:
        remarks.append("the alpha channel, opaque everywhere, is left out")
    if (height, width) != (FRAME_SIZE, FRAME_SIZE):
        remarks.append(f"frames of {width}x{height} pixels are resized to {FRAME_SIZE}x{FRAME_SIZE}")
    return remarks


def stored(pictures: Pictures) -> tuple[UInt8Array, list[str]] | Wrong:
    """Frames uint8 (T, 64, 64, 3), and what is remarkable about them.

    Floats up to 1 are taken for shares of 255. Frames of another size are resized whole, with anti-aliasing.
    """
    frames = pictures.frames
    if frames.dtype.kind not in "biuf":
        return Wrong(f"observations are {frames.dtype}, not numbers", _MEND)
    if frames.dtype == np.uint8 and frames.shape[1:] == FRAME_SHAPE:
        return frames, list(pictures.remarks)
    if (wrong := _wrong_range(frames)) is not None:
        return wrong
    shares = frames.dtype.kind == "b" or (frames.dtype.kind == "f" and frames.max(initial=0) <= 1)
    scale = 255.0 if shares else 1.0
    result = np.empty((len(frames), *FRAME_SHAPE), np.uint8)
    rounded = False
    for rows in _blocks(len(frames)):
        block, inexact = _as_bytes(frames[rows], scale)
        rounded |= inexact
        if frames.shape[3] == 4 and (block[..., 3] != 255).any():
            return Wrong(
                "observations have a 4th channel that is not 255 everywhere: it is no opaque alpha channel, and may be "
                "one of 4 stacked frames",
                "store three channels, or one of the stacked frames as gray (T, H, W)",
            )
        result[rows] = resize_frames(np.repeat(block, 3, -1) if block.shape[3] == 1 else block[..., :3])
    return result, [*_number_remarks(frames, scale, rounded), *remarks_on(pictures)]


def _blocks(rows: int) -> Iterator[slice]:
    return (slice(start, start + _AT_ONCE) for start in range(0, rows, _AT_ONCE))


def _wrong_range(frames: AnyArray) -> Wrong | None:
    """A pixel that is outside 0 to 255, or NaN."""
    for rows in _blocks(len(frames)) if frames.dtype.kind != "b" else ():
        block = frames[rows]
        bad = ~((block >= 0) & (block <= 255))
        if bad.any():
            index = [int(i) for i in np.unravel_index(int(np.argmax(bad)), bad.shape)]
            value, frame = block[tuple(index)], rows.start + index[0]
            return Wrong(f"observations ({frames.dtype}) have the pixel value {value} in frame {frame}", _RANGE_MEND)
    return None


def _as_bytes(block: AnyArray, scale: float) -> tuple[UInt8Array, bool]:
    """A block as uint8, and whether more than the number format's own error was rounded away."""
    if block.dtype == np.uint8:
        return block, False
    if block.dtype.kind in "iu":
        return block.astype(np.uint8), False
    values = block.astype(np.float64) * scale
    whole = np.rint(values)
    error = 255 * float(np.finfo(block.dtype).eps) if block.dtype.kind == "f" else 0.0
    return whole.astype(np.uint8), bool((np.abs(values - whole) > error).any())


def _number_remarks(frames: AnyArray, scale: float, rounded: bool) -> list[str]:
    if frames.dtype == np.uint8:
        return []
    how = "scaled from [0, 1] to 0 to 255" if scale != 1 else "read as uint8"
    return [f"{frames.dtype} frames are {how}" + (" and rounded to whole numbers" if rounded else "")]
