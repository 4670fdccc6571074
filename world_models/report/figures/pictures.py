"""Sheets of frames: rows of small pictures, each row with its name, as one PNG with a transparent ground."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from world_models.errors import DataError
from world_models.report.figures.dream import Dream
from world_models.types import UInt8Array

_SCALE = 2  # a 64-pixel frame becomes 128 pixels
_GAP = 6
_LABEL = 36
_GREY = (118, 126, 138, 255)  # readable on white and on black


def sheet(rows: Sequence[tuple[str, UInt8Array]], scale: float = _SCALE) -> Image.Image:
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
    drawn = (round(width * scale), round(height * scale))
    cell = (drawn[0] + _GAP, drawn[1] + _GAP)
    row_height = cell[1] + _LABEL
    canvas = Image.new("RGBA", (count * cell[0] - _GAP, len(rows) * row_height - _GAP), (0, 0, 0, 0))
    pen = ImageDraw.Draw(canvas)
    for index, (name, frames) in enumerate(rows):
        pen.text((0, index * row_height + 2), name, fill=_GREY, font=ImageFont.load_default(25))
        for column, frame in enumerate(frames):
            picture = Image.fromarray(frame).resize(drawn, Image.Resampling.NEAREST)
            canvas.paste(picture, (column * cell[0], index * row_height + _LABEL))
    return canvas


def evenly(length: int, count: int) -> list[int]:
    """At most `count` different row numbers, spread evenly over 0 .. length - 1, both ends among them."""
    return sorted({round(float(at)) for at in np.linspace(0, length - 1, min(count, length))})


def dream_sheet(dreams: Sequence[Dream], count: int = 12) -> Image.Image:
    """What happened over what V keeps of it over what M expected, from the last frame M saw on.

    Args:
        dreams: Dreams beside the same rows of one rollout, at different temperatures.
        count: Columns.
    """
    first = dreams[0]
    start = first.warm_up - 1
    rows = [start + offset for offset in evenly(len(first.real) - start, count)]
    last = len(first.real) - 1 - start
    return sheet(
        [
            (f"reality: from the last frame that M saw to {last} steps later", first.real[rows]),
            ("reality through V", first.reconstructed[rows]),
            *((f"the dream at temperature {each.temperature:g}", each.dreamed[rows]) for each in dreams),
        ]
    )


def png(picture: Image.Image) -> bytes:
    """The picture as the bytes of a PNG file."""
    data = io.BytesIO()
    picture.save(data, format="PNG", optimize=True)
    return data.getvalue()
