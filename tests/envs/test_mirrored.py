"""Episodes in the mirror are the same episodes, seen from the other side."""

import numpy as np
import pytest

from tests.small_envs import STEER
from world_models.datasets.rollout_files import read_meta
from world_models.envs.gym_env import GymLanes
from world_models.envs.mirrored import MirroredLanes, in_mirror
from world_models.errors import ConfigError
from world_models.rollout.driver import Recipe, make_lanes
from world_models.runs.collection import generate_rollouts

CAR = "CarRacing-v3"
PLAIN = next(seed for seed in range(100) if not in_mirror(seed))
MIRRORED = next(seed for seed in range(100) if in_mirror(seed))


def test_half_of_the_seeds_are_in_the_mirror_always_the_same_ones():
    share = np.mean([in_mirror(seed) for seed in range(2000)])
    assert 0.45 < share < 0.55
    assert [in_mirror(seed) for seed in range(50)] == [in_mirror(seed) for seed in range(50)]


def test_a_mirrored_car_that_steers_the_other_way_drives_the_same_lap_mirrored():
    lanes, seeds = np.arange(2), [PLAIN, MIRRORED]
    bare, mirrored = GymLanes(CAR, 2, redrawn=True), MirroredLanes(GymLanes(CAR, 2, redrawn=True))
    try:
        seen, other = bare.reset(lanes, seeds), mirrored.reset(lanes, seeds)
        rng, earned = np.random.default_rng(0), 0.0
        for _ in range(60):
            np.testing.assert_array_equal(other[0], seen[0])
            np.testing.assert_array_equal(other[1], seen[1][:, ::-1])
            actions = np.stack([rng.uniform(-1, 1, 2), rng.uniform(0, 1, 2), [0, 0]], 1).astype(np.float32)
            turned = actions * np.array([[1, 1, 1], [-1, 1, 1]], np.float32)
            plain, step = bare.step(lanes, actions), mirrored.step(lanes, turned)
            np.testing.assert_array_equal(step.rewards, plain.rewards)
            seen, other, earned = plain.observations, step.observations, earned + plain.rewards.sum()
        assert earned > 0 and not np.array_equal(seen[1], seen[1][:, ::-1])
    finally:
        bare.close()
        mirrored.close()


def test_lanes_that_are_stepped_in_another_order_keep_their_mirrors():
    lanes, wrapped = np.arange(2), MirroredLanes(GymLanes(CAR, 2, redrawn=True))
    bare = GymLanes(CAR, 2, redrawn=True)
    try:
        for each in (wrapped, bare):
            each.reset(lanes, [MIRRORED, PLAIN])
        back = lanes[::-1].copy()
        step = wrapped.step(back, np.array([[0.3, 0.5, 0], [0.3, 0.5, 0]], np.float32))
        plain = bare.step(back, np.array([[0.3, 0.5, 0], [-0.3, 0.5, 0]], np.float32))
        np.testing.assert_array_equal(step.observations[0], plain.observations[0])
        np.testing.assert_array_equal(step.observations[1], plain.observations[1][:, ::-1])
    finally:
        wrapped.close()
        bare.close()


def test_an_environment_that_is_not_known_to_be_alike_both_ways_is_refused(tmp_path):
    told = "mirrored=True, but .*Steer-v0 is not known to be alike left and right"
    with pytest.raises(ConfigError, match=told):
        make_lanes(Recipe(env_name=STEER, num_lanes=1, mirrored=True))
    with pytest.raises(ConfigError, match=told):
        generate_rollouts(tmp_path / "data", STEER, 2, 5, 1, mirrored=True, display=False)
    assert not (tmp_path / "data").exists()


def test_mirrored_rollouts_say_that_they_are(tmp_path):
    paths = generate_rollouts(tmp_path / "data", CAR, 6, 3, 1, mirrored=True, display=False)
    told = [read_meta(path) for path in paths]
    assert [meta["mirrored"] for meta in told] == [in_mirror(meta["seed"]) for meta in told]
    assert len({meta["mirrored"] for meta in told}) == 2
