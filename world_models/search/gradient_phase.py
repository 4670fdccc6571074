"""A phase of stage C that follows the gradient of what C earns as it drives, with the face of a search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from world_models import budgets
from world_models.rollout.experience import Collected
from world_models.search.algorithms.phase import Phase
from world_models.search.algorithms.policy_gradient import GradientRules, PolicyGradient, Scale
from world_models.search.algorithms.saved import check_settings
from world_models.search.algorithms.spaces import WhitenedSpace
from world_models.types import DoubleArray

# Ten and more seconds ahead: what counts is whole laps, and with less a driver is paid for speed at their cost. A lost
# lap is rare and far from the rest: it counts in full. No running average of the weights: a phase has that of its last
# means.
_RULES = GradientRules(
    rollout_steps=96,
    gamma=0.998,
    final_gamma=0.999,
    final_action_noise=1 / 3,
    epochs=4,
    minibatch=1152,
    learning_rate=8e-4,
    final_learning_rate=0.1,
    ema_decay=0.0,
    critic_warmup=6,
    advantage_clip=30.0,
)
_PROGRESS_SIZE = 2  # of `Collector`


class GradientSearch:
    """C up the gradient, some updates a generation (`search.algorithms.policy_gradient`).

    Args:
        space: Of all entries that C sees (`WhitenedSpace.of_entries`), about the C that it begins at.
        phase: The noise at first, the lanes that drive at once, what a lost episode costs, what is learned late.
        seed: Of the critic and the batches.
    """

    paired = False
    updates = 25  # of a generation: with 96 steps of each lane to an update, two laps and a half

    def __init__(self, space: WhitenedSpace, phase: Phase, seed: int) -> None:
        assert space.offset is not None
        self._space, self._phase, self.pop_size = space, phase, phase.pop_size * phase.samples
        self.updates = budgets.at_most("updates", self.updates)
        self.steps = budgets.at_most("update_steps", _RULES.rollout_steps)
        rate = phase.mean_learning_rate * _RULES.learning_rate
        rules = replace(
            _RULES,
            rollout_steps=self.steps,
            action_noise=phase.sigma,
            learning_rate=rate,
            delayed_actions=phase.delayed_actions,
        )
        scale = Scale(
            torch.from_numpy(space.center),
            torch.from_numpy(space.spread_of_entries),
            torch.ones(space.action_size, dtype=torch.float64),
        )
        self._learner = PolicyGradient(space.offset, scale, space.bias, seed, rules, _PROGRESS_SIZE)

    @property
    def mirrored(self) -> bool:
        """Whether half of its episodes are in the mirror."""
        return self._phase.mirrored

    @property
    def sigma(self) -> float:
        """Standard deviation of the noise now."""
        return self._learner.noise

    @property
    def generation(self) -> int:
        """How many were learned of."""
        return self._learner.updates // self.updates

    @property
    def mean(self) -> DoubleArray:
        """C as it is now, a point of the space."""
        return self._space.to_point(self._learner.parameters)

    def learn(self, found: Collected, done: float) -> None:
        """One update by experience of C as it is; `done` is the share of the phase that is behind it."""
        rewards = found.experience.rewards - self._phase.early_termination_penalty * found.early_terminated
        self._learner.learn(found.experience._replace(rewards=rewards), done)

    @property
    def _settings(self) -> dict[str, Any]:
        mine = self._phase
        # Files keep the names that these had first.
        lanes = {"sigma0": mine.sigma, "mean_rate": mine.mean_learning_rate, "pop_size": self.pop_size}
        return {
            **lanes,
            "lost": mine.early_termination_penalty,
            "late": list(mine.delayed_actions),
            "mirrored": mine.mirrored,
        }

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain values, from which `load_state_dict` goes on exactly."""
        start = np.zeros(self._space.size)
        return {"start": start, **self._settings, "learner": self._learner.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up where `state_dict` was taken: on a fresh object with the same arguments."""
        check_settings(state, self._settings)
        self._learner.load_state_dict(state["learner"])
