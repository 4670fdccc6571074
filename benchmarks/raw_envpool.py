"""The ceiling of everything that drives: EnvPool's CarRacing with constant actions, and nothing else."""

from __future__ import annotations

from typing import Any

import envpool
import numpy as np

from benchmarks.common import rate_of

ACTION = (0.0, 0.15, 0.0)  # rolls slowly straight on


def make_pool(num_envs: int, threads: int) -> Any:
    """A pool that is ready to be stepped."""
    pool = envpool.make(
        "CarRacing-v3",
        env_type="gymnasium",
        num_envs=num_envs,
        num_threads=threads,
        seed=list(range(num_envs)),
        max_episode_steps=2**30,
    )
    pool.reset()
    return pool


def raw_rate(num_envs: int, threads: int, steps: int) -> float:
    """Environment steps a second over `steps` steps of every environment."""
    pool = make_pool(num_envs, threads)
    actions = np.tile(np.array(ACTION, np.float32), (num_envs, 1))
    everyone = np.arange(num_envs, dtype=np.int32)

    def work() -> float:
        for _ in range(steps):
            pool.step(actions, everyone)
        return num_envs * steps

    return rate_of(work)
