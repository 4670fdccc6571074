"""C up the gradient of what it earns: a driver's lanes give the experience, `PolicyGradient` learns."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import torch

from world_models import budgets
from world_models.rollout.driver import Driver
from world_models.rollout.experience import Collector, copies
from world_models.search.algorithms.policy_gradient import GradientRules, PolicyGradient, Scale
from world_models.types import DoubleArray
from world_models.utils.seeding import derive_seed

_SCALED_BY, _APART = 20, 20  # moments that inputs are scaled by, and steps between two of them


def ascend(
    driver: Driver,
    seed: int,
    steps: int,
    parameters: DoubleArray,
    rules: GradientRules | None = None,
    progressed: Callable[[int, float, float], None] | None = None,
) -> tuple[DoubleArray, int]:
    """A better linear C for the driver's world, and the steps that were made for it.

    It drives or dreams in the process that asks; a dream on all of its threads: an update is one product of thousands
    of rows.

    Args:
        driver: Lanes of states, and C's architecture.
        seed: Of the episodes and the noise.
        steps: About how many to make, of all lanes.
        parameters: Where C begins, flat (P,).
        rules: How to learn.
        progressed: Told after each update the steps so far, the mean reward a step, and the share of steps that ended
            an episode.
    """
    rules = rules or GradientRules()
    rules = replace(rules, rollout_steps=budgets.at_most("update_steps", rules.rollout_steps))
    lanes, controller = driver.states()
    seeds = (derive_seed("ascent", seed, i) for i in itertools.count())
    collector = Collector(lanes, [seeds] * lanes.num_lanes, controller.inputs, driver.recipe.time_limit)
    states, done = _states(collector, copies(controller, parameters, lanes.num_lanes, lanes.device))
    scale = Scale.of(parameters, states, lanes.actions.size, controller.bias)
    learner = PolicyGradient(parameters, scale, controller.bias, derive_seed("policy gradient", seed), rules)
    while done < steps:
        experience = collector.collect(lambda _, states: learner.act(states), rules.rollout_steps).experience
        done += rules.rollout_steps * lanes.num_lanes
        learner.learn(experience, done / steps)
        if progressed is not None:
            progressed(done, float(experience.rewards.mean()), float(experience.ended.float().mean()))
    return learner.parameters, done


def _states(collector: Collector, own: list[torch.Tensor]) -> tuple[torch.Tensor, int]:
    """What C sees now and then on its way (n, D), and the steps of it."""
    moments, lanes = budgets.at_most("scaled_by", _SCALED_BY), collector.lanes
    found = [collector.advance(lambda _, states: lanes.outputs(own, states), _APART) for _ in range(moments)]
    return torch.cat(found), moments * _APART * collector.count
