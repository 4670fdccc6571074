"""Half of the episodes in the mirror: left is right, for an environment that looks and moves alike both ways.

CarRacing's tracks all go round one way, so that bends to the other side are rare; in the mirror they are not.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from world_models.envs.lanes import Lanes, WrappedLanes
from world_models.envs.registry import EnvSpec
from world_models.errors import ConfigError
from world_models.types import FloatArray, IntArray, Step, UInt8Array
from world_models.utils.seeding import derive_seed


def in_mirror(seed: int) -> bool:
    """Whether the episode of this seed is one of the mirrored half."""
    return derive_seed("mirror", seed) % 2 == 1


def check_mirror(spec: EnvSpec) -> None:
    """Raises ConfigError where the registry does not say which actions change their signs in the mirror."""
    if not spec.mirror:
        raise ConfigError(
            f"mirrored=True, but {spec.env_id} is not known to be alike left and right: leave mirrored out."
        )


class MirroredLanes(WrappedLanes):
    """Lanes of which each episode is, by its seed, as it is or mirrored: frames left to right, actions by their signs.

    Args:
        lanes: What they are made of.

    Raises:
        ConfigError: see `check_mirror`.
    """

    def __init__(self, lanes: Lanes[UInt8Array]) -> None:
        super().__init__(lanes)
        check_mirror(lanes.spec)
        self._signs = np.ones(lanes.actions.size, np.float32)
        self._signs[list(lanes.spec.mirror)] = -1
        self._mirrored = np.zeros(lanes.num_lanes, bool)

    def reset(self, lanes: IntArray, seeds: Sequence[int]) -> UInt8Array:
        """See `Lanes`."""
        self._mirrored[lanes] = [in_mirror(seed) for seed in seeds]
        return self._seen(lanes, self._lanes.reset(lanes, seeds))

    def step(self, lanes: IntArray, actions: FloatArray) -> Step:
        """See `Lanes`."""
        step = self._lanes.step(lanes, np.where(self._mirrored[lanes, None], actions * self._signs, actions))
        return step._replace(observations=self._seen(lanes, step.observations))

    def _seen(self, lanes: IntArray, frames: UInt8Array) -> UInt8Array:
        mirrored = self._mirrored[lanes]
        frames = frames.copy()  # a backend may write its next ones where it wrote these
        frames[mirrored] = frames[mirrored, :, ::-1]
        return frames
