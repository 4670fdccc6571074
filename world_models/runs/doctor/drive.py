"""Some steps of an environment, kept to be looked at."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from world_models.envs.contract.probe import checked_reward, random_actions, told_as_a_sentence
from world_models.envs.env_kwargs import named
from world_models.envs.gym_env import GymLanes
from world_models.types import FloatArray, UInt8Array

_LANE = np.zeros(1, np.int64)


@dataclass
class Drive:
    """One episode's beginning: `frames` one more than `rewards`; `ended` is "", "terminal" or "truncated"."""

    frames: list[UInt8Array] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)
    ended: str = ""
    seconds: float = 0.0

    def like(self, other: Drive) -> bool:
        """Whether the other one, as far as both go, is the same to the last pixel."""
        n = min(len(self.frames), len(other.frames))
        same_frames = all(np.array_equal(a, b) for a, b in zip(self.frames[:n], other.frames[:n], strict=True))
        return same_frames and self.rewards[: n - 1] == other.rewards[: n - 1]


@contextmanager
def opened(env_name: str, env_kwargs: dict[str, Any], redrawn: bool = False) -> Iterator[GymLanes]:
    """One environment, closed at the end."""
    lanes = GymLanes(env_name, 1, redrawn=redrawn, env_kwargs=env_kwargs)
    try:
        yield lanes
    finally:
        lanes.close()


def drive(lanes: GymLanes, env_kwargs: dict[str, Any], seed: int, actions: list[FloatArray]) -> Drive:
    """An episode from `seed` with these actions, until they or it end.

    Raises:
        EnvironmentFailure: the environment raises, or gives a reward that is no finite number.
    """
    told, name = Drive(), named(lanes.spec.env_id, env_kwargs)
    with told_as_a_sentence(name, "reset"):
        told.frames.append(lanes.reset(_LANE, [seed])[0].copy())
    started = time.perf_counter()
    for action in actions:
        with told_as_a_sentence(name, "step"):
            step = lanes.step(_LANE, action)
        told.frames.append(step.observations[0].copy())
        told.rewards.append(checked_reward(name, float(step.rewards[0]), len(told.rewards) + 1))
        if step.terminals[0] or step.truncated[0]:
            told.ended = "terminal" if step.terminals[0] else "truncated"
            break
    told.seconds = time.perf_counter() - started
    return told


def held_actions(lanes: GymLanes, count: int, seed: int, held: int = 8) -> list[FloatArray]:
    """`count` random actions, each kept for `held` steps: what moves slowly then moves far enough to be seen."""
    drawn = random_actions(lanes, -(-count // held), seed)
    return [drawn[step // held] for step in range(count)]
