"""The gradient with the face of a search: what an episode that is terminated early costs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from world_models.errors import CheckpointError
from world_models.rollout.experience import Collected
from world_models.search import gradient_phase as gradient_search
from world_models.search.algorithms.phase import Phase
from world_models.search.algorithms.policy_gradient import Experience
from world_models.search.algorithms.spaces import WhitenedSpace
from world_models.search.gradient_phase import GradientSearch

STEPS, LANES, STATES = 6, 200, 3


def search_of(lost: float) -> GradientSearch:
    states = np.random.default_rng(0).standard_normal((500, STATES))
    space = WhitenedSpace.of_entries(states, 1, True, np.zeros(STATES + 1))
    return GradientSearch(space, Phase(0.5, LANES, 1, 0, search="gradient", early_termination_penalty=lost), seed=0)


def bias_learned(lost: float, monkeypatch: pytest.MonkeyPatch) -> float:
    """Where every step earns the same, and an episode is terminated early after an output above 0."""
    rules = replace(gradient_search._RULES, learning_rate=1e-2, critic_warmup=0, gamma=0.99, final_gamma=None)
    monkeypatch.setattr(gradient_search, "_RULES", rules)
    search = search_of(lost)
    generator = torch.Generator().manual_seed(1)
    for _ in range(15):
        states = torch.randn(STEPS + 1, LANES, STATES, generator=generator)
        noise = search.sigma * torch.randn(STEPS, LANES, 1, generator=generator)
        parameters = torch.from_numpy(search._space.to_parameters(search.mean)).float()
        outputs = states[:-1] @ parameters[:-1, None] + parameters[-1] + noise
        early = outputs[..., 0] > 0
        # What ends earns at once what it would have earned later: only the loss tells the ends apart.
        rewards = torch.where(early, 1 / (1 - rules.gamma), 1.0)
        none = torch.zeros_like(early)
        search.learn(
            Collected(Experience(states, outputs, rewards, early, none, torch.zeros(7, LANES, 2)), [], early), 0
        )
    return float(search._space.to_parameters(search.mean)[-1])


def test_what_a_lost_episode_costs_is_avoided(monkeypatch):
    assert bias_learned(500.0, monkeypatch) < -0.3
    assert bias_learned(0.0, monkeypatch) > -0.1


def test_a_search_with_another_cost_is_not_gone_on_with():
    with pytest.raises(CheckpointError, match=r"lost=3\.0, this one 4\.0"):
        search_of(4.0).load_state_dict(search_of(3.0).state_dict())
