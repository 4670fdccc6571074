"""A phase of stage C that follows the gradient of what C earns on the road, with the face of a search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from world_models.evolution.parameters import WhitenedSpace
from world_models.evolution.saved import check_settings
from world_models.rollout.policy_gradient import Experience, GradientRules, PolicyGradient, Scale
from world_models.types import DoubleArray

# A discount of 0.99 sees two seconds of driving ahead: a bend. No running average of the weights: a phase has that of
# its last means.
_RULES = GradientRules(steps=96, discount=0.99, passes=4, batch=1152, last_rate=0.1, memory=0.0, critic_first=12)


class GradientSearch:
    """C up the gradient, some updates a generation (`rollout.policy_gradient`).

    Args:
        space: Of all entries that C sees (`WhitenedSpace.of_entries`), about the C that it begins at.
        spread: Standard deviation of the noise on C's outputs before they are squashed.
        lanes: That drive at once.
        seed: Of the critic and the batches.
        rate: Of C's weights at first, in that which `rollout.policy_gradient` has.
    """

    paired = False
    updates = 20  # of a generation: with 96 steps of each lane to an update, two laps

    def __init__(self, space: WhitenedSpace, spread: float, lanes: int, seed: int, rate: float = 1.0) -> None:
        assert space.offset is not None
        self._space, self.sigma, self.pop_size, self._rate = space, spread, lanes, rate
        rules = replace(_RULES, noise=spread, rate=rate * _RULES.rate)
        scale = Scale(
            torch.from_numpy(space.center),
            torch.from_numpy(space.spread_of_entries),
            torch.ones(space.action_size, dtype=torch.float64),
        )
        self.steps = rules.steps
        self._learner = PolicyGradient(space.offset, scale, space.bias, seed, rules)

    @property
    def generation(self) -> int:
        """How many were learned of."""
        return self._learner.updates // self.updates

    @property
    def mean(self) -> DoubleArray:
        """C as it is now, a point of the space."""
        return self._space.to_point(self._learner.parameters)

    def learn(self, experience: Experience, done: float) -> None:
        """One update by what was lived with C as it is; `done` is the share of the phase that is behind it."""
        self._learner.learn(experience, done)

    @property
    def _settings(self) -> dict[str, Any]:
        return {"sigma0": self.sigma, "mean_rate": self._rate, "pop_size": self.pop_size}

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain values, from which `load_state_dict` goes on exactly."""
        start = np.zeros(self._space.size)
        return {"start": start, **self._settings, "learner": self._learner.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up where `state_dict` was taken: on a fresh object with the same arguments."""
        check_settings(state, self._settings)
        self._learner.load_state_dict(state["learner"])
