"""The actor and its critic: advantages against plain sums, C's parameters kept, known optima found."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from world_models.rollout.policy_gradient import Experience, GradientRules, PolicyGradient, Scale, advantages

LANES, STATES = 64, 5


def experience(rewards, ended=None, cut=None) -> Experience:
    rewards = torch.as_tensor(rewards, dtype=torch.float32)
    none = torch.zeros(rewards.shape, dtype=torch.bool)
    steps, lanes = rewards.shape
    nothing = torch.zeros(steps, lanes, 1)
    marks = [none if x is None else torch.as_tensor(x) for x in (ended, cut)]
    return Experience(torch.zeros(steps + 1, lanes, 1), nothing, rewards, *marks)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), discount=st.floats(0.5, 0.99), trace=st.floats(0.0, 1.0))
def test_an_advantage_is_the_faded_sum_of_the_surprises_up_to_its_episodes_end(seed, discount, trace):
    rng, steps = np.random.default_rng(seed), 7
    rewards, values = rng.standard_normal((steps, 1)), rng.standard_normal((steps + 1, 1))
    ended = rng.random((steps, 1)) < 0.2
    cut = ~ended & (rng.random((steps, 1)) < 0.2)
    found, wanted = advantages(experience(rewards, ended, cut), torch.from_numpy(values), discount, trace)

    def surprise(t: int) -> float:
        ahead = 0.0 if ended[t, 0] else values[t, 0] if cut[t, 0] else values[t + 1, 0]
        return (1 - discount) * rewards[t, 0] + discount * ahead - values[t, 0]

    for t in range(steps):
        total, fade = 0.0, 1.0
        for s in range(t, steps):
            total += fade * surprise(s)
            fade *= discount * trace
            if ended[s, 0] or cut[s, 0]:
                break
        np.testing.assert_allclose(found[t, 0], total, atol=1e-6)
        np.testing.assert_allclose(wanted[t, 0], total + values[t, 0], atol=1e-6)


def test_where_the_critic_is_right_nothing_is_a_surprise():
    # A reward of 1 at every step for ever is worth 1, and 0.99 of it is still to come after the first.
    found, _ = advantages(experience(np.ones((9, 3))), torch.ones(10, 3), 0.99, 0.95)
    torch.testing.assert_close(found, torch.zeros(9, 3), atol=1e-6, rtol=0)


def states_of(seed: int = 0, count: int = 400) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    scale = np.array([1.0, 0.01, 30.0, 2.0, 0.0])  # one entry never varies
    return torch.from_numpy(rng.standard_normal((count, STATES)) * scale + [1, 0.5, -20, 0, 0]).float()


def learner_of(flat, actions: int, bias: bool, seed: int, rules: GradientRules) -> PolicyGradient:
    return PolicyGradient(flat, Scale.of(flat, states_of(), actions, bias), bias, seed, rules)


@pytest.mark.parametrize("bias", [False, True])
def test_before_it_learns_c_is_what_it_was(bias: bool):
    flat = np.random.default_rng(3).standard_normal(2 * (STATES + bias))
    learner = learner_of(flat, 2, bias, 0, GradientRules(noise=1e-9))
    np.testing.assert_allclose(learner.parameters, flat, rtol=1e-4, atol=1e-5)
    seen = states_of(1, LANES)
    weight = torch.from_numpy(flat[: 2 * STATES].reshape(2, STATES)).float()
    shift = torch.from_numpy(flat[2 * STATES :]).float() if bias else 0.0
    torch.testing.assert_close(learner.act(seen), seen @ weight.T + shift, rtol=1e-3, atol=1e-3)


def learned(bias: bool, seed: int = 0, updates: int = 150, delay: int = 0, critic_first: int = 0) -> PolicyGradient:
    """C that is to double the first entry and to add 0.5; the reward comes `delay` steps later."""
    rules = GradientRules(steps=8, discount=0.5, noise=0.3, rate=1e-2, batch=256, critic_first=critic_first)
    learner = learner_of(np.zeros(STATES + bias), 1, bias, seed, rules)
    rng = np.random.default_rng(seed)
    for _ in range(updates):
        states = states_of(int(rng.integers(1 << 30)), 9 * LANES).reshape(9, LANES, STATES)
        outputs = torch.stack([learner.act(x) for x in states[:-1]])
        goal = 2 * (states[:-1, :, :1] - 1) + (0.5 if bias else 0)
        rewards = torch.zeros(8, LANES)
        rewards[delay:] = -(outputs - goal).square()[: 8 - delay, :, 0]
        none = torch.zeros(8, LANES, dtype=torch.bool)
        learner.learn(Experience(states, outputs, rewards, none, none))
    return learner


@pytest.mark.parametrize("delay", [0, 1])
def test_the_best_linear_c_is_found_also_where_the_reward_comes_later(delay: int):
    flat = learned(True, delay=delay).parameters
    outputs = states_of(5) @ torch.from_numpy(flat[:-1]).float() + flat[-1]
    goal = 2 * (states_of(5)[:, 0] - 1) + 0.5
    assert (outputs - goal).square().mean() < 0.1 * goal.square().mean()


def test_without_a_bias_there_is_none():
    assert learned(False, updates=2).parameters.shape == (STATES,)


def test_the_same_seed_gives_the_same_c_and_another_seed_another():
    one, same, other = (learned(True, seed, updates=3).parameters for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_c_stays_where_the_critic_learns_alone():
    np.testing.assert_array_equal(learned(True, updates=3, critic_first=3).parameters, np.zeros(STATES + 1))


def more_is_better(updates: int, done: float = 0.0, memory: float = 0.9) -> tuple[float, float]:
    """What C gives on average, and what it does while it learns, where more output is more reward."""
    rules = GradientRules(steps=2, discount=0.5, rate=1e-2, last_rate=0.1, memory=memory, batch=64, critic_first=0)
    learner = learner_of(np.zeros(STATES + 1), 1, True, 0, rules)
    none = torch.zeros(2, LANES, dtype=torch.bool)
    states = states_of(1, 3 * LANES).reshape(3, LANES, STATES)
    for _ in range(updates):
        outputs = torch.stack([learner.act(x) for x in states[:-1]])
        learner.learn(Experience(states, outputs, outputs[..., 0], none, none), done)
    flat = torch.from_numpy(learner.parameters).float()
    acting = torch.cat([learner.act(states[0]) for _ in range(200)]).mean()
    return float((states[0] @ flat[:-1] + flat[-1]).mean()), float(acting)


def test_what_is_given_is_the_average_of_what_c_was():
    given, acting = more_is_better(30)
    assert 0.2 < given < acting - 0.05
    given, acting = more_is_better(30, memory=0.0)
    assert abs(given - acting) < 0.02


def test_in_the_end_c_moves_less():
    assert 0 < more_is_better(10, done=1.0)[1] < 0.5 * more_is_better(10, done=0.0)[1]
