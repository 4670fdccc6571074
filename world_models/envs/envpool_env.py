"""CarRacing at C++ speed: EnvPool's environments as lanes.

EnvPool takes seeds only when a pool is made, and making one is cheap (about 0.3 ms an environment). So
every announced episode gets an environment of its own in a pool of at most `POOL_SIZE`; a lane is moved
from one to the next. A pool goes when its last episode has been replaced.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
import torch

from world_models.envs.registry import EnvSpec, env_spec
from world_models.errors import ConfigError, MissingDependencyError
from world_models.types import FloatArray, IntArray, Step, UInt8Array

POOL_SIZE = 128  # at 4 MB an environment that has run, half a gigabyte


def _make_pool(env_id: str, seeds: Sequence[int], threads: int) -> Any:
    try:
        import envpool
    except ImportError as error:
        raise MissingDependencyError(
            "EnvPool is not installed: pip install 'world-models-torch[envpool]', or leave --backend out."
        ) from error
    return envpool.make(
        env_id,
        env_type="gymnasium",
        num_envs=len(seeds),
        seed=[int(seed) % (2**31 - 1) for seed in seeds],
        num_threads=min(threads, len(seeds)),
        max_episode_steps=2**30,  # the loop has the time limit
    )


def envpool_installed() -> bool:
    """Whether EnvPool can be imported here (it has no wheels for every platform)."""
    try:
        import envpool  # noqa: F401
    except ImportError:
        return False
    return True


class EnvPoolLanes:
    """EnvPool's version of an environment as lanes: same physics, rewards and ends as Gymnasium's.

    Its tracks differ from Gymnasium's for the same seed, and its frames are drawn without anti-aliasing.
    """

    backend = "envpool"

    def __init__(self, env_name: str, num_lanes: int = 16, threads: int | None = None) -> None:
        self.spec: EnvSpec = env_spec(env_name)
        if not self.spec.envpool:
            raise ConfigError(f"EnvPool does not have {self.spec.env_id}: use --backend gymnasium.")
        self.num_lanes = num_lanes
        self._threads = threads or torch.get_num_threads()
        self._waiting: deque[int] = deque()
        self._pool: Any = None
        self._free: dict[int, list[int]] = {}
        self._places: list[tuple[Any, int] | None] = [None] * num_lanes
        space = gymnasium.spaces.Box(np.array([-1, 0, 0], np.float32), np.ones(3, np.float32))
        self.actions = self.spec.adapter(space)

    def announce(self, seeds: Sequence[int]) -> None:
        """The seeds to come, in the order in which they will be reset."""
        self._waiting = deque(int(seed) for seed in seeds)
        self._pool, self._free = None, {}

    def _take(self, seed: int) -> tuple[Any, int]:
        """A fresh environment of this seed, from the present pool or a new one."""
        if not self._free.get(seed):
            batch = [self._waiting.popleft() for _ in range(min(POOL_SIZE, len(self._waiting)))]
            if seed not in batch:
                batch.append(seed)  # an episode that nobody announced
            self._pool = _make_pool(self.spec.env_id, batch, self._threads)
            self._free = {}
            for index, announced in enumerate(batch):
                self._free.setdefault(announced, []).append(index)
        return self._pool, self._free[seed].pop(0)

    def reset(self, lanes: IntArray, seeds: Sequence[int]) -> UInt8Array:
        """Start episodes; native frames (n, 96, 96, 3)."""
        for lane, seed in zip(lanes, seeds, strict=True):
            self._places[lane] = self._take(int(seed))
        return np.asarray(self._run(lanes, None).observations)

    def step(self, lanes: IntArray, actions: FloatArray) -> Step:
        """Step the named lanes, all pools at once."""
        return self._run(lanes, self.actions.native(actions).astype(np.float32))

    def _run(self, lanes: IntArray, actions: FloatArray | None) -> Step:
        places = [self._places[lane] for lane in lanes]
        groups: dict[int, tuple[Any, list[int], list[int]]] = {}
        for row, place in enumerate(places):
            assert place is not None, "a lane is stepped before its first reset"
            pool, index = place
            groups.setdefault(id(pool), (pool, [], []))[1].append(row)
            groups[id(pool)][2].append(index)
        result: Step | None = None
        for pool, row_list, index_list in groups.values():
            rows, indices = np.array(row_list), np.array(index_list, dtype=np.int32)
            part = _ask_pool(pool, indices, None if actions is None else actions[rows])
            if len(groups) == 1:
                return part
            if result is None:
                result = Step(*(np.empty((len(places), *a.shape[1:]), a.dtype) for a in part[:4]))
            for whole, own in zip(result[:4], part[:4], strict=True):
                whole[rows] = own
        assert result is not None
        return result

    def close(self) -> None:
        """Let the pools go."""
        self._pool, self._free = None, {}
        self._places = [None] * self.num_lanes


def _ask_pool(pool: Any, indices: np.ndarray[Any, np.dtype[np.int32]], actions: FloatArray | None) -> Step:
    """Reset (no actions) or step environments `indices` of a pool; rows in the order of `indices`."""
    n = len(indices)
    if actions is None:
        frames, info = pool.reset(indices)
        rewards, terminals, truncated = np.zeros(n, np.float32), np.zeros(n, bool), np.zeros(n, bool)
    else:
        frames, rewards, terminals, truncated, info = pool.step(actions, indices)
    came = info["env_id"]
    if not np.array_equal(came, indices):  # they come in the order in which they were ready
        order = np.empty(n, np.int64)
        order[np.argsort(indices, kind="stable")] = np.argsort(came, kind="stable")
        frames, rewards = frames[order], rewards[order]
        terminals, truncated = terminals[order], truncated[order]
    return Step(np.asarray(frames), rewards.astype(np.float32), terminals, truncated)
