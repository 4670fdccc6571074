"""Frames from which nothing can be learned are recognised."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.doubles import noise_rollout
from world_models.datasets.frame_cache import FrameCache
from world_models.datasets.rollout_files import write_rollout
from world_models.datasets.still import nothing_to_see

SAID = {
    "black": (np.zeros_like, "no pixel of 256 frames is above 0 of 255"),
    "floats of 0 to 1 that were cast": (lambda a: a // 255, "no pixel of 256 frames is above 1 of 255"),
    "one picture": (lambda a: np.broadcast_to(a[:1] * 0 + 77, a.shape), "one and the same picture"),
    "pictures": (lambda a: a, None),
    "dark pictures": (lambda a: a // 100, None),
}


@pytest.mark.parametrize("case", SAID)
def test_frames_that_show_nothing_are_told_from_those_that_do(tmp_path: Path, case: str) -> None:
    change: Callable[[Any], Any]
    change, says = SAID[case]
    for i in range(2):
        rollout = noise_rollout(150, seed=i)
        frames = np.ascontiguousarray(change(rollout.observations), np.uint8)
        write_rollout(tmp_path / f"{i}.npz", replace(rollout, observations=frames))
    cache = FrameCache.open(tmp_path)
    odd = nothing_to_see(cache, cache.rows_of([0, 1]))
    assert odd is None if says is None else says in str(odd)
