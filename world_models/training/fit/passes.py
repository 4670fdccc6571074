"""One pass over the batches, training or not: what an epoch of V and of M is made of."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import nn

from world_models.utils.seeding import derive_seed, seed_everything

Losses = dict[str, torch.Tensor]
"""Named means over a batch: 0-d tensors, or vectors; "loss" is the one that is minimised."""

LossFunction = Callable[[Any, torch.Generator], tuple[Losses, float]]
"""(batch, the batch's own generator) -> its losses, and the number of samples they are means over; a window that is
padded counts as its share of real rows."""


class Batches(Protocol):
    """An epoch's batches; their order is decided by `set_epoch` alone."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Any]: ...
    def set_epoch(self, epoch: int) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Learner:
    """A model and how it learns.

    Attributes:
        model: What is trained, on `device`.
        loss_fn: The losses of a batch, through the model.
        device: Where the noise of a batch is drawn.
        optimizer: Of the model's parameters; not needed to evaluate.
        seed: Of orders and noise.
        grad_clip: Largest norm of the gradient; None leaves it as it is.
        autocast: Makes the context in which losses are computed.
    """

    model: nn.Module
    loss_fn: LossFunction
    device: torch.device
    optimizer: torch.optim.Optimizer | None = None
    seed: int = 0
    grad_clip: float | None = None
    autocast: Callable[[], AbstractContextManager[Any]] = nullcontext


def batch_generator(device: torch.device, *parts: int | str) -> torch.Generator:
    """A generator on `device` whose numbers depend on `parts` alone, e.g. (seed, epoch, batch)."""
    return torch.Generator(device).manual_seed(derive_seed(*parts))


class Average:
    """Means over samples of named tensors, added up on their own device so that no batch waits for it."""

    def __init__(self) -> None:
        self.samples = 0.0
        self._sums: Losses = {}

    def add(self, losses: Losses, samples: float) -> None:
        """Adds a batch's means over `samples` samples."""
        self.samples += samples
        for name, value in losses.items():
            exact = value.detach().to(torch.float32 if value.device.type == "mps" else torch.float64)
            self._sums[name] = self._sums[name] + exact * samples if name in self._sums else exact * samples

    def means(self) -> Losses:
        """The means so far."""
        return {name: total / (self.samples or 1) for name, total in self._sums.items()}

    def loss(self) -> float:
        """The mean loss so far; nan before the first batch. On a GPU this waits for the device."""
        return float(self._sums["loss"]) / self.samples if self.samples else math.nan


def train_pass(
    learner: Learner, batches: Batches, epoch: int, after_batch: Callable[[Average], None] | None = None
) -> Losses:
    """One epoch with a step of the optimizer a batch.

    Args:
        learner: What learns; its optimizer is needed.
        batches: The training part.
        epoch: Decides, with the seed, the batches' order and noise.
        after_batch: Called after each batch with the averages so far.

    Returns:
        The mean losses.
    """
    learner.model.train()
    batches.set_epoch(epoch)
    # For what draws from the global generators: transforms, dropout.
    seed_everything(derive_seed(learner.seed, "epoch", epoch))
    average = Average()
    for index, batch in enumerate(batches):
        generator = batch_generator(learner.device, learner.seed, epoch, index)
        with learner.autocast():
            losses, samples = learner.loss_fn(batch, generator)
        _step(learner, losses["loss"])
        average.add(losses, samples)
        if after_batch is not None:
            after_batch(average)
    return average.means()


def _step(learner: Learner, loss: torch.Tensor) -> None:
    optimizer = learner.optimizer
    if optimizer is None:
        raise ValueError("optimizer is None: a training pass needs one")
    optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    if learner.grad_clip is not None:
        nn.utils.clip_grad_norm_(learner.model.parameters(), learner.grad_clip)
    optimizer.step()


@torch.no_grad()
def held_out_pass(learner: Learner, batches: Batches) -> Losses:
    """The mean losses without learning: the same batches and the same noise at every call."""
    learner.model.eval()
    batches.set_epoch(0)
    average = Average()
    for index, batch in enumerate(batches):
        generator = batch_generator(learner.device, learner.seed, "held out", index)
        with learner.autocast():
            losses, samples = learner.loss_fn(batch, generator)
        average.add(losses, samples)
    return average.means()
