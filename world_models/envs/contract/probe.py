"""One environment made, reset and stepped a few times, so that what cannot work is reported before workers start."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np

from world_models.envs.contract.failures import raised
from world_models.envs.contract.making import plain_id
from world_models.envs.env_kwargs import env_kwargs_text, named, parse_env_kwargs
from world_models.envs.gym_env import GymLanes
from world_models.envs.lanes import LaneFailure
from world_models.envs.registry import EnvSpec, canonical_id
from world_models.errors import EnvironmentFailure, WorldModelsError
from world_models.types import FloatArray, UInt8Array

STEPS = 3  # enough for an episode to be under way; CarRacing takes 10 ms for each
_SEED = 0


@dataclass(frozen=True)
class Probe:
    """What a few steps of an environment showed.

    Attributes:
        env_id, env_kwargs: What was made.
        spec: What the project knows of it.
        action_size: A.
        frame_shape: (H, W, 3) of its pictures.
        rewards: Of the steps.
        ended: Whether the episode ended within them.
    """

    env_id: str
    env_kwargs: dict[str, Any]
    spec: EnvSpec
    action_size: int
    frame_shape: tuple[int, ...]
    rewards: tuple[float, ...]
    ended: bool


_probed: dict[tuple[str, str], tuple[object, Probe]] = {}


def check_environment(env_name: str, env_kwargs: Mapping[str, Any] | None = None, backend: str = "gymnasium") -> Probe:
    """`probe`, once in a process for an environment as it is registered now."""
    env_id, made_with = canonical_id(env_name), parse_env_kwargs(env_kwargs)
    registered = gymnasium.registry.get(plain_id(env_id))
    key = (env_id, env_kwargs_text(made_with))
    before = _probed.get(key)
    if before is None or before[0] is not registered:
        _probed[key] = before = (registered, probe(env_id, made_with, backend))
    return before[1]


def probe(env_name: str, env_kwargs: Mapping[str, Any] | None = None, backend: str = "gymnasium") -> Probe:
    """Makes one environment in this process, resets it, takes a few random steps and closes it.

    Args:
        env_name: An id.
        env_kwargs: What it is made with.
        backend: "redrawn" has the registry's own drawing; anything else is Gymnasium's.

    Raises:
        WorldModelsError: whatever keeps it from being driven, as one sentence that names the environment.
    """
    made_with = parse_env_kwargs(env_kwargs)
    lanes = GymLanes(env_name, 1, redrawn=backend == "redrawn", env_kwargs=made_with)
    name = named(lanes.spec.env_id, made_with)
    try:
        lane = np.zeros(1, np.int64)
        with told_as_a_sentence(name, "reset"):
            frames = lanes.reset(lane, [_SEED])
        rewards: list[float] = []
        ended = False
        for action in random_actions(lanes, STEPS):
            with told_as_a_sentence(name, "step"):
                step = lanes.step(lane, action)
            rewards.append(checked_reward(name, float(step.rewards[0]), len(rewards) + 1))
            ended = bool(step.terminals[0] or step.truncated[0])
            if ended:
                break
        return Probe(
            lanes.spec.env_id,
            made_with,
            lanes.spec,
            lanes.actions.size,
            _shape(frames),
            tuple(rewards),
            ended,
        )
    finally:
        with contextlib.suppress(Exception):  # what it was asked is answered
            lanes.close()


def random_actions(lanes: GymLanes, count: int, seed: int = _SEED) -> list[FloatArray]:
    """`count` arrays (1, A) of uniform actions, or one-hot rows; always the same for the same seed."""
    rng, actions = np.random.default_rng(seed), lanes.actions
    if actions.discrete:
        return [actions.choices[rng.integers(0, len(actions.choices), 1)] for _ in range(count)]
    low, high = actions.low.astype(np.float64), actions.high.astype(np.float64)
    shares = rng.uniform(size=(count, 1, actions.size))
    return [np.asarray(low * (1 - share) + high * share, np.float32) for share in shares]


@contextlib.contextmanager
def told_as_a_sentence(name: str, what: str) -> Iterator[None]:
    """What the environment's `reset` or `step` raises becomes one sentence; a sentence of ours stays.

    Raises:
        EnvironmentFailure: with the exception chained.
    """
    try:
        yield
    except WorldModelsError:
        raise
    except (Exception, SystemExit) as error:
        cause = error.__cause__ if isinstance(error, LaneFailure) and error.__cause__ else error
        raise EnvironmentFailure(
            f"{name} cannot be driven, its {what} raised {raised(cause)}: mend it there."
        ) from cause


def checked_reward(name: str, reward: float, step: int) -> float:
    """The reward. Raises EnvironmentFailure where it is no finite float32."""
    if not np.isfinite(reward):
        raise EnvironmentFailure(
            f"{name} gives the reward {reward} at step {step}: it must be a finite float32; mend its step()."
        )
    return reward


def _shape(frames: UInt8Array) -> tuple[int, ...]:
    return tuple(int(size) for size in frames.shape[1:])
