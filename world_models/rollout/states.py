"""Lanes of states [z, h, c]: of what V sees, threaded through M's memory, or of M alone, which dreams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch

from world_models.envs.actions import ActionAdapter
from world_models.envs.frames import ResizedLanes
from world_models.envs.lanes import Lanes, WrappedLanes
from world_models.envs.registry import EnvSpec
from world_models.models.agent import Agent
from world_models.models.controller import controller_outputs
from world_models.models.dream import Dream
from world_models.types import AgentState, FloatArray, IntArray, Step, UInt8Array
from world_models.utils.seeding import derive_seed

Actions = torch.Tensor | FloatArray


class StateLanes(Lanes[torch.Tensor], Protocol):
    """Lanes whose observations are states (n, Z + 2 R) on `device`; C takes their first columns."""

    device: torch.device

    def outputs(self, parameters: list[torch.Tensor], states: torch.Tensor) -> torch.Tensor:
        """Outputs (n, A) of the controllers `parameters`, one a row, on states of these lanes."""

    def squashed(self, outputs: torch.Tensor) -> torch.Tensor:
        """C's outputs (n, A) as actions (n, A)."""


class Perceived(WrappedLanes):
    """An environment as C sees it: V encodes the frames, M takes in what was seen and done.

    Args:
        lanes: Lanes of frames.
        agent: V and M.
        horizon: Steps of the longest episode, where z is sampled from q(z | x), with noise of the episode's own; 0: z
            is the mean.
    """

    def __init__(self, lanes: ResizedLanes, agent: Agent, horizon: int = 0) -> None:
        super().__init__(lanes)
        self.pictures, self.device = lanes.pictures, agent.device
        self.outputs, self.squashed, self._agent = agent.outputs, agent.squashed, agent
        self._z = torch.zeros(lanes.num_lanes, agent.cell.latents, device=agent.device)
        self._state = AgentState(*(x.clone() for x in agent.start(lanes.num_lanes)))
        # One row more than there are steps: what is seen after the last one is nobody's input.
        self._noise = torch.zeros(lanes.num_lanes, horizon + 1, agent.cell.latents) if horizon else None
        self._time = torch.zeros(lanes.num_lanes, dtype=torch.long)

    def reset(self, lanes: IntArray, seeds: Sequence[int]) -> torch.Tensor:
        """See `Lanes`; M's state begins at zero."""
        rows, frames = torch.from_numpy(lanes), self._lanes.reset(lanes, seeds)
        for each in self._state:
            each[rows] = 0
        self._time[rows] = 0
        if self._noise is not None:
            for lane, seed in zip(lanes, seeds, strict=True):
                generator = torch.Generator().manual_seed(derive_seed("latent noise", seed))
                self._noise[lane, :-1] = torch.randn(self._noise[lane, :-1].shape, generator=generator)
        return self._seen(rows, frames)

    def step(self, lanes: IntArray, actions: Actions) -> Step:
        """See `Lanes`."""
        rows, done = torch.from_numpy(lanes), torch.as_tensor(actions)
        before = AgentState(*(each[rows] for each in self._state))
        step = self._lanes.step(lanes, done.cpu().numpy())
        after = self._agent.remember(done.to(self.device), self._z[rows], before)
        for each, new in zip(self._state, after, strict=True):
            each[rows] = new
        self._time[rows] += 1
        return step._replace(observations=self._seen(rows, step.observations))

    def _seen(self, rows: torch.Tensor, frames: UInt8Array) -> torch.Tensor:
        noise = None if self._noise is None else self._noise[rows, self._time[rows]]
        self._z[rows] = self._agent.perceive(torch.from_numpy(frames), noise)
        return torch.cat([self._z[rows], *(each[rows] for each in self._state)], -1)


class Dreamed:
    """M's dreams of an environment.

    All lanes are stepped as one batch. One that is left out of a step has no episode until its next reset; its
    row is kept until a whole block of rows can be spared, for to move the others costs something too.

    Args:
        dream: M.
        spec: The environment that M is of.
        actions: That environment's.
        num_lanes: Dreams at once.
    """

    backend = "dream"

    def __init__(self, dream: Dream, spec: EnvSpec, actions: ActionAdapter, num_lanes: int) -> None:
        self.dream, self.spec, self.actions, self.num_lanes = dream, spec, actions, num_lanes
        self.device, self.outputs, self.squashed = dream.device, staticmethod(controller_outputs), actions.from_raw
        self._rows: IntArray = np.full(num_lanes, -1)  # of each lane in the dream's batch; -1: it is in none

    def announce(self, seeds: Sequence[int]) -> None:
        """See `Lanes`: all lanes are let go."""
        self.dream.begin([])
        self._rows[:] = -1

    def reset(self, lanes: IntArray, seeds: Sequence[int]) -> torch.Tensor:
        """See `Lanes`."""
        absent = lanes[self._rows[lanes] < 0]
        if absent.size:
            self._rows[absent] = np.arange(self.dream.num_lanes, self.dream.num_lanes + len(absent))
            self.dream.grow(len(absent))
        self.dream.reset(self._rows[lanes].tolist(), seeds)
        return self.dream.inputs[self._index(self._rows[lanes])]

    def step(self, lanes: IntArray, actions: Actions) -> Step:
        """See `Lanes`."""
        rows, block = self._rows[lanes], self.dream.block
        if -(-len(rows) // block) < -(-self.dream.num_lanes // block):
            self.dream.keep(rows.tolist())
            rows = np.arange(len(rows))
            self._rows[:] = -1
            self._rows[lanes] = rows
        done = torch.as_tensor(actions).to(self.device)
        if np.array_equal(rows, np.arange(self.dream.num_lanes)):
            step = self.dream.step(done)
            seen = self.dream.inputs  # a view, which the next step changes
        else:
            index = self._index(rows)
            step = self.dream.step(done.new_zeros(self.dream.num_lanes, done.shape[1]).index_copy_(0, index, done))
            seen = self.dream.inputs[index]
        rewards, terminals, clamped = (x.cpu().numpy()[rows] for x in (step.rewards, step.terminals, step.clamped))
        return Step(seen, rewards, terminals, np.zeros(len(rows), bool), clamped)

    def _index(self, rows: IntArray) -> torch.Tensor:
        return torch.from_numpy(rows).to(self.device)

    def close(self) -> None:
        """There is nothing to let go."""
