"""The actor and its critic: advantages against plain sums, C's parameters kept, known optima found."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from world_models.search.algorithms.policy_gradient import Experience, GradientRules, PolicyGradient, Scale, advantages

LANES, STATES = 64, 5


def experience(rewards, ended=None, cut=None) -> Experience:
    rewards = torch.as_tensor(rewards, dtype=torch.float32)
    none = torch.zeros(rewards.shape, dtype=torch.bool)
    steps, lanes = rewards.shape
    nothing = torch.zeros(steps, lanes, 1)
    marks = [none if x is None else torch.as_tensor(x) for x in (ended, cut)]
    return Experience(torch.zeros(steps + 1, lanes, 1), nothing, rewards, *marks, torch.zeros(steps + 1, lanes, 0))


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


def learner_of(flat, actions: int, bias: bool, seed: int, rules: GradientRules, told: int = 0) -> PolicyGradient:
    return PolicyGradient(flat, Scale.of(flat, states_of(), actions, bias), bias, seed, rules, told)


@pytest.mark.parametrize("bias", [False, True])
def test_before_it_learns_c_is_what_it_was(bias: bool):
    flat = np.random.default_rng(3).standard_normal(2 * (STATES + bias))
    learner = learner_of(flat, 2, bias, 0, GradientRules(action_noise=1e-9))
    np.testing.assert_allclose(learner.parameters, flat, rtol=1e-4, atol=1e-5)
    seen = states_of(1, LANES)
    weight = torch.from_numpy(flat[: 2 * STATES].reshape(2, STATES)).float()
    shift = torch.from_numpy(flat[2 * STATES :]).float() if bias else 0.0
    torch.testing.assert_close(learner.act(seen), seen @ weight.T + shift, rtol=1e-3, atol=1e-3)


def learned(bias: bool, seed: int = 0, updates: int = 150, delay: int = 0, critic_first: int = 0) -> PolicyGradient:
    """C that is to double the first entry and to add 0.5; the reward comes `delay` steps later."""
    rules = GradientRules(
        rollout_steps=8, gamma=0.5, action_noise=0.3, learning_rate=1e-2, minibatch=256, critic_warmup=critic_first
    )
    learner = learner_of(np.zeros(STATES + bias), 1, bias, seed, rules)
    rng = np.random.default_rng(seed)
    for _ in range(updates):
        states = states_of(int(rng.integers(1 << 30)), 9 * LANES).reshape(9, LANES, STATES)
        outputs = torch.stack([learner.act(x) for x in states[:-1]])
        goal = 2 * (states[:-1, :, :1] - 1) + (0.5 if bias else 0)
        rewards = torch.zeros(8, LANES)
        rewards[delay:] = -(outputs - goal).square()[: 8 - delay, :, 0]
        none = torch.zeros(8, LANES, dtype=torch.bool)
        learner.learn(Experience(states, outputs, rewards, none, none, states[..., :0]))
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
    rules = GradientRules(
        rollout_steps=2,
        gamma=0.5,
        learning_rate=1e-2,
        final_learning_rate=0.1,
        ema_decay=memory,
        minibatch=64,
        critic_warmup=0,
    )
    learner = learner_of(np.zeros(STATES + 1), 1, True, 0, rules)
    none = torch.zeros(2, LANES, dtype=torch.bool)
    states = states_of(1, 3 * LANES).reshape(3, LANES, STATES)
    for _ in range(updates):
        outputs = torch.stack([learner.act(x) for x in states[:-1]])
        learner.learn(Experience(states, outputs, outputs[..., 0], none, none, states[..., :0]), done)
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


def still(learner: PolicyGradient, rewards: torch.Tensor, told: int = 0) -> Experience:
    """Steps of lanes that see the same all the time; progress counts them in thousands."""
    steps, lanes = rewards.shape
    states = torch.zeros(steps + 1, lanes, STATES)
    outputs = torch.stack([learner.act(x) for x in states[:-1]])
    none = torch.zeros(steps, lanes, dtype=torch.bool)
    none[-1], over = False, none.clone()
    over[-1] = True
    progress = (torch.arange(steps + 1.0)[:, None, None] * 1000).expand(steps + 1, lanes, told)
    return Experience(states, outputs, rewards, over, none, progress)


def test_the_noise_falls_to_its_last_share_and_is_saved():
    rules = GradientRules(action_noise=0.8, final_action_noise=0.25, minibatch=64)
    learner = learner_of(np.zeros(STATES + 1), 1, True, 0, rules)
    noises = [learner.noise]
    for done in (0.4, 0.8, 1.0):
        learner.learn(still(learner, torch.zeros(2, LANES)), done)
        noises.append(learner.noise)
    np.testing.assert_allclose(noises, [0.8, 0.4, 0.2, 0.2])
    constant = learner.act(torch.zeros(1, STATES)).new_zeros(LANES, STATES)
    unit = float(Scale.of(np.zeros(STATES + 1), states_of(), 1, True).unit)
    assert float(torch.cat([learner.act(constant) for _ in range(100)]).std()) == pytest.approx(0.2 * unit, rel=0.05)
    fresh = learner_of(np.zeros(STATES + 1), 1, True, 0, rules)
    fresh.load_state_dict(learner.state_dict())
    assert fresh.noise == learner.noise


def first_value(told: int, discount: float = 0.9, last: float | None = None, done: float = 0.0) -> torch.Tensor:
    """What the critic has learned of ten steps, in which a reward of 10 comes at the last."""
    rules = GradientRules(
        gamma=discount, final_gamma=last, critic_learning_rate=2e-3, minibatch=64, critic_warmup=10**6
    )
    learner = learner_of(np.zeros(STATES + 1), 1, True, 0, rules, told)
    rewards = torch.zeros(10, LANES)
    rewards[-1] = 10.0
    for _ in range(120):
        learner.learn(still(learner, rewards, told), done)
    return learner.values(learner.critic_inputs(still(learner, rewards, told))).detach()[:-1, 0]


def test_a_critic_that_is_told_the_progress_knows_how_far_the_reward_is():
    wanted = 10 * (1 - 0.9) * 0.9 ** torch.arange(9, -1, -1.0)
    torch.testing.assert_close(first_value(told=1), wanted, atol=0.1, rtol=0)
    assert float((first_value(told=0) - wanted).abs().max()) > 0.25


def test_the_discount_goes_from_its_first_to_its_last():
    # As far again in the middle as at first, and four times in the end: 0.8 sees 5 steps ahead, 0.95 sees 20.
    for done, discount in ((0.0, 0.8), (0.4, 0.9), (1.0, 0.95)):
        wanted = 10 * (1 - discount) * discount ** torch.arange(9, -1, -1.0)
        torch.testing.assert_close(first_value(1, 0.8, 0.95, done), wanted, atol=0.15, rtol=0)


@pytest.mark.parametrize(("done", "least", "most"), [(0.0, 0.01, 0.06), (1.0, 0.5, 2.0)])
def test_a_late_output_learns_slowly_at_first_and_like_the_others_in_the_end(done: float, least: float, most: float):
    rules = GradientRules(
        rollout_steps=2, learning_rate=1e-2, minibatch=64, critic_warmup=0, delayed_actions=(1,), ema_decay=0.0
    )
    learner = learner_of(np.zeros(2 * (STATES + 1)), 2, True, 0, rules)
    none = torch.zeros(2, LANES, dtype=torch.bool)
    states = states_of(1, 3 * LANES).reshape(3, LANES, STATES)
    for _ in range(30):
        outputs = torch.stack([learner.act(x) for x in states[:-1]])
        learner.learn(Experience(states, outputs, outputs.sum(-1), none, none, states[..., :0]), done)
    flat = torch.from_numpy(learner.parameters).float()
    first, late = (states[0] @ flat[:-2].reshape(2, STATES).T + flat[-2:]).mean(0)
    assert first > 0.05 and least < late / first < most
