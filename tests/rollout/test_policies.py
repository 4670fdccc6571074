"""Noise by the episode's own seed, and the agent as a policy."""

import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.small_envs import STEER
from tests.small_runs import HIDDENS, LATENTS, save_run
from world_models.envs.actions import ActionAdapter
from world_models.envs.registry import env_spec
from world_models.errors import CheckpointError, ConfigError
from world_models.models.load import load_controller
from world_models.rollout.driver import Driver, Recipe, choose_backend
from world_models.rollout.policies import ControllerPolicy, NoisePolicy
from world_models.types import Episode

CAR = ActionAdapter(spaces.Box(np.array([-1, 0, 0], np.float32), np.ones(3, np.float32)))
BLACK = np.zeros((1, 64, 64, 3), np.uint8)


def actions_of(policy: NoisePolicy, seed: int, steps: int, lane: int = 0, num_lanes: int = 1) -> np.ndarray:
    lanes = np.array([lane])
    carry = policy.reset(policy.start(num_lanes), lanes, [Episode(0, seed)])
    rows = []
    for _ in range(steps):
        action, carry = policy.act(carry, lanes, BLACK)
        rows.append(action[0].copy())
    return np.stack(rows)


@example(seed=28, kind="brownian", low=-1.9)  # rounding left the space by a last digit
@example(seed=179, kind="brownian", low=0.0)  # the walk is at the bound all the time
@given(seed=st.integers(0, 2**31 - 1), kind=st.sampled_from(["uniform", "brownian"]), low=st.floats(-9, 9))
@settings(max_examples=25)
def test_noise_stays_within_the_action_space_and_is_the_same_on_every_lane(seed, kind, low):
    space = spaces.Box(np.float32([low, -1]), np.float32([low + 2, 5]))
    policy = NoisePolicy(ActionAdapter(space), 30, kind, drift=(0.5, -3.0))
    actions = actions_of(policy, seed, 30)
    assert actions.dtype == np.float32 and all(space.contains(row) for row in actions)
    np.testing.assert_array_equal(actions, actions_of(policy, seed, 30, lane=2, num_lanes=4))


@pytest.mark.parametrize("kind", ["uniform", "brownian"])
def test_noise_is_the_seeds_own(kind):
    # Where a walk's drift is far beyond a bound, seeds are alike: all are at it.
    policy = NoisePolicy(CAR, 30, kind, env_spec("CarRacing-v3").drift)
    assert len({actions_of(policy, seed, 30).tobytes() for seed in range(200)}) == 200


def test_uniform_noise_fills_the_space_and_brownian_noise_is_correlated():
    uniform = actions_of(NoisePolicy(CAR, 1000, "uniform"), 0, 1000)
    np.testing.assert_allclose(uniform.mean(0), [0, 0.5, 0.5], atol=0.06)
    walk = actions_of(NoisePolicy(CAR, 1000, "brownian"), 0, 1000)

    def one_step_correlation(x):
        return np.corrcoef(x[:-1], x[1:])[0, 1]

    assert abs(one_step_correlation(uniform[:, 0])) < 0.15 and one_step_correlation(walk[:, 0]) > 0.85


def test_carracings_walk_gasses_more_than_it_brakes():
    policy = NoisePolicy(CAR, 300, "brownian", env_spec("CarRacing-v3").drift)
    _, gas, brake = np.mean([actions_of(policy, seed, 300).mean(0) for seed in range(8)], axis=0)
    assert gas > 2 * brake


def test_discrete_brownian_noise_holds_its_choices():
    adapter = ActionAdapter(spaces.Discrete(4))
    changes = {}
    for kind in ("uniform", "brownian"):
        rows = actions_of(NoisePolicy(adapter, 400, kind), 3, 400)
        assert (rows.sum(-1) == 1).all() and set(np.unique(rows)) == {0.0, 1.0}
        changes[kind] = (np.diff(rows.argmax(-1)) != 0).mean()
    assert changes["brownian"] < 0.5 * changes["uniform"]


