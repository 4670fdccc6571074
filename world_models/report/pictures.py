"""Sheets of frames: rows of small pictures, each row with its name, as one PNG with a transparent ground."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from world_models.errors import DataError
from world_models.report.dream import Dream
from world_models.types import UInt8Array

_SCALE = 2  # a 64-pixel frame becomes 128 pixels
_GAP = 6
_LABEL = 30
_GREY = (128, 136, 146, 255)  # readable on white and on black


def sheet(rows: Sequence[tuple[str, UInt8Array]], scale: int = _SCALE) -> Image.Image:
    """Rows of frames under their names.

    Args:
        rows: Name and frames (n, H, W, 3) uint8 of each row; all rows of one shape.
        scale: How many times larger the frames are drawn.

    Raises:
        DataError: There is no frame, or the rows' shapes differ.
    """
    shapes = {frames.shape for _, frames in rows}
    if len(shapes) != 1 or 0 in next(iter(shapes)):
        raise DataError(f"a sheet needs rows of frames of one shape, got {sorted(shapes)}: give each row as many.")
    count, height, width = rows[0][1].shape[:3]
    cell = (width * scale + _GAP, height * scale + _GAP)
    row_height = cell[1] + _LABEL
    canvas = Image.new("RGBA", (count * cell[0] - _GAP, len(rows) * row_height - _GAP), (0, 0, 0, 0))
    pen = ImageDraw.Draw(canvas)
    for index, (name, frames) in enumerate(rows):
        pen.text((0, index * row_height + 2), name, fill=_GREY, font=ImageFont.load_default(20))
        for column, frame in enumerate(frames):
            picture = Image.fromarray(frame).resize((width * scale, height * scale), Image.Resampling.NEAREST)
            canvas.paste(picture, (column * cell[0], index * row_height + _LABEL))
    return canvas


def evenly(length: int, count: int) -> list[int]:
    """At most `count` different row numbers, spread evenly over 0 .. length - 1, both ends among them."""
    return sorted({round(float(at)) for at in np.linspace(0, length - 1, min(count, length))})


def reconstruction_sheet(frames: UInt8Array, reconstructed: UInt8Array, count: int = 10) -> Image.Image:
    """Frames over V's reconstructions of them, `count` spread evenly; both (T, 64, 64, 3) uint8."""
    rows = evenly(len(frames), count)
    return sheet([("original", frames[rows]), ("V's reconstruction", reconstructed[rows])])


def dream_sheet(dream: Dream, count: int = 12) -> Image.Image:
    """What happened over what V keeps of it over what M expected, from the last frame M saw on."""
    start = dream.warm_up - 1
    rows = [start + offset for offset in evenly(len(dream.real) - start, count)]
    last = len(dream.real) - 1 - start
    return sheet(
        [
            (f"reality: from the last frame that M saw to {last} steps later", dream.real[rows]),
            ("reality through V", dream.reconstructed[rows]),
            ("the dream: M goes on alone", dream.dreamed[rows]),
        ]
    )


def png(picture: Image.Image) -> bytes:
    """The picture as the bytes of a PNG file."""
    data = io.BytesIO()
    picture.save(data, format="PNG", optimize=True)
    return data.getvalue()
