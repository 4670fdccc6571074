"""Stand-ins that count: an environment whose frames tell the time, and rollouts made by the same rule.

The frame at time t of episode e (in the environment: of seed e) is one flat colour,
(t % 256, t // 256, e % 256), so it survives any resizing; `decode_time` and `decode_episode` read it back.
The synthetic action at time t encodes t too.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from world_models.datasets.rollout_files import write_rollout
from world_models.types import FRAME_SHAPE, Rollout


def counting_frame(t: int, episode: int = 0) -> npt.NDArray[np.uint8]:
    """The (64, 64, 3) uint8 frame of time `t` in episode `episode`."""
    return np.full(FRAME_SHAPE, (t % 256, t // 256, episode % 256), dtype=np.uint8)


def decode_time(frame: npt.ArrayLike) -> int:
    """The t of a counting frame (H, W, 3)."""
    pixel = np.asarray(frame)[0, 0]
    return int(pixel[0]) + 256 * int(pixel[1])


def decode_episode(frame: npt.ArrayLike) -> int:
    """The episode number or seed (modulo 256) of a counting frame (H, W, 3)."""
    return int(np.asarray(frame)[0, 0, 2])


class CountingEnv(gym.Env[npt.NDArray[np.uint8], npt.NDArray[np.float32]]):
    """Counts its steps and remembers what was asked of it.

    The observation after t steps is `counting_frame(t, seed)` (0 for no seed), the reward of the step from t
    is t, and the episode terminates after `length` steps, or is truncated after `truncate_at` ones.

    Attributes:
        seeds: the seed of each reset, in order (None where none was given).
        actions: for each episode the list of its actions, as they arrived.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 50}  # noqa: RUF012 (Gymnasium's own form)

    def __init__(
        self,
        length: int = 10,
        action_size: int = 3,
        truncate_at: int | None = None,
        render_mode: str | None = "rgb_array",
    ) -> None:
        self.length = length
        self.truncate_at = truncate_at
        self.render_mode = render_mode
        self.observation_space = spaces.Box(0, 255, FRAME_SHAPE, np.uint8)
        self.action_space = spaces.Box(-1.0, 1.0, (action_size,), np.float32)
        self.seeds: list[int | None] = []
        self.actions: list[list[npt.NDArray[np.float32]]] = []
        self.time = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[npt.NDArray[np.uint8], dict[str, Any]]:
        super().reset(seed=seed)
        self.seeds.append(seed)
        self.actions.append([])
        self.time = 0
        return self.render(), {}

    def step(self, action: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        self.actions[-1].append(np.array(action, dtype=np.float32, copy=True))
        reward = float(self.time)
        self.time += 1
        truncated = self.truncate_at is not None and self.time >= self.truncate_at
        return self.render(), reward, self.time >= self.length, truncated, {}

    def render(self) -> npt.NDArray[np.uint8]:
        return counting_frame(self.time, (self.seeds[-1] if self.seeds else 0) or 0)


def counting_rollout(length: int, action_size: int = 3, episode: int = 0, terminal: bool = True) -> Rollout:
    """The rollout that the counting rule gives: frame t encodes t, action t is t + i / 10 for component i.

    rewards[t] is t; the last terminal is 1 unless `terminal` is False (a time limit cut the episode).
    """
    times = np.arange(length, dtype=np.float32)
    terminals = np.zeros(length, dtype=np.float32)
    terminals[-1] = float(terminal)
    return Rollout(
        observations=np.stack([counting_frame(t, episode) for t in range(length)]),
        actions=times[:, None] + np.arange(action_size, dtype=np.float32) / 10,
        rewards=times.copy(),
        terminals=terminals,
    )


def noise_rollout(length: int, action_size: int = 3, seed: int = 0) -> Rollout:
    """A rollout of random frames, actions and rewards that ends in a terminal."""
    rng = np.random.default_rng(seed)
    terminals = np.zeros(length, dtype=np.float32)
    terminals[-1] = 1.0
    return Rollout(
        observations=rng.integers(0, 256, (length, *FRAME_SHAPE), dtype=np.uint8),
        actions=rng.uniform(-1, 1, (length, action_size)).astype(np.float32),
        rewards=rng.normal(size=length).astype(np.float32),
        terminals=terminals,
    )


def make_rollouts(directory: Path, lengths: Sequence[int], action_size: int = 3, seed: int | None = None) -> list[Path]:
    """Writes rollout_00000.npz and so on, one of each length, and gives their paths in order.

    Args:
        directory: the data folder; it is made.
        lengths: rows of each rollout.
        action_size: columns of the actions.
        seed: None for counting rollouts (file e is episode e), a number for rollouts of noise.
    """
    paths = [Path(directory) / f"rollout_{i:05d}.npz" for i in range(len(lengths))]
    for i, (path, length) in enumerate(zip(paths, lengths, strict=True)):
        if seed is None:
            rollout = counting_rollout(length, action_size, episode=i)
        else:
            rollout = noise_rollout(length, action_size, seed=seed + i)
        write_rollout(path, rollout, meta={"env_id": "Counting-v0", "seed": i})
    return paths


def latent_arrays(lengths: Sequence[int], terminal: bool = True) -> tuple[npt.NDArray[Any], ...]:
    """Counting latents: (time, episode); actions, rewards and terminals of the counting rollouts."""
    rollouts = [counting_rollout(length, 2, terminal=terminal) for length in lengths]
    latents = [np.stack([r.rewards, np.full(len(r), i)], 1) for i, r in enumerate(rollouts)]
    parts = [[r.actions for r in rollouts], [r.rewards for r in rollouts], [r.terminals for r in rollouts]]
    return np.concatenate(latents), *(np.concatenate(part) for part in parts)
