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

from world_models.envs.lanes import Lanes
from world_models.models.agent import Agent
from world_models.models.controller import Population
from world_models.rollout.loop import REASONS, Board, failures_named, reasons_of
from world_models.search.algorithms.policy_gradient import Experience
from world_models.types import AgentState, DoubleArray, Episode, IntArray
from world_models.utils.seeding import derive_seed


class Stretch(NamedTuple):
    """What lanes lived.

    `experience`, the returns of the episodes that ended in it, and (T, L) after which steps one was given up.
    """

    experience: Experience
    returns: list[float]
    given_up: torch.Tensor


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
        self._episodes = [Episode(0, 0)] * count
        self._board = Board(count)
        self._state = AgentState(*(x.clone() for x in self._agent.start(count)))
        self._begin(self._active)

    def _begin(self, lanes: IntArray) -> None:
        for lane in lanes:
            self._episodes[lane] = Episode(0, next(self._tracks[lane]))
        self._board.begin(lanes, lanes.tolist())
        with failures_named(self._lanes, self._board, self._episodes, lanes):
            native = self._lanes.reset(lanes, [self._episodes[lane].seed for lane in lanes])
        self._board.see(lanes, native, self._lanes.spec.rows)
        for part in self._state:
            part[torch.from_numpy(lanes)] = 0

    @torch.no_grad()
    def drive(self, parameters: DoubleArray, spread: float, steps: int) -> Stretch:
        """So many steps of every lane.

        Args:
            parameters: C's, flat (P,).
            spread: Standard deviation of the noise on its outputs before they are squashed.
            steps: T.

        Raises:
            EnvironmentFailure: an environment raised; it names lane, seed and step.
        """
        count, agent, board = len(self._active), self._agent, self._board
        population = Population(agent.controller, parameters[None])
        own = [p.to(agent.device) for p in population.gather(torch.zeros(count, dtype=torch.long))]
        size = steps, agent.cell.actions
        noise = torch.stack([spread * torch.randn(size, generator=each) for each in self._noise], 1).to(agent.device)
        states, outputs, progress, returns = [], [], [], list[float]()
        rewards = torch.zeros(steps, count)
        ended, given_up = (torch.zeros(steps, count, dtype=torch.bool) for _ in range(2))
        for t in range(steps):
            told = agent.explore(torch.from_numpy(board.frames), self._state, own, strays=noise[t])
            self._state = told.state
            states.append(told.seen.cpu())
            progress.append(self._progress())
            outputs.append(told.outputs.cpu())
            with failures_named(self._lanes, board, self._episodes, self._active):
                step = self._lanes.step(self._active, told.actions.cpu().numpy())
            board.add(self._active, step.rewards)
            board.see(self._active, step.frames, self._lanes.spec.rows)
            reasons = np.array(REASONS)[reasons_of(board, self._active, step, *self._limits)]
            rewards[t] = torch.from_numpy(step.rewards)
            ended[t], given_up[t] = (torch.from_numpy(each) for each in (reasons != "", reasons == "hopeless"))
            over = np.flatnonzero(reasons != "")
            returns += board.returns[over].tolist()
            if over.size:
                self._begin(over)
        states.append(agent.explore(torch.from_numpy(board.frames), self._state, own).seen.cpu())
        progress.append(self._progress())
        lived = torch.stack(states), torch.stack(outputs), rewards, ended, torch.zeros_like(ended)
        return Stretch(Experience(*lived, torch.stack(progress)), returns, given_up)

    def _progress(self) -> torch.Tensor:
        """(L, 2): the share of the time limit that is gone and what was earned, by which a critic knows what can come.

        It knows the time limit, so that an episode which meets it has ended like any other.
        """
        time_limit, _ = self._limits
        gone = self._board.steps / time_limit, self._board.returns
        return torch.from_numpy(np.stack(gone, -1)).float()


def _tracks(seed: int) -> Iterator[int]:
    return (derive_seed("road", seed, k) for k in itertools.count())


def side_by_side(stretches: Sequence[Stretch]) -> Stretch:
    """What several processes' lanes lived, one lane after the other."""
    fields = zip(*(each.experience for each in stretches), strict=True)
    experience = Experience(*(torch.cat(list(parts), 1) for parts in fields))
    given_up = torch.cat([each.given_up for each in stretches], 1)
    return Stretch(experience, [x for each in stretches for x in each.returns], given_up)
