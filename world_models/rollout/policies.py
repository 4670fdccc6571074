"""Who acts: uniform noise, correlated noise, one controller or a population of them.

Every policy draws its noise from the episode's own seed, so that an episode is the same wherever it runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from world_models.envs.actions import ActionAdapter
from world_models.errors import ConfigError
from world_models.models.controller import Controller, Population, flatten_parameters
from world_models.rollout.states import StateLanes
from world_models.types import Episode, FloatArray, IntArray
from world_models.utils.seeding import derive_seed


class _Plan(NamedTuple):
    actions: FloatArray  # (L, T, A): a random policy's actions do not depend on what it sees
    time: IntArray  # (L,)


class NoisePolicy:
    """Random actions, drawn for the whole episode when it starts.

    Args:
        actions: The environment's actions.
        horizon: Steps of the longest episode.
        kind: "uniform": independent and uniform over the space. "brownian": a walk that returns to its
            drift slowly, so that the car really drives somewhere; discrete actions are held for 1 to 10 steps.
        drift: Where the walk returns to, one number an action, in half ranges about the middle of the space.
    """

    def __init__(
        self,
        actions: ActionAdapter,
        horizon: int,
        kind: str = "brownian",
        drift: Sequence[float] | None = None,
    ) -> None:
        if kind not in ("uniform", "brownian"):
            raise ConfigError(f"policy={kind!r} is unknown: it is 'uniform', 'brownian' or 'agent'.")
        self.actions = actions
        self.horizon = horizon
        self.kind = kind
        self.drift = np.zeros(actions.size) if drift is None else np.asarray(drift, float)

    def _draw(self, seed: int) -> FloatArray:
        rng = np.random.default_rng(derive_seed("noise policy", seed))
        size = self.actions.size
        if self.actions.discrete:
            return self._draw_discrete(rng)
        if self.kind == "uniform":
            unit = rng.uniform(-1, 1, (self.horizon, size))
        else:
            unit = _walk(rng, self.horizon, self.drift)
        low, high = self.actions.low, self.actions.high
        if self.actions.whole:  # each whole number has an equal part
            low, high = low - 0.5, high + 0.5
        # Rounding may leave the space by one last digit.
        return self.actions.fitted(low + (np.clip(unit, -1, 1) + 1) / 2 * (high - low))

    def _draw_discrete(self, rng: np.random.Generator) -> FloatArray:
        choices = rng.integers(len(self.actions.choices), size=self.horizon)
        if self.kind == "brownian":
            holds = rng.integers(1, 11, size=self.horizon)
            choices = np.repeat(choices, holds)[: self.horizon]
        return self.actions.choices[choices]

    def start(self, num_lanes: int) -> _Plan:
        """Plans for no episode yet."""
        plans = np.zeros((num_lanes, self.horizon, self.actions.size), np.float32)
        return _Plan(plans, np.zeros(num_lanes, np.int64))

    def reset(self, carry: _Plan, lanes: IntArray, episodes: Sequence[Episode]) -> _Plan:
        """Draw the plans of the episodes that begin."""
        for lane, episode in zip(lanes, episodes, strict=True):
            carry.actions[lane] = self._draw(episode.seed)
        carry.time[lanes] = 0
        return carry

    def act(self, carry: _Plan, lanes: IntArray, observations: Any) -> tuple[FloatArray, _Plan]:
        """The next actions of the plans."""
        chosen = carry.actions[lanes, carry.time[lanes]]
        carry.time[lanes] += 1
        return chosen, carry


# The walk forgets its past over about 1 / _RETURN steps; its standard deviation is _SPREAD half ranges.
_RETURN, _SPREAD = 0.05, 0.6


def _walk(rng: np.random.Generator, steps: int, drift: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    noise = rng.standard_normal((steps, len(drift))) * _SPREAD * np.sqrt(2 * _RETURN)
    walk: npt.NDArray[np.float64] = np.empty((steps, len(drift)))
    now = drift + _SPREAD * rng.standard_normal(len(drift))
    for t in range(steps):
        now = now + _RETURN * (drift - now) + noise[t]
        walk[t] = now
    return walk


class _Carry(NamedTuple):
    parameters: list[torch.Tensor]  # (L, ...) of the candidate that drives each lane
    lanes: IntArray | None  # of the last act, where nothing has begun since
    own: list[torch.Tensor]  # (n, ...) of these: gathered once, not once a step


class ControllerPolicy:
    """C on lanes of states; lane by lane another candidate of a population, or all the given one.

    Args:
        lanes: What is driven.
        controller: C, for candidates of its architecture.
        candidates: Flat parameters (N, P); None for the controller alone.
    """

    def __init__(self, lanes: StateLanes, controller: Controller, candidates: npt.ArrayLike | None = None) -> None:
        self._lanes = lanes
        if candidates is None:
            candidates = flatten_parameters(controller.parameters())[None]
        self.population = Population(controller, candidates)

    def start(self, num_lanes: int) -> _Carry:
        """No candidate anywhere."""
        parameters = self.population.template.parameters()
        empty = [torch.zeros(num_lanes, *p.shape, device=self._lanes.device) for p in parameters]
        return _Carry(empty, None, [])

    def reset(self, carry: _Carry, lanes: IntArray, episodes: Sequence[Episode]) -> _Carry:
        """Put the lanes' candidates in."""
        rows = torch.from_numpy(lanes)
        gathered = self.population.gather(torch.tensor([episode.candidate for episode in episodes]))
        for mine, new in zip(carry.parameters, gathered, strict=True):
            mine[rows] = new.to(mine.device)
        return carry._replace(lanes=None)

    def act(self, carry: _Carry, lanes: IntArray, states: torch.Tensor) -> tuple[torch.Tensor, _Carry]:
        """Actions (n, A) of the lanes' own candidates."""
        if lanes is not carry.lanes:
            everyone = len(lanes) == len(carry.parameters[0])
            rows = torch.from_numpy(lanes)
            own = carry.parameters if everyone else [p[rows] for p in carry.parameters]
            carry = carry._replace(lanes=lanes, own=own)
        return self._lanes.squashed(self._lanes.outputs(carry.own, states)), carry
