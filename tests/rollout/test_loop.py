"""The loop: a counting agent asserts its carry, lanes never stand idle, returns do not depend on the lanes."""

from typing import NamedTuple

import gymnasium as gym
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.doubles import CountingEnv, decode_episode, decode_time
from tests.small_envs import PICK, STEER
from tests.small_runs import HIDDENS, LATENTS, save_run
from world_models.envs.frames import ResizedLanes
from world_models.envs.gym_env import GymLanes
from world_models.errors import EnvironmentFailure
from world_models.models.controller import Controller, flatten_parameters
from world_models.rollout.collect import Recorder
from world_models.rollout.driver import Driver, Recipe
from world_models.rollout.loop import Transition, drive
from world_models.types import Episode, EpisodeResult, Rollout


class UnevenEnv(CountingEnv):
    """A counting environment whose episodes last as long as their seed says."""

    def reset(self, *, seed=None, options=None):
        self.length = int(seed or 1)
        return super().reset(seed=seed, options=options)


for name, kind in (("Uneven-v0", UnevenEnv), ("Counting-v0", CountingEnv)):
    if name not in gym.registry:
        gym.register(name, entry_point=kind)


class Count(NamedTuple):
    """A counting agent's carry: steps of the present episode, its seed and its candidate, for every lane."""

    time: np.ndarray
    seed: np.ndarray
    candidate: np.ndarray


class CountingAgent:
    """Checks at every step that its carry is of the very episode and moment that the frame shows.

    The carry is replaced, never changed in place, so a loop that does not rebind it is caught at once; the
    action tells the time, so the environment can check it too.
    """

    def start(self, num_lanes: int) -> Count:
        return Count(*(np.full(num_lanes, -1) for _ in range(3)))

    def reset(self, carry: Count, lanes: np.ndarray, episodes: list[Episode]) -> Count:
        time, seed, candidate = (column.copy() for column in carry)
        time[lanes] = 0
        seed[lanes] = [episode.seed for episode in episodes]
        candidate[lanes] = [episode.candidate for episode in episodes]
        return Count(time, seed, candidate)

    def act(self, carry: Count, lanes: np.ndarray, frames: np.ndarray) -> tuple[np.ndarray, Count]:
        assert [decode_time(f) for f in frames] == carry.time[lanes].tolist()
        assert [decode_episode(f) for f in frames] == carry.seed[lanes].tolist()
        actions = np.stack([carry.time[lanes] / 100, carry.seed[lanes] / 100, carry.candidate[lanes] / 100], -1)
        time = carry.time.copy()
        time[lanes] += 1
        return actions.astype(np.float32), carry._replace(time=time)


class Diary:
    """A listener that keeps everything."""

    def __init__(self) -> None:
        self.steps: list[Transition] = []
        self.ends: list[tuple[int, EpisodeResult]] = []

    def transition(self, transition: Transition) -> None:
        self.steps.append(transition)

    def ended(self, lane: int, result: EpisodeResult) -> None:
        self.ends.append((lane, result))


def played(lengths: list[int], num_lanes: int, **kwargs) -> tuple[list[EpisodeResult], GymLanes, Diary]:
    lanes, diary = GymLanes("Uneven-v0", num_lanes), Diary()
    episodes = [Episode(candidate, length) for candidate, length in enumerate(lengths)]
    arguments = {"time_limit": 99, **kwargs}
    return drive(ResizedLanes(lanes), CountingAgent(), episodes, listeners=[diary], **arguments), lanes, diary


LENGTHS = st.lists(st.integers(1, 9), min_size=1, max_size=12)


@given(lengths=LENGTHS, num_lanes=st.integers(1, 6))
@settings(max_examples=40)
def test_state_is_rebound_each_step_zeroed_at_each_episode_and_never_swapped_between_lanes(lengths, num_lanes):
    results, lanes, _ = played(lengths, num_lanes)
    assert [r.episode for r in results] == [Episode(i, length) for i, length in enumerate(lengths)]
    assert [r.steps for r in results] == lengths
    assert [r.episode_return for r in results] == [sum(range(n)) for n in lengths]
    # The environments got each episode's own actions, in order and from its first step on.
    for env in lanes._envs:
        for seed, actions in zip(env.unwrapped.seeds, env.unwrapped.actions, strict=True):
            assert len(actions) == seed
            np.testing.assert_allclose(np.stack(actions)[:, 0], np.arange(seed) / 100, atol=1e-7)
            np.testing.assert_allclose(np.stack(actions)[:, 1], seed / 100, atol=1e-7)
            assert len({action[2] for action in actions}) == 1


