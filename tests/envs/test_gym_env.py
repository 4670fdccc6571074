"""Gymnasium's environments as 64 x 64 pictures, one by one and as lanes."""

import gymnasium as gym
import numpy as np
import pytest
from PIL import Image

from tests.doubles import CountingEnv, decode_episode, decode_time
from tests.small_envs import PICK, STEER
from world_models.envs.frames import resize_frames
from world_models.envs.gym_env import GymImageEnv, GymLanes
from world_models.errors import ActionSpaceError, ConfigError
from world_models.rollout.driver import Driver, Recipe

PICTURES = {"CartPole-v1": 2, "CarRacing-v3": 3, "Pendulum-v1": 1}


@pytest.mark.parametrize(("env_id", "actions"), PICTURES.items())
def test_any_environment_gives_64_by_64_pictures_and_takes_what_a_controller_gives(env_id, actions):
    env = GymImageEnv(env_id)
    frame, info = env.reset(seed=3)
    assert isinstance(info, dict)
    assert env.observation_space.contains(frame) and frame.shape == (64, 64, 3) and frame.std() > 1
    raw = np.linspace(-3, 3, actions)
    after, reward, terminal, truncated, info = env.step(raw)
    assert env.observation_space.contains(after) and np.isfinite(float(reward))
    assert (terminal, truncated) == (False, False) and isinstance(info, dict)
    assert env.action_space.contains(env.native_action(raw))
    again, _ = env.reset(seed=3)
    np.testing.assert_array_equal(frame, again)
    env.close()


def test_a_picture_of_another_size_can_be_had():
    env = GymImageEnv(gym.make(STEER), size=(20, 30))
    assert env.reset(seed=0)[0].shape == (20, 30, 3) and env.observation_space.shape == (20, 30, 3)


@pytest.mark.parametrize("size", [20, np.int64(20), [20, 20], (np.int32(20), 20)])
def test_one_number_or_a_list_is_a_size_too(size):
    env = GymImageEnv(STEER, seed=3, size=size)
    assert env.size == (20, 20) and env.observation_space.contains(env.reset()[0])


@pytest.mark.parametrize("size", [0, -3, (20,), (20, 30, 3), (20.5, 20), "64", None, (0, 64)])
def test_what_is_no_size_is_refused_with_its_value(size):
    with pytest.raises(ConfigError, match=r"size=.* is no height and width"):
        GymImageEnv(STEER, size=size)


def test_a_seed_of_its_own_is_the_first_resets_where_none_is_given_there():
    first, again = GymImageEnv(CountingEnv(), seed=5), GymImageEnv(CountingEnv(), seed=5)
    first.reset()
    first.reset()
    again.reset(seed=8)
    again.reset()
    assert (first.unwrapped.seeds, again.unwrapped.seeds) == ([5, None], [8, None])


def test_carracings_picture_is_the_upper_84_rows_resized_like_pillow_does():
    env = GymImageEnv("CarRacing-v3")
    env.reset(seed=1)
    for _ in range(60):  # by then the camera has come down to the car
        frame, *_ = env.step([0.3, 0.0, -1.0])
    native = env.unwrapped.render()
    state = env.unwrapped.state
    pillow = np.asarray(Image.fromarray(state[:84]).resize((64, 64), Image.Resampling.BILINEAR))
    assert native is not None and np.abs(frame.astype(int) - pillow).max() <= 1
    env.close()


def test_a_discrete_environment_takes_the_largest_numbers_action():
    env = GymImageEnv(PICK)
    env.reset(seed=0)
    assert [env.native_action(row) for row in np.eye(3)] == [3, 4, 5]
    assert [env.step([0, 1, 0])[1], env.step([1, 0, 0])[1]] == [1.0, 0.0]


def test_an_action_is_passed_on_as_it_is_where_raw_is_off():
    env = GymImageEnv(CountingEnv(), raw=False)
    env.reset()
    env.step(np.array([0.5, -0.5, 1.0], np.float32))
    np.testing.assert_array_equal(env.unwrapped.actions[0][0], np.array([0.5, -0.5, 1.0], np.float32))


def test_an_action_of_another_size_is_an_error_that_names_both():
    env = GymImageEnv(CountingEnv(action_size=3))
    env.reset()
    with pytest.raises(ActionSpaceError, match=r"has 2 numbers.* takes 3"):
        env.step([0.0, 1.0])


def test_an_environment_that_shows_nothing_is_an_error_that_says_the_mend():
    env = GymImageEnv(gym.make("CartPole-v1"))
    with pytest.raises(ActionSpaceError, match="render_mode"):
        env.reset()


def test_a_frames_pixels_do_not_depend_on_its_neighbours():
    frames = np.random.default_rng(0).integers(0, 256, (5, 96, 96, 3), dtype=np.uint8)
    together = resize_frames(frames, rows=84)
    for i in range(5):
        np.testing.assert_array_equal(together[i], resize_frames(frames[i : i + 1], rows=84)[0])


def counting_lanes(num_lanes: int, **kwargs: int) -> GymLanes:
    if "Counting-v0" not in gym.registry:
        gym.register("Counting-v0", entry_point=CountingEnv)
    return GymLanes("Counting-v0", num_lanes, **kwargs)


def test_any_subset_of_lanes_is_reset_and_stepped_in_the_order_that_was_asked():
    lanes = counting_lanes(4, length=9)
    frames = lanes.reset(np.arange(4), [10, 11, 12, 13])
    assert [decode_episode(f) for f in frames] == [10, 11, 12, 13]
    for _ in range(2):
        step = lanes.step(np.array([3, 1]), np.zeros((2, 3), np.float32))
    assert [(decode_episode(f), decode_time(f)) for f in step.observations] == [(13, 2), (11, 2)]
    np.testing.assert_array_equal(step.rewards, [1, 1])
    step = lanes.step(np.array([0, 1, 2]), np.zeros((3, 3), np.float32))
    assert [decode_time(f) for f in step.observations] == [1, 3, 1]
    lanes.close()
    lanes.close()


def test_a_terminal_and_a_time_limit_are_told_apart():
    for kwargs, expected in (({"length": 2}, (True, False)), ({"truncate_at": 2}, (False, True))):
        lanes = counting_lanes(1, **kwargs)
        lanes.reset(np.array([0]), [0])
        first = lanes.step(np.array([0]), np.zeros((1, 3), np.float32))
        second = lanes.step(np.array([0]), np.zeros((1, 3), np.float32))
        assert (first.terminals[0], first.truncated[0]) == (False, False)
        assert (second.terminals[0], second.truncated[0]) == expected
        assert second.terminals.dtype == bool and second.rewards.dtype == np.float32


def test_undrawn_carracing_gives_black_frames_and_the_same_returns():
    actions = np.random.default_rng(0).uniform([-1, 0, 0], [1, 1, 1], (25, 2, 3)).astype(np.float32)
    both = np.arange(2)
    seen = []
    for draw in (True, False):
        lanes = GymLanes("CarRacing-v3", 2, draw=draw)
        frames = [lanes.reset(both, [3, 4])]
        steps = [lanes.step(both, action) for action in actions]
        lanes.close()
        frames += [step.observations for step in steps]
        seen.append(np.stack([step.rewards for step in steps]))
        assert np.any(frames) == draw and frames[0].shape == (2, 96, 96, 3)
    np.testing.assert_array_equal(*seen)
    assert (seen[0] > 0).any()


def test_an_agent_does_not_drive_blind():
    with pytest.raises(ConfigError, match="draw=False"):
        Driver(Recipe(STEER, policy="agent", draw=False))
