"""C up the gradient of what it earns in the dream: the dream's lanes give the experience, `PolicyGradient` learns."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch

from world_models.rollout.policy_gradient import Experience, GradientRules, PolicyGradient, Scale
from world_models.types import DoubleArray, IntArray
from world_models.utils.seeding import derive_seed

if TYPE_CHECKING:
    from world_models.rollout.dream_driver import DreamDriver

_SCALED_BY, _APART = 20, 20  # moments that inputs are scaled by, and steps between two of them


def ascend(
    driver: DreamDriver,
    seed: int,
    steps: int,
    parameters: DoubleArray,
    rules: GradientRules | None = None,
    progressed: Callable[[int, float, float], None] | None = None,
) -> tuple[DoubleArray, int]:
    """A better linear C for the dream, and the steps that were dreamed for it.

    It dreams in the process that asks, on all of its threads: an update is one product of thousands of rows.

    Args:
        driver: The dream, and C's architecture.
        seed: Of the dreams and the noise.
        steps: About how many to dream, of all lanes.
        parameters: Where C begins, flat (P,).
        rules: How to learn.
        progressed: Told after each update the steps so far, the mean reward a step, and the share of steps that ended
            a dream.
    """
    rules = rules or GradientRules()
    lanes = _Lanes(driver, seed)
    bias = driver.controller.bias
    scale = Scale.of(parameters, lanes.states(parameters), driver.dream.actions, bias)
    learner = PolicyGradient(parameters, scale, bias, derive_seed("policy gradient", seed), rules)
    while lanes.dreamed < steps:
        experience = lanes.drive(learner, rules.steps)
        learner.learn(experience, lanes.dreamed / steps)
        if progressed is not None:
            ends = float(experience.ended.float().mean())
            progressed(lanes.dreamed, float(experience.rewards.mean()), ends)
    return learner.parameters, lanes.dreamed


class _Lanes:
    """Dreams on and on: a lane whose dream ends begins another."""

    def __init__(self, driver: DreamDriver, seed: int) -> None:
        self._driver, self._dream, self.dreamed = driver, driver.dream, 0
        self._size = driver.controller.latent_size + driver.controller.hidden_size * (1 + driver.controller.use_cell)
        self._seeds: Iterator[int] = (derive_seed("ascent", seed, i) for i in itertools.count())
        count = driver.recipe.num_lanes
        self._dream.begin([next(self._seeds) for _ in range(count)])
        self._age: IntArray = np.zeros(count, np.int64)

    @property
    def _inputs(self) -> torch.Tensor:
        return self._dream.inputs[:, : self._size]

    def _step(self, outputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        step = self._dream.step(self._driver.actions.from_raw(outputs))
        self._age += 1
        self.dreamed += len(self._age)
        ended = step.terminals.cpu().numpy()
        cut = ~ended & (self._age >= self._driver.recipe.time_limit)
        over = np.flatnonzero(ended | cut)
        self._dream.reset(over.tolist(), [next(self._seeds) for _ in over])
        self._age[over] = 0
        return step.rewards, step.terminals, torch.from_numpy(cut)

    @torch.no_grad()
    def states(self, parameters: DoubleArray) -> torch.Tensor:
        """What C sees now and then on its way (n, D)."""
        actions = self._dream.actions
        flat = torch.from_numpy(parameters).float().to(self._dream.device)
        weight = flat[: actions * self._size].reshape(actions, -1)
        bias = flat[actions * self._size :] if self._driver.controller.bias else 0.0
        found = []
        for _ in range(_SCALED_BY):
            for _ in range(_APART):
                self._step(self._inputs @ weight.T + bias)
            found.append(self._inputs.clone())
        return torch.cat(found)

    @torch.no_grad()
    def drive(self, learner: PolicyGradient, steps: int) -> Experience:
        """So many steps of every lane."""
        count, device = len(self._age), self._dream.device
        states = torch.zeros(steps + 1, count, self._size, device=device)
        outputs = torch.zeros(steps, count, self._dream.actions, device=device)
        rewards = torch.zeros(steps, count, device=device)
        ended, cut = (torch.zeros(steps, count, dtype=torch.bool, device=device) for _ in range(2))
        for t in range(steps):
            states[t] = self._inputs
            outputs[t] = learner.act(states[t])
            rewards[t], ended[t], cut[t] = self._step(outputs[t])
        states[steps] = self._inputs
        return Experience(states, outputs, rewards, ended, cut)
