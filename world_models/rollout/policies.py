"""Who drives: uniform noise, correlated noise, an agent with one controller or a population of them.

Every policy draws its noise from the episode's own seed, so that an episode is the same wherever it runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from world_models.envs.actions import ActionAdapter
from world_models.errors import ConfigError
from world_models.models.agent import Agent
from world_models.models.controller import Population, flatten_parameters
from world_models.types import AgentState, Episode, FloatArray, IntArray, UInt8Array
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

    def act(self, carry: _Plan, lanes: IntArray, frames: UInt8Array) -> tuple[FloatArray, _Plan]:
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


class _AgentCarry(NamedTuple):
    state: AgentState  # (L, R)
    parameters: list[torch.Tensor]  # (L, ...) of the candidate that drives each lane
    noise: torch.Tensor | None  # (L, T, Z)
    time: torch.Tensor  # (L,)


class AgentPolicy:
    """An agent at the wheel; lane by lane another candidate of a population, or all the agent's own C.

    Args:
        agent: V, M and the architecture of C.
        candidates: Flat parameters (N, P); None for the agent's own controller alone.
        horizon: Steps of the longest episode; needed where latents are sampled.
    """

    def __init__(
        self,
        agent: Agent,
        candidates: npt.ArrayLike | None = None,
        *,
        horizon: int = 1000,
    ) -> None:
        self.agent = agent
        if candidates is None:
            candidates = flatten_parameters(agent.controller.parameters())[None]
        self.population = Population(agent.controller, candidates)
        self.horizon = horizon

    def start(self, num_lanes: int) -> _AgentCarry:
        """States of zero and the first candidate everywhere."""
        parameters = self.population.gather(torch.zeros(num_lanes, dtype=torch.long))
        noise = torch.zeros(num_lanes, self.horizon, self._noise_size()) if self._noise_size() else None
        return _AgentCarry(
            self.agent.start(num_lanes),
            [p.to(self.agent.device) for p in parameters],
            noise,
            torch.zeros(num_lanes, dtype=torch.long),
        )

    def _noise_size(self) -> int:
        return self.agent.cell.latents if self.agent.sample_latents else 0

    def reset(self, carry: _AgentCarry, lanes: IntArray, episodes: Sequence[Episode]) -> _AgentCarry:
        """Zero the lanes' states, put their candidates in, draw their noise."""
        rows = torch.from_numpy(np.asarray(lanes))
        fresh = self.agent.start(len(lanes))
        carry.state.h[rows] = fresh.h
        carry.state.c[rows] = fresh.c
        gathered = self.population.gather(torch.tensor([episode.candidate for episode in episodes]))
        for mine, new in zip(carry.parameters, gathered, strict=True):
            mine[rows] = new.to(self.agent.device)
        if carry.noise is not None:
            for row, episode in zip(lanes, episodes, strict=True):
                generator = torch.Generator().manual_seed(derive_seed("latent noise", episode.seed))
                carry.noise[row] = torch.randn(carry.noise.shape[1:], generator=generator)
        carry.time[rows] = 0
        return carry

    def act(self, carry: _AgentCarry, lanes: IntArray, frames: UInt8Array) -> tuple[FloatArray, _AgentCarry]:
        """Actions of the lanes' own candidates; the carry's rows of these lanes are replaced."""
        rows = torch.from_numpy(np.asarray(lanes))
        everyone = len(lanes) == len(carry.time)
        state = carry.state if everyone else AgentState(carry.state.h[rows], carry.state.c[rows])
        parameters = carry.parameters if everyone else [p[rows] for p in carry.parameters]
        noise = None if carry.noise is None else carry.noise[rows, carry.time[rows]]
        action, after = self.agent.act(torch.from_numpy(frames), state, parameters, noise)
        if everyone:
            carry = carry._replace(state=after)
        else:
            carry.state.h[rows] = after.h
            carry.state.c[rows] = after.c
        carry.time[rows] += 1
        return action.cpu().numpy(), carry
