"""Small environments that register themselves, so that worker processes find them as "tests.small_envs:Steer-v0"."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from world_models.executors.base import Job
from world_models.rollout.driver import Driver
from world_models.types import EpisodeResult

STEER = "tests.small_envs:Steer-v0"
PICK = "tests.small_envs:Pick-v0"


class SteerEnv(gym.Env[npt.NDArray[np.uint8], npt.NDArray[np.float32]]):
    """A picture of noise that the actions tint; all of it follows from the seed and the actions.

    The reward is how near the action comes to a goal that the seed draws; an episode ends after 4 to 9 steps,
    by its seed. So a return tells of every frame, action and hidden state before it.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 50}  # noqa: RUF012 (Gymnasium's own form)

    def __init__(self, render_mode: str | None = "rgb_array") -> None:
        self.render_mode = render_mode
        self.observation_space = spaces.Box(0, 255, (40, 48, 3), np.uint8)
        self.action_space = spaces.Box(-2.0, 2.0, (2,), np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[npt.NDArray[np.uint8], dict[str, Any]]:
        super().reset(seed=seed)
        self.noise = self.np_random.integers(0, 128, (40, 48, 3), dtype=np.uint8)
        self.goal = self.np_random.uniform(-1, 1, 2)
        self.left = int(self.np_random.integers(4, 10))
        self.place = np.zeros(2)
        return self.render(), {}

    def step(self, action: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        self.place = 0.5 * self.place + np.asarray(action, np.float64)
        self.left -= 1
        reward = 1.0 - float(np.abs(self.place - self.goal).sum())
        return self.render(), reward, self.left == 0, False, {}

    def render(self) -> npt.NDArray[np.uint8]:
        tint = (60 + 30 * np.tanh(self.place)).astype(np.uint8)
        picture = self.noise.copy()
        picture[..., 0] += tint[0]
        picture[..., 1] += tint[1]
        return picture


class PickEnv(gym.Env[npt.NDArray[np.float32], int]):
    """Discrete actions that start at 3, observations that are no pictures; five steps, reward for action 4."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 50}  # noqa: RUF012 (Gymnasium's own form)

    def __init__(self, render_mode: str | None = "rgb_array") -> None:
        self.render_mode = render_mode
        self.observation_space = spaces.Box(0, 5, (1,), np.float32)
        self.action_space = spaces.Discrete(3, start=3)
        self.time = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[npt.NDArray[np.float32], dict[str, Any]]:
        super().reset(seed=seed)
        self.time = 0
        return np.zeros(1, np.float32), {}

    def step(self, action: int) -> tuple[npt.NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        assert self.action_space.contains(action), action
        self.time += 1
        return np.full(1, self.time, np.float32), float(action == 4), self.time == 5, False, {}

    def render(self) -> npt.NDArray[np.uint8]:
        return np.full((32, 32, 3), 10 * self.time, np.uint8)


for _name, _kind in (("Steer-v0", SteerEnv), ("Pick-v0", PickEnv)):
    if _name not in gym.registry:
        gym.register(_name, entry_point=_kind)


@dataclass(frozen=True)
class KillingJob(Job):
    """A job that kills its worker the first `kills` times that it is begun, and notes every beginning."""

    notes: str = ""
    kills: int = 1

    def run(self, driver: Driver) -> list[EpisodeResult]:
        notes = Path(self.notes)
        with notes.open("a") as stream:
            stream.write(f"{os.getpid()}\n")
        if len(notes.read_text().splitlines()) <= self.kills:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().run(driver)


@dataclass(frozen=True)
class FailingJob(Job):
    """A job with a defect of ours in it."""

    def run(self, driver: Driver) -> list[EpisodeResult]:
        raise ZeroDivisionError("the bolt is loose")
