"""Rollouts to train on: real CarRacing frames, collected once a benchmark."""

from __future__ import annotations

from pathlib import Path

from world_models.datasets.frame_cache import FrameCache
from world_models.runs.collection import generate_rollouts


def collect_frames(folder: Path, rollouts: int, steps: int) -> FrameCache:
    """`rollouts` files of `steps` rows each, and their cache."""
    generate_rollouts(str(folder), "CarRacing-v3", rollouts, steps, 1, policy="brownian", display=False)
    return FrameCache.open(folder)
