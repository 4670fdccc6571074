"""One moment as one picture: what is real and what V and M make of it side by side, each under its name."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from world_models.report.figures.inner import Seen
from world_models.types import UInt8Array

_GAP = 10
_HEAD, _FOOT = 32, 34
_GROUND, _INK, _QUIET = (23, 25, 29), (228, 230, 234), (150, 156, 166)


def compose(panels: Sequence[tuple[str, UInt8Array]], foot: Sequence[str] = (), height: int = 240) -> UInt8Array:
    """The panels side by side, all in the first one's proportions, as (H, W, 3) uint8 of even size.

    Args:
        panels: Name and frame (h, w, 3) uint8 of each; sizes may differ: a stored frame is stretched back to the
            native frame's proportions.
        foot: Words below, spread over the width; no line where there are none.
        height: Of each frame in the picture, in pixels.
    """
    shape = panels[0][1].shape
    width = round(shape[1] * height / shape[0])
    size = (len(panels) * (width + _GAP) + _GAP, height + _HEAD + (_FOOT if foot else _GAP))
    canvas = Image.new("RGB", (size[0] + size[0] % 2, size[1] + size[1] % 2), _GROUND)  # H.264 takes even sizes
    pen = ImageDraw.Draw(canvas)
    for column, (name, frame) in enumerate(panels):
        left = _GAP + column * (width + _GAP)
        canvas.paste(Image.fromarray(frame).resize((width, height), Image.Resampling.BICUBIC), (left, _HEAD))
        pen.text((left, _HEAD // 2), _fitting(name, width), fill=_INK, font=_font(), anchor="lm")
    pitch = width + _GAP if len(foot) == len(panels) else size[0] // max(len(foot), 1)
    for column, words in enumerate(foot):
        pen.text((_GAP + column * pitch, _HEAD + height + _FOOT // 2), words, _QUIET, _font(), "lm")
    return np.asarray(canvas)


def panels_of(picture: UInt8Array, seen: Seen | None) -> list[tuple[str, UInt8Array]]:
    """The panels of a moment: the real picture, and what there is of V's and M's."""
    panels = [("what is there", picture)]
    if seen is not None:
        panels.append(("what V sees", seen.reconstruction))
        if seen.expected is not None:
            panels.append(("what M expected", seen.expected))
        if seen.dreamed is not None:
            panels.append((f"M's dream, step {seen.dream_age}", seen.dreamed))
    return panels


@lru_cache(maxsize=1)
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(15)


def _fitting(words: str, width: int) -> str:
    """`words`, cut so that they stay within `width` pixels."""
    while words and _font().getlength(words) > width:
        words = words[:-1]
    return words