def test_an_unknown_policy_or_backend_is_an_error_that_lists_them():
    with pytest.raises(ConfigError, match=r"'drunk'.*'uniform', 'brownian'"):
        NoisePolicy(CAR, 5, "drunk")
    with pytest.raises(ConfigError, match=r"'drunk'.*agent, brownian, uniform"):
        Driver(Recipe(STEER, policy="drunk"))
    with pytest.raises(ConfigError, match=r"'mujoco'.*envpool, gymnasium"):
        choose_backend(STEER, "mujoco")


def test_a_named_backend_stays_and_auto_is_gymnasium_where_envpool_lacks_the_environment():
    assert choose_backend("CarRacing-v3", "gymnasium") == "gymnasium"
    assert choose_backend("CartPole-v1") == choose_backend(STEER, "auto") == "gymnasium"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return save_run(tmp_path_factory.mktemp("run"), controller=True)


def test_ms_state_is_zeroed_where_an_episode_begins_and_nowhere_else(run):
    lanes, every = Driver(Recipe(STEER, logdir=str(run), num_lanes=3, time_limit=9)).lanes, np.arange(3)
    first = lanes.reset(every, [0, 9, 2])
    assert not first[:, LATENTS:].any()
    states = lanes.step(every, np.zeros((3, 2), np.float32)).observations
    assert (states[:, LATENTS:] != 0).any(-1).all()
    again = lanes.reset(np.array([1]), [9])
    assert torch.equal(again[0], first[1])
    alone = lanes.step(np.array([0, 2]), np.ones((2, 2), np.float32)).observations
    whole = Driver(Recipe(STEER, logdir=str(run), num_lanes=3, time_limit=9)).lanes
    whole.reset(every, [0, 9, 2])
    whole.step(every, np.zeros((3, 2), np.float32))
    assert torch.equal(whole.step(every, np.ones((3, 2), np.float32)).observations[[0, 2]], alone)


def test_a_candidate_acts_on_its_own_lane_and_is_kept_until_another_begins(run):
    driver = Driver(Recipe(STEER, logdir=str(run), num_lanes=3))
    candidates = np.random.default_rng(0).standard_normal((3, (LATENTS + HIDDENS + 1) * 2))
    policy = ControllerPolicy(driver.lanes, driver.controller, candidates)
    lanes, states = np.arange(3), torch.randn(3, LATENTS + 2 * HIDDENS)
    carry = policy.reset(policy.start(3), lanes, [Episode(i, 0) for i in range(3)])
    first, carry = policy.act(carry, lanes, states)
    some, carry = policy.act(carry, lanes[[0, 2]], states[[0, 2]])
    assert torch.equal(some, first[[0, 2]])
    carry = policy.reset(carry, lanes[[2]], [Episode(1, 0)])
    moved, carry = policy.act(carry, lanes, states[[0, 1, 1]])
    assert torch.equal(moved[:2], first[:2]) and torch.equal(moved[2], first[1])


def test_the_trained_controller_of_a_run_drives_like_its_parameters_as_a_candidate(run):
    episodes = [Episode(0, seed) for seed in range(4)]
    trained = Driver(Recipe(STEER, logdir=str(run), trained=True, time_limit=8)).evaluate(episodes)
    controller, _ = load_controller(run)
    flat = np.concatenate([p.detach().numpy().ravel() for p in controller.parameters()])
    given_it = Driver(Recipe(STEER, logdir=str(run), time_limit=8)).evaluate(episodes, flat[None])
    assert trained == given_it


def test_an_m_of_another_environment_is_an_error_that_names_both_sizes(run):
    with pytest.raises(CheckpointError, match=r"2 actions, Pendulum-v1 has 1"):
        Driver(Recipe("Pendulum-v1", logdir=str(run)))


def test_a_controller_without_h_sees_z_alone(run):
    sizes = {True: (LATENTS + HIDDENS + 1) * 2, False: (LATENTS + 1) * 2}
    for use_hidden, parameters in sizes.items():
        driver = Driver(Recipe(STEER, logdir=str(run), use_hidden=use_hidden, time_limit=3))
        (result,) = driver.evaluate([Episode(0, 0)], np.ones((1, parameters)))
        assert result.steps == 3
