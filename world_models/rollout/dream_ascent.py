"""C up the gradient of what it earns in the dream: the dream's lanes give the experience, `PolicyGradient` learns."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from world_models import budgets
from world_models.models.controller import controller_outputs
from world_models.rollout.dream_lanes import DreamLanes, Gone, copies
from world_models.search.algorithms.policy_gradient import Experience, GradientRules, PolicyGradient, Scale
from world_models.types import DoubleArray
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
    rules = replace(rules, rollout_steps=budgets.at_most("update_steps", rules.rollout_steps))
    lanes = _Lanes(driver, seed)
    bias = driver.controller.bias
    scale = Scale.of(parameters, lanes.states(parameters), driver.dream.actions, bias)
    learner = PolicyGradient(parameters, scale, bias, derive_seed("policy gradient", seed), rules)
    while lanes.dreamed < steps:
        experience = lanes.drive(learner, rules.rollout_steps)
        learner.learn(experience, lanes.dreamed / steps)
        if progressed is not None:
            ends = float(experience.ended.float().mean())
            progressed(lanes.dreamed, float(experience.rewards.mean()), ends)
    return learner.parameters, lanes.dreamed


class _Lanes:
    """Lanes of a dream, what C sees there, and how much was dreamed."""

    def __init__(self, driver: DreamDriver, seed: int) -> None:
        self._driver, self._dream, self.dreamed = driver, driver.dream, 0
        self._count = driver.recipe.num_lanes
        self._size = driver.controller.latent_size + driver.controller.hidden_size * (1 + driver.controller.use_cell)
        self._lanes = DreamLanes(driver, (derive_seed("ascent", seed, i) for i in itertools.count()), self._count)

    @property
    def _inputs(self) -> torch.Tensor:
        return self._dream.inputs[:, : self._size]

    def _go(self, outputs: torch.Tensor) -> Gone:
        self.dreamed += self._count
        return self._lanes.go(self._driver.actions.from_raw(outputs))

    @torch.no_grad()
    def states(self, parameters: DoubleArray) -> torch.Tensor:
        """What C sees now and then on its way (n, D)."""
        own, found = copies(self._driver, parameters, self._count), []
        for _ in range(budgets.at_most("scaled_by", _SCALED_BY)):
            for _ in range(_APART):
                self._go(controller_outputs(own, self._dream.inputs))
            found.append(self._inputs.clone())
        return torch.cat(found)

    @torch.no_grad()
    def drive(self, learner: PolicyGradient, steps: int) -> Experience:
        """So many steps of every lane."""
        count, device = self._count, self._dream.device
        states = torch.zeros(steps + 1, count, self._size, device=device)
        outputs = torch.zeros(steps, count, self._dream.actions, device=device)
        rewards = torch.zeros(steps, count, device=device)
        ended, cut = (torch.zeros(steps, count, dtype=torch.bool, device=device) for _ in range(2))
        for t in range(steps):
            states[t] = self._inputs
            outputs[t] = learner.act(states[t])
            gone = self._go(outputs[t])
            rewards[t], ended[t], cut[t] = gone.step.rewards, gone.step.terminals, torch.from_numpy(gone.cut)
        states[steps] = self._inputs
        return Experience(states, outputs, rewards, ended, cut, progress=states[..., :0])
