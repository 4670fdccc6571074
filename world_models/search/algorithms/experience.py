"""What a policy gradient learns from: the rollout buffer, and advantages of it (GAE, Schulman et al. 2016)."""

from __future__ import annotations

from typing import NamedTuple

import torch


class Experience(NamedTuple):
    """The rollout buffer: T steps of L lanes.

    `states` (T + 1, L, D) are what C sees before each step and after the last, `outputs` (T, L, A) what was done,
    before squashing; (T, L) are `rewards`, `ended` (the task was over after the step) and `cut` (it was not, but the
    episode was). After either of these a lane's next state is another episode's first. `progress` (T + 1, L, K) is
    what the critic knows besides: how far the episode is and what it has earned.
    """

    states: torch.Tensor
    outputs: torch.Tensor
    rewards: torch.Tensor
    ended: torch.Tensor
    cut: torch.Tensor
    progress: torch.Tensor


def advantages(
    experience: Experience, values: torch.Tensor, discount: float, trace: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """(T, L) each: by how much what followed a step was better than expected, and what the critic should have said.

    Args:
        experience: Its rewards count (1 - discount) times, so that values are discounted means of a step's reward.
        values: (T + 1, L), what the critic says. Where an episode was cut nobody saw what would have come: the
            critic's word on the state before stands for it.
        discount, trace: See `GradientRules`.
    """
    ended, cut = experience.ended.to(values), experience.cut.to(values)
    ahead = torch.where(experience.cut, values[:-1], values[1:] * (1 - ended))
    surprise = (1 - discount) * experience.rewards + discount * ahead - values[:-1]
    passed_on = discount * trace * (1 - ended) * (1 - cut)
    found, total = torch.zeros_like(surprise), torch.zeros_like(surprise[0])
    for t in reversed(range(len(surprise))):
        total = surprise[t] + passed_on[t] * total
        found[t] = total
    return found, found + values[:-1]
