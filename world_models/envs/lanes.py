"""Lanes: the protocol that every batched environment meets.

A lane is a place where one episode at a time runs. Lanes are reset and stepped by their indices, any
subset at a time, so that each finishes at its own pace and takes its next episode at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from world_models.envs.actions import ActionAdapter
from world_models.envs.registry import EnvSpec
from world_models.types import FloatArray, IntArray, Step

Observations = TypeVar("Observations", covariant=True)
"""Of n lanes: native frames (n, H, W, 3) uint8, frames as V sees them (n, 64, 64, 3), or states (n, D)."""


class LaneFailure(Exception):
    """What a backend may raise, from the environment's own exception, to say which lane it was."""

    def __init__(self, lane: int) -> None:
        super().__init__(f"lane {lane}")
        self.lane = lane


class Lanes(Protocol[Observations]):
    """A batch of environments, or of dreams of one.

    `num_lanes` is how many episodes can run at once; `backend` is "gymnasium", "envpool", "dream", ...; `spec` is
    the environment's row in the registry; `actions` adapts its action space.
    """

    num_lanes: int
    backend: str
    spec: EnvSpec
    actions: ActionAdapter

    def announce(self, seeds: Sequence[int]) -> None:
        """The seeds of all the episodes that will be reset next, in order; some backends need to know."""

    def reset(self, lanes: IntArray, seeds: Sequence[int]) -> Observations:
        """Start a new episode of `seeds[i]` on lane `lanes[i]`; its first observations."""

    def step(self, lanes: IntArray, actions: FloatArray) -> Step:
        """One step of some lanes with actions (n, A) as `ActionAdapter` defines them.

        Lanes of states take and give tensors. A lane that is left out may lose its episode.
        """

    def close(self) -> None:
        """Let the environments go; a second call does nothing."""


class WrappedLanes:
    """What lanes that are made of others have of these."""

    def __init__(self, lanes: Lanes[Any]) -> None:
        self.num_lanes, self.backend = lanes.num_lanes, lanes.backend
        self.spec, self.actions = lanes.spec, lanes.actions
        self.announce, self.close = lanes.announce, lanes.close
        self._lanes = lanes
