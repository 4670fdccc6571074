"""C on the road without end: lanes that drive on from update to update, with noise on C's outputs.

What a lane drives comes from its own seed, and rows are computed alike wherever they stand: it does not matter which
process has which lanes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch

from world_models.envs.frames import resize_frames
from world_models.envs.lanes import Lanes
from world_models.models.agent import Agent
from world_models.models.controller import Population
from world_models.rollout.policy_gradient import Experience
from world_models.types import AgentState, BoolArray, DoubleArray, IntArray, Step, UInt8Array
from world_models.utils.seeding import derive_seed


class Stretch(NamedTuple):
    """What lanes lived: `experience`, and of the episodes that ended in it returns and steps."""

    experience: Experience
    returns: list[float]
    steps: list[int]


class Road:
    """Lanes, each at a place of an episode of its own.

    Args:
        lanes: Environments, as many as there are seeds or more.
        agent: V, M and C's architecture.
        seeds: One a lane: of its tracks and its noise.
        time_limit: Steps after which an episode is cut.
        hopeless: Steps without a positive reward after which it is given up, as lost (None: never).
    """

    def __init__(self, lanes: Lanes, agent: Agent, seeds: Sequence[int], time_limit: int, hopeless: int | None) -> None:
        self._lanes, self._agent = lanes, agent
        self._limits = time_limit, hopeless
        count = len(seeds)
        self._tracks = [_tracks(seed) for seed in seeds]
        self._noise = [torch.Generator().manual_seed(derive_seed("strays", seed)) for seed in seeds]
        self._active: IntArray = np.arange(count)
        self._state = AgentState(*(x.clone() for x in self._agent.start(count)))
        self._earned, self._age, self._idle = np.zeros(count), np.zeros(count, np.int64), np.zeros(count, np.int64)
        self._frames = self._begun(self._active)

    def _begun(self, lanes: IntArray) -> torch.Tensor:
        native = self._lanes.reset(lanes, [next(self._tracks[lane]) for lane in lanes])
        return self._seen(native)

    def _seen(self, native: UInt8Array) -> torch.Tensor:
        return torch.from_numpy(np.array(resize_frames(native, rows=self._lanes.spec.rows)))

    @torch.no_grad()
    def drive(self, parameters: DoubleArray, spread: float, steps: int) -> Stretch:
        """So many steps of every lane.

        Args:
            parameters: C's, flat (P,).
            spread: Standard deviation of the noise on its outputs before they are squashed.
            steps: T.
        """
        count, agent = len(self._active), self._agent
        population = Population(agent.controller, parameters[None])
        own = [p.to(agent.device) for p in population.gather(torch.zeros(count, dtype=torch.long))]
        size = steps, agent.cell.actions
        noise = torch.stack([spread * torch.randn(size, generator=each) for each in self._noise], 1).to(agent.device)
        states, outputs = [], []
        rewards = torch.zeros(steps, count)
        ended, cut = (torch.zeros(steps, count, dtype=torch.bool) for _ in range(2))
        over: list[tuple[float, int]] = []
        for t in range(steps):
            told = agent.explore(self._frames, self._state, own, strays=noise[t])
            states.append(told.seen.cpu())
            outputs.append(told.outputs.cpu())
            step = self._lanes.step(self._active, told.actions.cpu().numpy())
            self._state = told.state
            rewards[t] = torch.from_numpy(step.rewards)
            lost, late = self._judged(step)
            ended[t], cut[t] = torch.from_numpy(lost), torch.from_numpy(late)
            self._frames = self._seen(step.frames)
            over += self._renewed(np.flatnonzero(lost | late))
        last = agent.explore(self._frames, self._state, own).seen.cpu()
        experience = Experience(torch.stack([*states, last]), torch.stack(outputs), rewards, ended, cut)
        return Stretch(experience, [each for each, _ in over], [length for _, length in over])

    def _judged(self, step: Step) -> tuple[BoolArray, BoolArray]:
        """Which lanes' episodes are over for good, and which were only cut."""
        limit, hopeless = self._limits
        self._earned += step.rewards
        self._age += 1
        self._idle = np.where(step.rewards > 0, 0, self._idle + 1)
        lost = np.asarray(step.terminals, bool)
        if hopeless is not None:
            lost = lost | (self._idle >= hopeless)
        return lost, ~lost & (np.asarray(step.truncated, bool) | (self._age >= limit))

    def _renewed(self, lanes: IntArray) -> list[tuple[float, int]]:
        """These lanes begin anew; what their episodes came to."""
        if not len(lanes):
            return []
        over = [(float(self._earned[lane]), int(self._age[lane])) for lane in lanes]
        self._frames[torch.from_numpy(lanes)] = self._begun(lanes)
        for part in self._state:
            part[torch.from_numpy(lanes)] = 0
        self._earned[lanes], self._age[lanes], self._idle[lanes] = 0, 0, 0
        return over


def _tracks(seed: int) -> Iterator[int]:
    return (derive_seed("road", seed, k) for k in itertools.count())


def side_by_side(stretches: Sequence[Stretch]) -> Stretch:
    """What several processes' lanes lived, one lane after the other."""
    fields = zip(*(each.experience for each in stretches), strict=True)
    experience = Experience(*(torch.cat(list(parts), 1) for parts in fields))
    returns = [x for each in stretches for x in each.returns]
    return Stretch(experience, returns, [x for each in stretches for x in each.steps])
