"""The learning rate brought down to nothing at the end of a training whose length is known."""

from __future__ import annotations

from typing import Any

import torch


class Annealing:
    """Within a `with`, the rates of one epoch: the scheduler's, times a factor that falls linearly to 0.

    A constant rate leaves the weights wandering about the optimum; what they lose by it, the last epochs at falling
    rates win back. The scheduler's own rates are there again afterwards.

    Args:
        optimizer: Whose rates they are.
        share: The last part of all batches over which the factor falls from 1; 0: it stays 1.
        epoch: This epoch, from 1.
        num_epochs: Of the whole training.
        batches: Of an epoch.
    """

    def __init__(
        self, optimizer: torch.optim.Optimizer, share: float, epoch: int, num_epochs: int, batches: int
    ) -> None:
        self.optimizer, self.share = optimizer, share
        self.done, self.total = (epoch - 1) * batches, num_epochs * batches
        self.rates: list[float] = []

    @property
    def factor(self) -> float:
        """The factor of the next batch's rate."""
        if not self.share:
            return 1.0
        return min(1.0, (self.total - self.done) / (self.share * self.total))

    def __enter__(self) -> Annealing:
        self.rates = [group["lr"] for group in self.optimizer.param_groups]
        self._set(self.factor)
        return self

    def __exit__(self, *error: Any) -> None:
        self._set(1.0)

    def batch_done(self) -> None:
        """Sets the rate of the next batch."""
        self.done += 1
        self._set(self.factor)

    def _set(self, factor: float) -> None:
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor
