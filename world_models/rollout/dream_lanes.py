"""Dreams on and on: lanes of which each, where its dream is over, begins another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from world_models.models.controller import Population
from world_models.models.dream import DreamStep
from world_models.types import BoolArray, DoubleArray, IntArray

if TYPE_CHECKING:
    from world_models.rollout.dream_driver import DreamDriver


class Gone(NamedTuple):
    """One step: what the dream gave, and whose dream is over for good or was cut at the time limit (L,)."""

    step: DreamStep
    ended: BoolArray
    cut: BoolArray


class DreamLanes:
    """Lanes of a driver's dream, begun at once.

    Args:
        driver: The dream, and its time limit.
        seeds: Of the dreams, as many as are asked for.
        count: Lanes, L.
    """

    def __init__(self, driver: DreamDriver, seeds: Iterator[int], count: int) -> None:
        self._dream, self._seeds, self._limit = driver.dream, seeds, driver.recipe.time_limit
        self._dream.begin([next(seeds) for _ in range(count)])
        self._age: IntArray = np.zeros(count, np.int64)

    def go(self, actions: torch.Tensor) -> Gone:
        """One step of all lanes with actions (L, A); those whose dream is over are in their next."""
        step = self._dream.step(actions)
        self._age += 1
        ended = step.terminals.cpu().numpy()
        cut = ~ended & (self._age >= self._limit)
        over = np.flatnonzero(ended | cut)
        self._dream.reset(over.tolist(), [next(self._seeds) for _ in over])
        self._age[over] = 0
        return Gone(step, ended, cut)


def copies(driver: DreamDriver, parameters: DoubleArray, count: int) -> list[torch.Tensor]:
    """One controller's parameters (P,) for each of `count` lanes, as `controller_outputs` takes them."""
    population = Population(driver.controller, parameters[None])
    return [p.to(driver.dream.device) for p in population.gather(torch.zeros(count, dtype=torch.long))]
