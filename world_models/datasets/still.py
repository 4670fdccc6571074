"""Finds frames from which V can learn nothing (black, or always the same), by a sample, before training."""

from __future__ import annotations

import numpy as np

from world_models.datasets.frame_cache import FrameCache
from world_models.types import IntArray, UInt8Array

_LOOKED_AT = 256


def nothing_to_see(cache: FrameCache, rows: IntArray) -> str | None:
    """Says what is odd about the frames of these rows, told from 256 of them, evenly spread; None where nothing is."""
    chosen = rows[np.linspace(0, len(rows) - 1, min(len(rows), _LOOKED_AT)).astype(np.int64)]
    return _odd(cache.gather(chosen).numpy())


def _odd(frames: UInt8Array) -> str | None:
    if frames.max() <= 1:
        return (
            f"no pixel of {len(frames)} frames is above {frames.max()} of 255, so V sees only black; most likely "
            "floats of 0 to 1 were cast to uint8 (multiply them by 255 first), or the environment drew nothing"
        )
    if len(frames) > 1 and (frames == frames[0]).all():
        return (
            f"{len(frames)} frames from all over the data are one and the same picture, so V and M have nothing to "
            "learn; most likely it was taken once, or of an environment that is not drawn anew"
        )
    return None
