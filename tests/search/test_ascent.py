"""Up the gradient in dreams: a hand-made M's best action comes nearer, the same seed gives the same C."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.dreams import best_reward, hand_made, save_dream
from tests.small_envs import STEER
from tests.small_runs import HIDDENS, LATENTS
from world_models.models.dream_rules import DreamRules
from world_models.rollout.driver import Driver
from world_models.rollout.recipe import dream_recipe
from world_models.search.algorithms.policy_gradient import GradientRules
from world_models.search.ascent import ascend
from world_models.types import DoubleArray, Episode

GOALS = (0.5, -1.0)
TIME_LIMIT, LANES = 8, 32


def driver(folder: Path, mdrnn=None, **changes) -> Driver:
    logdir = str(save_dream(folder, mdrnn))
    rules = DreamRules(precision="fp32")
    return Driver(dream_recipe(STEER, logdir, rules, num_lanes=LANES, **{"time_limit": TIME_LIMIT, **changes}))


def worth(dream: Driver, flat: DoubleArray) -> float:
    results = dream.evaluate([Episode(0, seed) for seed in range(40)], flat[None])
    return float(np.mean([r.episode_return for r in results]))


def size(use_cell: bool = False, bias: bool = True) -> int:
    return 2 * (LATENTS + HIDDENS * (1 + use_cell) + bias)


def test_c_comes_nearer_to_the_best_action_that_m_knows(tmp_path: Path):
    dream, start = driver(tmp_path, hand_made(GOALS, steepness=1.0)), np.zeros(size())
    rules = GradientRules(rollout_steps=TIME_LIMIT, gamma=0.5, action_noise=0.2, learning_rate=5e-3, minibatch=256)
    told: list[tuple[int, float, float]] = []
    flat, dreamed = ascend(dream, 0, 100_000, start, rules, lambda *update: told.append(update))
    best = TIME_LIMIT * best_reward(GOALS, steepness=1.0)
    assert worth(dream, start) < 0.7 * best < 0.93 * best < worth(dream, flat)
    steps = [each for each, *_ in told]
    assert steps == sorted(steps) and 100_000 <= dreamed == steps[-1] < 100_000 + LANES * TIME_LIMIT
    assert told[-1][1] > told[0][1] and told[0][2] == 0, "this M ends no dream"


@pytest.mark.parametrize("use_cell, bias", [(False, True), (True, False)])
def test_the_same_seed_gives_the_same_c(tmp_path: Path, use_cell: bool, bias: bool):
    kind = {"use_cell": use_cell, "bias": bias}
    start = np.random.default_rng(0).standard_normal(size(**kind))
    rules = GradientRules(rollout_steps=4, minibatch=64)
    dreams = [driver(tmp_path / name, **kind) for name in ("one", "same")]
    dreams[1].evaluate([Episode(0, 7)], start[None])  # what else was dreamed does not matter
    one, same, other = (
        ascend(dream, seed, 14_000, start, rules)[0]
        for dream, seed in zip([*dreams, dreams[0]], (3, 3, 4), strict=True)
    )
    np.testing.assert_array_equal(one, same)
    assert one.shape == start.shape and not np.array_equal(one, start) and not np.array_equal(one, other)


def test_a_dream_that_is_cut_goes_on_with_another(tmp_path: Path):
    lanes_begun: list[int] = []
    dream = driver(tmp_path, time_limit=3)
    reset = dream.lanes.reset
    dream.lanes.reset = lambda lanes, seeds: (lanes_begun.append(len(lanes)), reset(lanes, seeds))[1]
    ascend(dream, 0, 1, np.zeros(size()), GradientRules(rollout_steps=4))
    assert lanes_begun[0] == LANES and sum(lanes_begun) == LANES * (1 + 400 // 3)
