"""What an action leads to in the dream: as the documented loop tells it, one state and one fork at a time."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.dreams import hand_made, save_dream
from tests.small_envs import PICK, STEER
from tests.small_runs import HIDDENS, LATENTS
from world_models.models.controller import Controller, load_parameters
from world_models.models.dream_rules import DreamRules
from world_models.rollout import consequences as module
from world_models.rollout.consequences import HORIZONS, Consequences, joined
from world_models.rollout.driver import Driver
from world_models.rollout.recipe import dream_recipe
from world_models.utils.seeding import derive_seed

WEIGHT = 30.0
SIZE = (LATENTS + HIDDENS + 1) * 2
PARAMETERS = np.random.default_rng(5).standard_normal(SIZE)


def driver(logdir: Path, terminal: str = "sampled", env: str = STEER, **changes) -> Driver:
    rules = DreamRules(precision="fp32", terminal=terminal)
    return Driver(replace(dream_recipe(env, str(logdir), rules, num_lanes=8, time_limit=40), **changes))


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_dream(tmp_path_factory.mktemp("run"), terminal_trained=True, terminal_weight=WEIGHT)


def asked(driver: Driver, seed: int, count: int, parameters: np.ndarray) -> Consequences:
    (found,) = driver.consequences(seed, count, parameters)
    return found


def worth(driver: Driver, state: torch.Tensor, seed: int, action: int, output: float) -> list[float]:
    """The documented loop from one state, output `action` held for 12 steps."""
    dream, controller = driver.lanes.dream, Controller(LATENTS, HIDDENS, 2)
    load_parameters(PARAMETERS, controller)
    dream.begin([seed])
    dream.inputs.copy_(state[None])
    total, alive, sums = 0.0, 1.0, []
    for time in range(1, HORIZONS[-1] + 1):
        with torch.no_grad():
            raw = controller(dream.state.h, dream.z)
        if time <= 12:
            raw[0, action] = output
        step = dream.step(driver.lanes.actions.from_raw(raw))
        total += alive * step.rewards.item()
        logit = step.logits.item()
        if driver.lanes.dream.rules.terminal == "sampled":
            alive *= 1 - 1 / (1 + math.exp(-(logit - math.log(WEIGHT))))
        elif driver.lanes.dream.rules.terminal == "threshold":
            alive *= logit <= 0
        if time in HORIZONS:
            sums.append(total)
    return sums


@pytest.mark.parametrize("terminal", ["sampled", "threshold", "never"])
def test_gains_are_what_the_loop_tells_fork_by_fork(logdir: Path, terminal: str, monkeypatch: pytest.MonkeyPatch):
    mine = driver(logdir, terminal)
    seen: list[torch.Tensor] = []
    whole = module._gains
    monkeypatch.setattr(module, "_gains", lambda *asked: seen.append(asked[3]) or whole(*asked))
    found = asked(mine, 3, 5, PARAMETERS)
    states = torch.cat(seen)
    assert found.gains.shape == (5, 2, len(HORIZONS)) and found.states.shape == (5, LATENTS + HIDDENS)
    assert np.array_equal(found.states, states[:, : LATENTS + HIDDENS].numpy())
    at_once = 8 // 4
    for i in range(5):
        noise = derive_seed("noise", derive_seed("fork", 3, i // at_once * at_once), i % at_once)
        for action in range(2):
            high, low = (worth(mine, states[i], noise, action, output) for output in (1.0, -1.0))
            assert found.gains[i, action] == pytest.approx(np.subtract(high, low), abs=2e-3)


def test_what_m_answers_is_not_lost_in_bfloat16(logdir: Path):
    """From the same states with the same noise, over the first horizons: later two dreams part, whatever the format."""
    exact, rounded = (driver(logdir, rules=DreamRules(precision=each, terminal="never")) for each in ("fp32", "bf16"))
    with torch.inference_mode():
        states, _ = module._states(*exact.states(), PARAMETERS, 3, 64, 40)
        mine, theirs = (module._gains(*each.states(), PARAMETERS, states, 4) for each in (exact, rounded))
    for action in range(2):
        for horizon in range(3):
            pair = np.corrcoef(mine[:, action, horizon], theirs[:, action, horizon])
            assert pair[0, 1] > 0.9, (action, horizon, pair)


def test_the_same_seed_asks_the_same_and_another_other_states(logdir: Path):
    first, again, other = (asked(driver(logdir), seed, 6, PARAMETERS) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first.states, other.states)
    both = joined([first, other])
    assert both.states.shape[0] == both.gains.shape[0] == 12 and both.steps == first.steps + other.steps
    assert first.steps >= 6 * 4 * HORIZONS[-1]


def test_a_chosen_action_is_really_the_one_that_is_held(tmp_path: Path):
    """Of actions of which the largest output is taken, the one that M rewards is worth more, whatever C says."""
    logdir = save_dream(tmp_path, hand_made((1.0, 1.0, 1.0)), env_name=PICK)
    size = (LATENTS + HIDDENS + 1) * 3
    found = asked(driver(logdir, "never", PICK), 1, 4, 50 * np.random.default_rng(1).standard_normal(size))
    assert np.isfinite(found.gains).all() and found.gains.shape == (4, 3, len(HORIZONS))