@given(lengths=LENGTHS, num_lanes=st.integers(1, 6))
@settings(max_examples=40)
def test_a_lane_whose_episode_ends_takes_the_next_one_at_once_and_none_idles_while_episodes_wait(lengths, num_lanes):
    results, _, diary = played(lengths, num_lanes)
    left = len(lengths)
    for heard in diary.steps:
        assert len(heard.lanes) == len(set(heard.lanes)) == min(num_lanes, left)
        assert len(heard.episodes) == len(heard.lanes)
        left -= int((heard.step.terminals | heard.step.truncated).sum())
    assert left == 0 and sum(len(heard.lanes) for heard in diary.steps) == sum(lengths)
    assert {result.episode.candidate: result for _, result in diary.ends} == dict(enumerate(results))
    started = [episode.candidate for heard in diary.steps for episode in heard.episodes]
    assert set(started) == set(range(len(lengths)))


def test_a_listener_hears_the_frame_before_the_step_and_what_the_step_gave():
    _, _, diary = played([3, 5], 2)
    for heard in diary.steps:
        for row, episode in enumerate(heard.episodes):
            t = decode_time(heard.frames[row])
            assert decode_episode(heard.frames[row]) == episode.seed
            assert decode_time(heard.native_frames[row]) == t
            assert (heard.step.rewards[row], decode_time(heard.step.observations[row])) == (t, t + 1)
            assert heard.actions[row, 0] == np.float32(t / 100)
            assert heard.step.terminals[row] == (t + 1 == episode.seed)


def test_a_recorder_gives_each_episode_whole_and_a_cut_one_has_no_terminal():
    kept: dict[int, Rollout] = {}
    lanes = ResizedLanes(GymLanes("Uneven-v0", 2))
    recorder = Recorder(lambda result, rollout: kept.__setitem__(result.episode.seed, rollout))
    drive(lanes, CountingAgent(), [Episode(0, n) for n in (3, 9, 4)], time_limit=6, listeners=[recorder])
    assert {seed: len(rollout) for seed, rollout in kept.items()} == {3: 3, 9: 6, 4: 4}
    for seed, rollout in kept.items():
        n = len(rollout)
        assert [decode_time(f) for f in rollout.observations] == list(range(n))
        np.testing.assert_array_equal(rollout.rewards, np.arange(n))
        np.testing.assert_allclose(rollout.actions[:, 0], np.arange(n) / 100, atol=1e-7)
        assert rollout.terminals.tolist() == [0.0] * (n - 1) + [float(seed == n)]


@pytest.mark.parametrize(
    ("kwargs", "limits", "steps", "why"),
    [
        ({"length": 4}, {"time_limit": 9}, 4, "terminal"),
        ({"truncate_at": 3}, {"time_limit": 9}, 3, "truncated"),
        ({}, {"time_limit": 5}, 5, "time_limit"),
        ({"length": 5}, {"time_limit": 5}, 5, "terminal"),
        ({}, {"time_limit": 1}, 1, "time_limit"),
    ],
)
def test_an_episode_says_what_ended_it(kwargs, limits, steps, why):
    lanes = GymLanes("Counting-v0", 1, **kwargs)
    (result,) = drive(lanes, CountingAgent(), [Episode(0, 7)], **limits)
    assert (result.steps, result.ended_by) == (steps, why)


def test_an_episode_without_reward_for_long_is_terminated_early_and_a_reward_begins_the_count_again():
    lanes = GymLanes("Counting-v0", 1)  # its first reward is 0, those after it are not
    (result,) = drive(lanes, CountingAgent(), [Episode(0, 7)], time_limit=9, early_termination=1)
    assert (result.steps, result.ended_by) == (1, "hopeless")
    (result,) = drive(lanes, CountingAgent(), [Episode(0, 7)], time_limit=9, early_termination=2)
    assert (result.steps, result.ended_by) == (9, "time_limit")


@pytest.mark.parametrize(("why", "expected"), [("hopeless", 5.0 - 0.1 * 60), ("terminal", 5.0), ("time_limit", 5.0)])
def test_an_episode_terminated_early_is_worth_what_standing_still_would_have_come_to(why, expected):
    result = EpisodeResult(Episode(0, 7), 5.0, 40, why, last_reward=-0.1)
    assert result.expected_return(100) == pytest.approx(expected)
    assert result.expected_return(30) == 5.0, "it is longer than that already"


