"""The counting environment and a dream of it by the same loop, evaluator, collector and executors: none can tell."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.counting import ACTIONS, COUNTING, LENGTH, WORLDS, counting_recipe, save_counting
from tests.small_runs import HIDDENS, LATENTS
from world_models.envs.frames import ResizedLanes
from world_models.errors import ConfigError
from world_models.executors.base import evaluate, experience
from world_models.executors.local import InlineExecutor, ProcessExecutor
from world_models.models.controller import flatten_parameters
from world_models.models.load import load_controller
from world_models.rollout.collect import Recorder
from world_models.rollout.consequences import HORIZONS
from world_models.rollout.driver import Driver, Recipe
from world_models.rollout.experience import Collector, noise_of_lane, noisy_outputs
from world_models.runs.evaluation import evaluate_recipe
from world_models.types import Episode, Rollout

EPISODES = [Episode(i % 2, 20 + i) for i in range(7)]
WHOLE = sum(range(LENGTH))
both = pytest.mark.parametrize("world", WORLDS)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_counting(tmp_path_factory.mktemp("run"))


def candidates(count: int = 2) -> np.ndarray:
    return np.random.default_rng(1).standard_normal((count, ACTIONS * (LATENTS + HIDDENS + 1)))


def own(run: Path) -> np.ndarray:
    return flatten_parameters(load_controller(run)[0].parameters())


@both
@pytest.mark.parametrize(
    ("limits", "steps", "why"),
    [
        ({}, LENGTH, "terminal"),
        ({"time_limit": 3}, 3, "time_limit"),
        ({"time_limit": LENGTH}, LENGTH, "terminal"),
        ({"early_termination": 1}, 1, "hopeless"),
        ({"early_termination": 2}, LENGTH, "terminal"),
    ],
)
def test_the_loop_counts_the_same_steps_and_returns(world: str, run: Path, limits: dict, steps: int, why: str):
    results = Driver(counting_recipe(world, run)).evaluate(EPISODES, candidates(), **limits)
    assert [result.episode for result in results] == EPISODES
    assert [(result.steps, result.ended_by) for result in results] == [(steps, why)] * len(EPISODES)
    assert [result.episode_return for result in results] == pytest.approx([sum(range(steps))] * 7, abs=0.01)
    assert [result.last_reward for result in results] == pytest.approx([steps - 1] * 7, abs=0.01)


@both
@pytest.mark.parametrize("policy", ["agent", "uniform"])
def test_a_recorder_hears_each_episode_whole(world: str, policy: str, run: Path):
    kept: dict[int, Rollout] = {}
    recorder = Recorder(lambda result, rollout: kept.__setitem__(result.episode.seed, rollout))
    driver = Driver(counting_recipe(world, run, policy=policy))
    driver.evaluate([Episode(0, seed) for seed in range(5)], listeners=[recorder])
    assert sorted(kept) == list(range(5))
    actions = {rollout.actions.tobytes() for rollout in kept.values()}
    assert len(actions) > 1
    for seed, rollout in kept.items():
        np.testing.assert_allclose(rollout.rewards, np.arange(LENGTH), atol=0.01)
        assert rollout.terminals.tolist() == [0.0] * (LENGTH - 1) + [1.0]
        assert (np.abs(rollout.actions) <= 1).all()
        if world == "dream":
            assert rollout.observations.shape == (LENGTH, LATENTS + 2 * HIDDENS)
            time = rollout.observations[:, LATENTS + HIDDENS :]  # c grows by a thousandth a step
            np.testing.assert_allclose(time, np.arange(LENGTH)[:, None].repeat(HIDDENS, 1) / 1000, atol=1e-6)
        else:
            assert [frame[0, 0].tolist() for frame in rollout.observations] == [[t, 0, seed] for t in range(LENGTH)]


def test_a_random_policy_drives_frames_without_v_or_m():
    driver = Driver(Recipe(COUNTING, policy="uniform", num_lanes=2, time_limit=9))
    assert isinstance(driver.lanes, ResizedLanes) and driver.controller is None
    assert [r.episode_return for r in driver.evaluate([Episode(0, 1), Episode(0, 2), Episode(0, 3)])] == [WHOLE] * 3
    with pytest.raises(ConfigError, match="Only an agent has states"):
        driver.consequences(0, 1, np.zeros(3))


@both
def test_the_collector_goes_on_from_update_to_update(world: str, run: Path):
    driver, parameters = Driver(counting_recipe(world, run)), own(run)
    (first,) = driver.experience(parameters, 0.0, 8, seeds=(1, 2, 3))
    driver.evaluate(EPISODES, candidates())  # what else is driven does not matter
    (second,) = driver.experience(parameters, 0.0, 4, seeds=None)
    rewards = torch.cat([first.experience.rewards, second.experience.rewards])
    expected = torch.tensor([t % LENGTH for t in range(12)])[:, None].repeat(1, 3).float()
    torch.testing.assert_close(rewards, expected, atol=0.01, rtol=0)
    ended = torch.cat([first.experience.ended, second.experience.ended])
    assert torch.equal(ended, expected == LENGTH - 1) and not first.experience.cut.any()
    assert first.returns + second.returns == pytest.approx([WHOLE] * 6, abs=0.01)
    states, outputs, progress = first.experience.states, first.experience.outputs, first.experience.progress
    assert torch.equal(states[-1], second.experience.states[0])
    torch.testing.assert_close(progress[:8, :, 0], expected[:8] / 9)
    with torch.no_grad():
        torch.testing.assert_close(outputs, load_controller(run)[0](states[:-1]), atol=1e-5, rtol=1e-5)


@both
def test_noise_is_on_the_outputs_and_early_termination_is_marked(world: str, run: Path):
    driver, parameters = Driver(counting_recipe(world, run)), own(run)
    (found,) = driver.experience(parameters, 0.5, 60, seeds=(1, 2, 3), early_termination=1)
    with torch.no_grad():
        noise = found.experience.outputs - load_controller(run)[0](found.experience.states[:-1])
    assert 0.4 < float(noise.std()) < 0.6
    assert abs(float(np.corrcoef(noise[:, 0].ravel(), noise[:, 1].ravel())[0, 1])) < 0.4
    assert found.early_terminated.all() and found.experience.ended.all()  # each first reward is none


@both
def test_for_a_critic_that_does_not_know_the_time_an_episode_is_cut_at_the_limit(world: str, run: Path):
    lanes, controller = Driver(counting_recipe(world, run)).states()
    collector = Collector(lanes, [itertools.count(7)] * 3, controller.inputs, 3)
    act = noisy_outputs(lanes, controller, own(run), [noise_of_lane(seed) for seed in range(3)], 0.1, 7)
    found = collector.collect(act, 7).experience
    assert torch.equal(found.cut, torch.tensor([t % 3 == 2 for t in range(7)])[:, None].repeat(1, 3))
    assert not found.ended.any() and found.progress.shape == (8, 3, 0)


@both
def test_executors_give_what_a_driver_gives(world: str, run: Path):
    recipe, parameters = counting_recipe(world, run), candidates()
    expected = Driver(recipe).evaluate(EPISODES, parameters, time_limit=9)
    (alone,) = Driver(recipe).experience(parameters[0], 0.3, 6, seeds=(5, 6, 7))
    for executor in (InlineExecutor(recipe), ProcessExecutor(recipe, 2)):
        try:
            assert evaluate(executor, EPISODES, parameters, time_limit=9, shard_size=3) == expected
            found = experience(executor, parameters[0], 0.3, 6, (5, 6, 7))
        finally:
            executor.close()
        for mine, theirs in zip(found.experience, alone.experience, strict=True):
            assert torch.equal(mine, theirs)


@both
def test_m_is_asked_what_an_action_leads_to(world: str, run: Path):
    driver = Driver(counting_recipe(world, run))
    (found,), (again,) = (driver.consequences(3, 4, own(run)) for _ in range(2))
    assert found.states.shape == (4, LATENTS + HIDDENS) and found.gains.shape == (4, ACTIONS, len(HORIZONS))
    assert not found.gains.any(), "this M rewards every action alike"
    assert np.array_equal(found.states, again.states) and len(np.unique(found.states, axis=0)) > 1


@both
def test_the_evaluator_scores_named_seeds(world: str, run: Path):
    score = evaluate_recipe(counting_recipe(world, run, trained=True), 4, 100, 1, display=False)
    assert score["seeds"] == [100, 101, 102, 103] and score["steps"] == [LENGTH] * 4
    assert score["returns"] == pytest.approx([WHOLE] * 4, abs=0.01) and score["std"] == pytest.approx(0, abs=1e-3)
    assert score["backend"] == ("dream" if world == "dream" else "gymnasium")
    assert (score.get("ended"), score.get("temperature")) == ((4, 1.0) if world == "dream" else (None, None))


@both
def test_a_lane_that_was_left_out_begins_again(world: str, run: Path):
    lanes = Driver(counting_recipe(world, run)).lanes
    every, some = np.arange(3), np.array([0, 2])
    lanes.announce([1, 2, 3])
    lanes.reset(every, [1, 2, 3])
    lanes.step(every, np.zeros((3, ACTIONS), np.float32))
    step = lanes.step(some, np.zeros((2, ACTIONS), np.float32))
    assert step.rewards == pytest.approx([1, 1], abs=0.01) and step.observations.shape == (2, LATENTS + 2 * HIDDENS)
    lanes.reset(np.array([1]), [4])
    assert lanes.step(every, np.zeros((3, ACTIONS), np.float32)).rewards == pytest.approx([2, 0, 2], abs=0.01)


def test_a_dream_grows_by_lanes_that_were_let_go(run: Path):
    lanes = Driver(counting_recipe("dream", run, num_lanes=300)).lanes
    every, half = np.arange(300), np.arange(0, 200, 2)
    lanes.announce(list(range(300)))
    lanes.reset(every, list(range(300)))
    lanes.step(every, np.zeros((300, ACTIONS), np.float32))
    assert lanes.step(half, np.zeros((100, ACTIONS), np.float32)).rewards == pytest.approx([1] * 100, abs=0.01)
    assert lanes.dream.num_lanes == 100, "two blocks of rows are spared"
    lanes.reset(np.array([1, 299]), [5, 6])
    some = np.array([1, *half, 299])
    rewards = lanes.step(some, np.zeros((102, ACTIONS), np.float32)).rewards
    assert rewards == pytest.approx([0, *[2] * 100, 0], abs=0.01) and lanes.dream.num_lanes == 102


def test_what_a_dream_cannot_have_is_said(run: Path):
    with pytest.raises(ConfigError, match="no frames to mirror"):
        Driver(counting_recipe("dream", run, mirrored=True))
    with pytest.raises(ConfigError, match="no frames to write"):
        Driver(counting_recipe("dream", run)).collect({1: "x.npz"})
