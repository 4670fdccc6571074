"""Native frames to stored frames, as environments are seen; rollout files are resized by the same function."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from world_models.envs.lanes import Lanes, WrappedLanes
from world_models.types import FRAME_SHAPE, FloatArray, IntArray, Step, UInt8Array
from world_models.vision.resize import resize_frames

__all__ = ["ResizedLanes", "resize_frames"]


class ResizedLanes(WrappedLanes):
    """Lanes of frames as V sees them, (n, 64, 64, 3), of lanes that give native ones; it keeps the last of both."""

    def __init__(self, lanes: Lanes[UInt8Array]) -> None:
        super().__init__(lanes)
        self._frames = np.zeros((lanes.num_lanes, *FRAME_SHAPE), np.uint8)
        self._native: UInt8Array | None = None

    def reset(self, lanes: IntArray, seeds: Sequence[int]) -> UInt8Array:
        """See `Lanes`."""
        return self._seen(lanes, self._lanes.reset(lanes, seeds))

    def step(self, lanes: IntArray, actions: FloatArray) -> Step:
        """See `Lanes`."""
        step = self._lanes.step(lanes, actions)
        return step._replace(observations=self._seen(lanes, step.observations))

    def _seen(self, lanes: IntArray, native: UInt8Array) -> UInt8Array:
        if self._native is None:
            self._native = np.zeros((self.num_lanes, *native.shape[1:]), np.uint8)
        self._native[lanes] = native
        self._frames[lanes] = resize_frames(native, rows=self.spec.rows)
        return self._frames[lanes]  # a copy: a backend may write its next frames where it wrote these

    def pictures(self, lanes: IntArray) -> tuple[UInt8Array, UInt8Array]:
        """The last frames of these lanes, (n, 64, 64, 3), and the native ones."""
        assert self._native is not None, "a lane is looked at before its first reset"
        return self._frames[lanes], self._native[lanes]
