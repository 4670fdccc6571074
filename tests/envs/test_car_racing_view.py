"""CarRacing drawn by us: the pictures nearly Gymnasium's own, everything else exactly."""

import gymnasium as gym
import numpy as np
import pytest

from tests.small_envs import STEER
from world_models.envs.car_racing.view import CarRacingView
from world_models.envs.gym_env import GymLanes
from world_models.errors import ConfigError
from world_models.rollout.driver import choose_backend

ROWS = 84  # below lies the instrument panel
STRAIGHT, LEFT, BRAKE = (0.0, 0.5, 0.0), (-1.0, 0.3, 0.0), (1.0, 0.0, 0.6)


def both_pictures(actions, seed: int, every: int = 5, **kwargs):
    """Ours and Gymnasium's (n, 84, 96, 3) of the same moments of a drive."""
    env = gym.make("CarRacing-v3", **kwargs).unwrapped
    own, view = env._render, CarRacingView(env)
    env._render = lambda mode: None
    env.reset(seed=seed)
    ours, theirs = [], []
    for i, action in enumerate(actions):
        env.step(np.array(action, np.float32))
        if i % every == 0:
            ours.append(view.render("state_pixels")[:ROWS].astype(int))
            theirs.append(own("state_pixels")[:ROWS].astype(int))
    env.close()
    return np.stack(ours), np.stack(theirs)


def noise(seed: int, steps: int = 120):
    rng = np.random.default_rng(seed)
    return np.repeat(rng.uniform([-1, 0.2, 0], [1, 1, 0.1], (steps // 20, 3)), 20, axis=0)


@pytest.mark.parametrize("seed", range(4))
def test_pictures_are_nearly_gymnasiums_own(seed):
    ours, theirs = both_pictures(noise(seed), seed)
    error = np.abs(ours - theirs)
    assert error.mean() < 0.4 and error.mean((1, 2, 3)).max() < 0.8, "of 255"
    # Not by being grey everywhere: a picture is far nearer to its own than to one 10 steps later.
    assert np.abs(ours[:-2] - theirs[2:]).mean() > 10 * error.mean()


def test_wheels_that_spin_and_turn_are_drawn():
    ours, theirs = both_pictures([STRAIGHT] * 55 + [LEFT] * 20 + [BRAKE] * 20, seed=1, every=1)
    car = np.s_[:, 60:78, 42:54]
    assert np.abs(ours[car] - theirs[car]).mean() < 6
    assert theirs[car].std() > 40


def test_the_edge_of_the_world_is_black_as_in_gymnasium():
    ours, theirs = both_pictures([(0.03, 1.0, 0.0)] * 420, seed=2, every=20)
    black = (theirs == 0).all(-1).mean((1, 2))
    assert black.max() > 0.2, "the car came to the edge"
    assert np.abs(ours - theirs).mean((1, 2, 3)).max() < 1


def test_other_colours_are_drawn_too():
    ours, theirs = both_pictures(noise(0, 40), seed=5, domain_randomize=True)
    assert np.abs(ours - theirs).mean() < 1
    standard, _ = both_pictures(noise(0, 40), seed=5)
    assert np.abs(ours - standard).mean() > 10


def test_rewards_and_ends_are_gymnasiums_own_and_every_reset_draws_its_own_track():
    actions = np.stack([noise(3, 60), noise(4, 60)], 1).astype(np.float32)
    both = np.arange(2)
    rewards, frames = [], []
    for redrawn in (False, True):
        lanes = GymLanes("CarRacing-v3", 2, redrawn=redrawn)
        assert lanes.backend == ("redrawn" if redrawn else "gymnasium")
        for seeds in ([3, 4], [5, 3]):
            frames.append(lanes.reset(both, seeds))
            steps = [lanes.step(both, row) for row in actions]
            rewards.append(np.stack([step.rewards for step in steps]))
            frames.append(steps[-1].observations)
        lanes.close()
    np.testing.assert_array_equal(rewards[:2], rewards[2:])
    assert (np.array(rewards) > 0).any()
    for theirs, ours in zip(frames[:4], frames[4:], strict=True):
        assert np.abs(theirs[:, :ROWS].astype(int) - ours[:, :ROWS]).mean() < 0.8
        assert not ours[:, ROWS:].any(), "the panel, which is cut off, is black"


def test_films_stay_gymnasiums():
    films = []
    for redrawn in (False, True):
        env = gym.make("CarRacing-v3", render_mode="rgb_array").unwrapped
        if redrawn:
            env._render = CarRacingView(env).render
        env.reset(seed=8)
        env.step(np.array(STRAIGHT, np.float32))
        films.append(env.render())
        env.close()
    np.testing.assert_array_equal(*films)


def test_carracing_is_redrawn_by_default_and_what_cannot_be_is_an_error_that_says_the_mend():
    assert choose_backend("CarRacing-v2") == "redrawn"
    with pytest.raises(ConfigError, match="Steer-v0 has no faster drawing: use --backend gymnasium"):
        GymLanes(STEER, redrawn=True)
