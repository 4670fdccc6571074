"""Experience for the policy gradient: lanes that go on from update to update, with noise on C's outputs.

What a lane gives comes from its own seeds, and rows are computed alike wherever they stand: it does not matter which
process has which lanes.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from world_models.models.controller import Controller, Population
from world_models.rollout.loop import REASONS, Loop
from world_models.rollout.states import StateLanes
from world_models.search.algorithms.policy_gradient import Experience
from world_models.types import DoubleArray, Episode
from world_models.utils.seeding import derive_seed


class Collected(NamedTuple):
    """What was collected: `experience`, the returns of the episodes that ended in it, and (T, L) after which steps one
    was terminated early."""

    experience: Experience
    returns: list[float]
    early_terminated: torch.Tensor


class Collector:
    """Lanes, each at a place of an episode of its own.

    Args:
        lanes: Of states.
        seeds: The seeds of each lane's episodes.
        size: D, the columns of a state that C sees.
        time_limit, early_termination: See `Loop`.
        progress: Whether the critic shall know how far an episode is and what it has earned. It then knows the time
            limit, too, so that an episode which meets it has ended like any other; else it was cut.
    """

    def __init__(
        self,
        lanes: StateLanes,
        seeds: Sequence[Iterator[int]],
        size: int,
        time_limit: int,
        early_termination: int | None = None,
        *,
        progress: bool = False,
    ) -> None:
        self.lanes, self.count = lanes, len(seeds)
        self._size, self._time_limit, self._progress = size, time_limit, progress
        lanes.announce([])  # their seeds have no end
        limits: Any = {"time_limit": time_limit, "early_termination": early_termination}
        self._loop = Loop(lanes, lambda lane: Episode(0, next(seeds[lane])), self.count, **limits)

    @torch.no_grad()
    def collect(self, act: Callable[[int, torch.Tensor], torch.Tensor], steps: int) -> Collected:
        """So many steps of every lane.

        Args:
            act: C's outputs (L, A) at step t for states (L, D), before they are squashed.
            steps: T.

        Raises:
            EnvironmentFailure: an environment raised; it names lane, seed and step.
        """
        states = torch.empty(steps + 1, self.count, self._size, device=self.lanes.device)
        outputs = torch.empty(steps, self.count, self.lanes.actions.size, device=self.lanes.device)
        rewards, reasons = np.zeros((steps, self.count), np.float32), np.zeros((steps, self.count), np.int64)
        progress, returns = [], list[float]()
        for t in range(steps):
            states[t] = self._seen()
            outputs[t] = act(t, states[t])
            progress.append(self._known())
            moved = self._loop.step(self.lanes.squashed(outputs[t]))
            rewards[t], reasons[t] = moved.step.rewards, moved.reasons
            returns += [result.episode_return for _, result in moved.results]
        states[steps] = self._seen()
        progress.append(self._known())
        ended, cut = self._ends(reasons)
        arrays = (torch.from_numpy(each).to(states.device) for each in (rewards, ended, cut, np.stack(progress)))
        early = torch.from_numpy(reasons == REASONS.index("hopeless"))
        return Collected(Experience(states, outputs, *arrays), returns, early)

    @torch.no_grad()
    def advance(self, act: Callable[[int, torch.Tensor], torch.Tensor], steps: int) -> torch.Tensor:
        """So many steps of which nothing is kept; the states (L, D) after them."""
        for t in range(steps):
            self._loop.step(self.lanes.squashed(act(t, self._seen())))
        return self._seen().clone()

    def _seen(self) -> torch.Tensor:
        seen: torch.Tensor = self._loop.observations[:, : self._size]
        return seen

    def _known(self) -> Any:
        """(L, 2): the share of the time limit that is over and what was earned; (L, 0) where nobody asks."""
        loop, lanes = self._loop, slice(self.count)
        known = np.stack([loop.steps[lanes] / self._time_limit, loop.returns[lanes]], -1).astype(np.float32)
        return known if self._progress else known[:, :0]

    def _ends(self, reasons: Any) -> tuple[Any, Any]:
        """(T, L) each: after which steps an episode had ended, and after which it was cut."""
        cut = np.isin(reasons, [REASONS.index(each) for each in ("truncated", "time_limit")]) & (not self._progress)
        return (reasons > 0) & ~cut, cut


def noisy_outputs(
    lanes: StateLanes,
    controller: Controller,
    parameters: DoubleArray,
    generators: Sequence[torch.Generator],
    action_noise: float,
    steps: int,
) -> Callable[[int, torch.Tensor], torch.Tensor]:
    """For `Collector.collect`: outputs of C's `parameters` (P,), with noise from a generator of each lane's own."""
    own, size = copies(controller, parameters, len(generators), lanes.device), (steps, lanes.actions.size)
    drawn = [action_noise * torch.randn(size, generator=each) for each in generators]
    noise = torch.stack(drawn, 1).to(lanes.device)
    return lambda t, states: lanes.outputs(own, states) + noise[t]


def noise_of_lane(seed: int) -> torch.Generator:
    """For the noise of one lane."""
    return torch.Generator().manual_seed(derive_seed("strays", seed))


def copies(controller: Controller, parameters: DoubleArray, count: int, device: torch.device) -> list[torch.Tensor]:
    """One controller's parameters (P,) for each of `count` lanes, as `Population.gather` gives them."""
    population = Population(controller, parameters[None])
    return [p.to(device) for p in population.gather(torch.zeros(count, dtype=torch.long))]


def seeds_of_lane(seed: int) -> Iterator[int]:
    """The seeds of one lane's episodes, without end."""
    return (derive_seed("road", seed, k) for k in itertools.count())


def joined(parts: Sequence[Collected]) -> Collected:
    """What several processes' lanes give, one lane after the other."""
    fields = zip(*(each.experience for each in parts), strict=True)
    experience = Experience(*(torch.cat(list(columns), 1) for columns in fields))
    early_terminated = torch.cat([each.early_terminated for each in parts], 1)
    return Collected(experience, [x for each in parts for x in each.returns], early_terminated)
