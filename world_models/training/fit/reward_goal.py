"""What M's reward head learns. Rewards that are rare spikes drown in the mixture's likelihood (CarRacing's are)."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch.nn import functional

from world_models.configs.wm_config import WMMDNRNNConfig
from world_models.training.fit import settings


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
    def of_config(cls, config: WMMDNRNNConfig) -> RewardGoal:
        """`reward_weight` and `reward_smoothing` of `config.extra`. Raises ConfigError for what cannot work."""
        extra = config.extra
        return cls(settings.number(extra, "reward_weight", 1.0), settings.whole(extra, "reward_smoothing", 0))

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