def test_a_result_knows_its_last_reward():
    lanes = GymLanes("Counting-v0", 1)
    (result,) = drive(lanes, CountingAgent(), [Episode(0, 7)], time_limit=4)
    (shorter,) = drive(lanes, CountingAgent(), [Episode(0, 7)], time_limit=3)
    assert result.last_reward == pytest.approx(result.episode_return - shorter.episode_return)


class BrittleEnv(CountingEnv):
    """Breaks at its third step, if its seed is 12."""

    def step(self, action):
        if self.seeds[-1] == 12 and self.time == 2:
            raise ZeroDivisionError("the axle is broken")
        return super().step(action)


class Mute(GymLanes):
    """A backend that does not say which lane broke."""

    def step(self, lanes, actions):
        raise OSError("the server is gone")


def test_an_environment_that_raises_is_named_with_lane_seed_and_step_and_its_traceback():
    gym.register("Brittle-v0", BrittleEnv)
    try:
        with pytest.raises(EnvironmentFailure) as failure:
            drive(GymLanes("Brittle-v0", 4), CountingAgent(), [Episode(0, s) for s in (10, 11, 12, 13)], time_limit=9)
    finally:
        del gym.registry["Brittle-v0"]
    first, *rest = str(failure.value).splitlines()
    assert "Brittle-v0 (gymnasium) raised ZeroDivisionError: the axle is broken (lane 2, seed 12, step 2)" in first
    assert rest[0].startswith("Traceback") and any("test_loop.py" in line for line in rest)


def test_a_backend_that_does_not_say_which_lane_broke_has_all_of_them_named():
    with pytest.raises(
        EnvironmentFailure, match=r"OSError: the server is gone \(lane 0, seed 5, step 0; lane 1, seed 6"
    ):
        drive(Mute("Counting-v0", 2), CountingAgent(), [Episode(0, 5), Episode(0, 6)], time_limit=9)


def test_no_episodes_are_no_results_and_a_limit_of_no_step_is_an_error():
    lanes = GymLanes("Counting-v0", 2)
    assert drive(lanes, CountingAgent(), [], time_limit=5) == []
    with pytest.raises(ValueError, match="time_limit=0"):
        drive(lanes, CountingAgent(), [Episode(0, 0)], time_limit=0)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return save_run(tmp_path_factory.mktemp("run"))


def candidates(n: int = 3) -> np.ndarray:
    torch.manual_seed(4)
    rows = [flatten_parameters(Controller(LATENTS, HIDDENS, 2).parameters()) for _ in range(n)]
    return np.stack(rows) * 3


ALONE: dict[tuple[bool, Episode], float] = {}


@given(
    pairs=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 4)), min_size=1, max_size=10),
    num_lanes=st.integers(1, 19),
    sampled=st.booleans(),
)
@settings(max_examples=8)
def test_a_return_depends_on_candidate_and_seed_alone_whoever_drives_beside_it(run, pairs, num_lanes, sampled):
    def returns(episodes: list[Episode], lanes: int) -> list[float]:
        recipe = Recipe(STEER, logdir=str(run), num_lanes=lanes, time_limit=8, sample_latents=sampled)
        driver = Driver(recipe)
        try:
            return [r.episode_return for r in driver.evaluate(episodes, candidates())]
        finally:
            driver.close()

    episodes = [Episode(*pair) for pair in pairs]
    for episode, value in zip(episodes, returns(episodes, num_lanes), strict=True):
        if (sampled, episode) not in ALONE:
            (ALONE[sampled, episode],) = returns([episode], 1)
        assert value == ALONE[sampled, episode]


def test_candidates_and_seeds_really_differ_and_sampling_matters(run):
    def value(candidate: int, seed: int, sampled: bool = False) -> float:
        driver = Driver(Recipe(STEER, logdir=str(run), time_limit=8, sample_latents=sampled))
        return driver.evaluate([Episode(candidate, seed)], candidates())[0].episode_return

    assert len({value(0, 1), value(1, 1), value(0, 2), value(0, 1, sampled=True)}) == 4


def test_noise_drives_a_discrete_environment_by_the_same_loop():
    for policy in ("uniform", "brownian"):
        driver = Driver(Recipe(PICK, policy=policy, num_lanes=2, time_limit=9))
        results = driver.evaluate([Episode(0, seed) for seed in range(5)])
        assert [r.steps for r in results] == [5] * 5 and {r.ended_by for r in results} == {"terminal"}
        assert all(0 <= r.episode_return <= 5 for r in results)
