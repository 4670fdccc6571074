"""CarRacing in EnvPool as lanes."""

import numpy as np
import pytest

pytest.importorskip("envpool", reason="EnvPool is optional and has no wheels for every platform")

from world_models.envs import envpool_env
from world_models.envs.envpool_env import EnvPoolLanes
from world_models.envs.gym_env import GymLanes
from world_models.errors import ConfigError
from world_models.rollout.loop import drive
from world_models.rollout.policies import NoisePolicy
from world_models.types import Episode

GAS = np.array([[0.1, 0.6, 0.0]], np.float32)


def drive_alone(seed: int, steps: int) -> tuple[np.ndarray, float]:
    lanes = EnvPoolLanes("CarRacing-v3", 1)
    lanes.announce([seed])
    lanes.reset(np.array([0]), [seed])
    rewards = 0.0
    for _ in range(steps):
        step = lanes.step(np.array([0]), GAS)
        rewards += float(step.rewards[0])
    lanes.close()
    return step.observations[0], rewards


def test_an_episode_is_its_seeds_own_whatever_else_is_driven_beside_it():
    lanes = EnvPoolLanes("CarRacing-v3", 3, threads=2)
    seeds = [5, 6, 7, 8]
    lanes.announce(seeds)
    first = lanes.reset(np.array([0, 1, 2]), seeds[:3])
    assert first.shape == (3, 96, 96, 3) and first.dtype == np.uint8
    rewards = np.zeros(3)
    for _ in range(40):
        step = lanes.step(np.array([2, 0, 1]), GAS.repeat(3, 0))
        rewards[[2, 0, 1]] += step.rewards
    frames = step.observations[[1, 2, 0]]  # back in the order of the lanes
    for lane, seed in enumerate(seeds[:3]):
        alone, its_return = drive_alone(seed, 40)
        np.testing.assert_array_equal(frames[lane], alone)
        assert rewards[lane] == pytest.approx(its_return)
    lanes.reset(np.array([1]), [8])  # a lane goes on to the next announced episode, the others stay
    total = 0.0
    for _ in range(40):
        step = lanes.step(np.array([1]), GAS)
        total += float(step.rewards[0])
    alone, its_return = drive_alone(8, 40)
    np.testing.assert_array_equal(step.observations[0], alone)
    assert total == pytest.approx(its_return)
    lanes.close()
    lanes.close()


def test_equal_seeds_can_be_driven_side_by_side():
    lanes = EnvPoolLanes("CarRacing-v3", 2)
    lanes.announce([4, 4])
    one, other = lanes.reset(np.array([0, 1]), [4, 4])
    np.testing.assert_array_equal(one, other)
    lanes.close()


def test_it_has_gymnasiums_interface_of_lanes():
    pool, gymnasium = EnvPoolLanes("CarRacing-v2", 1), GymLanes("CarRacing-v2", 1)
    assert pool.spec == gymnasium.spec and pool.backend == "envpool"
    np.testing.assert_array_equal(pool.actions.low, gymnasium.actions.low)
    np.testing.assert_array_equal(pool.actions.high, gymnasium.actions.high)
    assert pool.actions.size == gymnasium.actions.size == 3
    gymnasium.close()


def test_an_environment_that_it_is_not_used_for_is_an_error_that_says_the_mend():
    with pytest.raises(ConfigError, match=r"CartPole-v1.*gymnasium"):
        EnvPoolLanes("CartPole-v1", 1)


def test_an_episode_does_not_depend_on_how_many_environments_a_pool_holds(monkeypatch):
    episodes = [Episode(0, seed) for seed in (1, 2, 3, 4, 5)]

    def returns(pool_size: int, num_lanes: int) -> list[float]:
        monkeypatch.setattr(envpool_env, "POOL_SIZE", pool_size)
        lanes = EnvPoolLanes("CarRacing-v3", num_lanes)
        policy = NoisePolicy(lanes.actions, 12, "brownian", lanes.spec.drift)
        results = drive(lanes, policy, episodes, time_limit=12)
        lanes.close()
        return [result.episode_return for result in results]

    assert returns(128, 5) == returns(2, 3) == returns(1, 1)
