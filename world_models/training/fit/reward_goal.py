"""What M's reward head learns. Rewards that are rare spikes drown in the mixture's likelihood (CarRacing's are)."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch.nn import functional

from world_models.training.fit.settings import MdrnnSettings


class RewardGoal(NamedTuple):
    """The rewards to learn, and how much they count; the defaults are the documented loss.

    Attributes:
        weight: Of the squared error in the loss.
        smoothing: Steps about each one whose mean reward is learned in its place; 0 and 1: the reward itself.
            Sums over an episode stay what they are, but for its ends.
    """

    weight: float = 1.0
    smoothing: int = 0

    @classmethod
    def of_settings(cls, settings: MdrnnSettings) -> RewardGoal:
        """As stage M's settings say."""
        return cls(settings.reward_weight, settings.reward_smoothing)

    @property
    def facts(self) -> dict[str, Any]:
        """For the checkpoint: what is not the documented loss."""
        found = {"reward_weight": self.weight, "reward_smoothing": self.smoothing}
        return {} if self == RewardGoal() else found

    def of(self, rewards: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Rewards (B, T), each replaced by the mean of `smoothing` of its row about it (fewer at the row's ends).

        With `mask` (B, T) a row ends with its last real reward; what stands after it means nothing.
        """
        if self.smoothing < 2:
            return rewards
        steps, before = rewards.shape[-1], (self.smoothing - 1) // 2
        total = functional.pad(rewards.double().cumsum(-1), (1, 0))
        now = torch.arange(steps, device=rewards.device)
        first, last = (now - before).clamp_min(0), (now - before + self.smoothing).clamp_max(steps)
        if mask is None:
            return ((total[..., last] - total[..., first]) / (last - first)).to(rewards.dtype)
        last = torch.minimum(last, mask.sum(-1, keepdim=True))
        first = torch.minimum(first, (last - 1).clamp_min(0))
        means = (total.gather(-1, last) - total.gather(-1, first)) / (last - first).clamp_min(1)
        return means.to(rewards.dtype)
