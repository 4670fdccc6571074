"""Candidates dreamed in lanes: what one would dream alone, in any order, beside anybody."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.dreams import save_dream
from tests.small_envs import PICK, STEER
from tests.small_runs import HIDDENS, LATENTS, save_controller
from world_models.errors import CheckpointError
from world_models.models.controller import Controller, Population, controller_outputs, load_parameters
from world_models.models.dream import load_dream
from world_models.models.dream_rules import DreamRules
from world_models.rollout.driver import Driver, Recipe
from world_models.rollout.recipe import dream_recipe
from world_models.types import Episode

RULES = DreamRules(precision="fp32", terminal="sampled")


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # The odds that M of chance gives a terminal are about 1; the weight makes an end rare enough to dream on.
    return save_dream(tmp_path_factory.mktemp("run"), terminal_trained=True, terminal_weight=30.0)


def recipe(logdir: Path, **changes) -> Recipe:
    return replace(dream_recipe(STEER, str(logdir), RULES, num_lanes=7, time_limit=30), **changes)


def candidates(count: int = 5, width: int = LATENTS + HIDDENS + 1) -> np.ndarray:
    return np.random.default_rng(2).standard_normal((count, 2 * width))


EPISODES = [Episode(candidate, 100 + seed) for seed in range(6) for candidate in range(5)]


def dreamed_alone(logdir: Path, parameters: np.ndarray, seed: int) -> tuple[float, int, str]:
    """The documented loop, one episode, one step after another."""
    dream = load_dream(logdir, RULES)
    controller = Controller(LATENTS, HIDDENS, 2)
    load_parameters(parameters, controller)
    adapter = Driver(recipe(logdir)).lanes.actions
    dream.begin([seed])
    total = 0.0
    for steps in range(1, 31):
        with torch.no_grad():
            action = adapter.from_raw(controller(dream.state.h, dream.z))
        told = dream.step(action)
        total += told.rewards.item()
        if told.terminals.item():
            return total, steps, "terminal"
    return total, 30, "time_limit"


def test_every_candidate_dreams_what_it_would_alone(logdir: Path):
    results = Driver(recipe(logdir)).evaluate(EPISODES, candidates())
    assert [result.episode for result in results] == EPISODES
    assert {result.ended_by for result in results} == {"terminal", "time_limit"}, "the test needs both"
    for result in results[::4]:
        total, steps, ended_by = dreamed_alone(logdir, candidates()[result.episode.candidate], result.episode.seed)
        assert (result.steps, result.ended_by) == (steps, ended_by)
        assert result.episode_return == pytest.approx(total, abs=1e-4)


@pytest.mark.parametrize("lanes", [1, 3, 200])
def test_neither_order_nor_lanes_change_a_dream(logdir: Path, lanes: int):
    results = Driver(recipe(logdir)).evaluate(EPISODES, candidates())
    driver = Driver(recipe(logdir, num_lanes=lanes))
    assert driver.evaluate(EPISODES[::-1], candidates())[::-1] == results
    assert driver.evaluate(EPISODES[3:5], candidates()) == results[3:5], "a driver is used again"


def test_lanes_that_have_ended_are_let_go_block_by_block(logdir: Path):
    episodes = [Episode(0, seed) for seed in range(300)]
    driver = Driver(recipe(logdir, num_lanes=300))
    widths = []
    step = driver.lanes.dream.step
    driver.lanes.dream.step = lambda actions: widths.append(driver.lanes.dream.num_lanes) or step(actions)
    results = driver.evaluate(episodes, candidates())
    assert widths[0] == 300 and min(widths) <= 256
    few = Driver(recipe(logdir, num_lanes=20)).evaluate(episodes, candidates())
    assert results == few


def test_dreams_without_reward_are_terminated_early(logdir: Path):
    never = DreamRules(precision="fp32", terminal="never")
    result = Driver(recipe(logdir, rules=never)).evaluate([Episode(0, 1)], candidates(), early_termination=4)[0]
    full = Driver(recipe(logdir, rules=never)).evaluate([Episode(0, 1)], candidates())[0]
    assert full.ended_by == "time_limit" and full.steps == 30
    assert result.ended_by == "hopeless" and 4 <= result.steps < 30
    assert result.last_reward < 0 and result.expected_return(30) < result.episode_return


@pytest.mark.parametrize(
    "settings",
    [{}, {"bias": False}, {"use_cell": True}, {"use_cell": True, "bias": False}, {"hidden_layers": (3,)}],
    ids=str,
)
def test_outputs_are_each_candidates_own(settings: dict):
    controller = Controller(LATENTS, HIDDENS, 2, **settings)
    count = sum(p.numel() for p in controller.parameters())
    population = Population(controller, np.random.default_rng(0).standard_normal((3, count)))
    inputs = torch.randn(3, LATENTS + 2 * HIDDENS)
    z, h, c = inputs.split([LATENTS, HIDDENS, HIDDENS], dim=1)
    outputs = controller_outputs(population.gather(torch.arange(3)), inputs)
    for row in range(3):
        load_parameters(population.candidates[row].double().numpy(), controller)
        wanted = controller(h[row], z[row], c[row]) if controller.use_cell else controller(h[row], z[row])
        torch.testing.assert_close(outputs[row], wanted)


def test_the_runs_own_controller_dreams_where_no_candidates_are_given(logdir: Path, tmp_path: Path):
    save_dream(tmp_path)
    controller = save_controller(tmp_path)
    trained = Driver(recipe(tmp_path, rules=DreamRules(precision="fp32"), trained=True))
    flat = torch.cat([p.detach().flatten() for p in controller.parameters()]).double().numpy()
    given = trained.evaluate([Episode(0, 3)], flat[None])
    assert trained.evaluate([Episode(0, 3)]) == given


def test_what_does_not_fit_is_named(logdir: Path, tmp_path: Path):
    with pytest.raises(CheckpointError, match=r"was trained with 2 actions, .*Pick-v0 has 3"):
        Driver(recipe(logdir, env_name=PICK))
    save_dream(tmp_path)
    save_controller(tmp_path, hidden_size=HIDDENS + 1)
    with pytest.raises(CheckpointError, match="7 hidden units"):
        Driver(recipe(tmp_path, rules=DreamRules(), trained=True))
