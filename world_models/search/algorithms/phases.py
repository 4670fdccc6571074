"""Phases of a search: it begins again from the best point it has, with smaller steps and more episodes.

With noisy returns CMA-ES's own step size stays where it is instead of shrinking; what was found with wide steps is
refined by a restart with narrow ones, whose smaller differences need more episodes a candidate or a slower mean.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from world_models.search.algorithms.cma_es import CmaEs
from world_models.search.algorithms.pgpe import Pgpe
from world_models.types import DoubleArray

SEARCHES: dict[str, type[CmaEs] | type[Pgpe]] = {"cma-es": CmaEs, "pgpe": Pgpe}
_KEPT = 24  # generations; their later half is few enough that the mean has not moved on


class RecentMeans:
    """The means of a phase's last generations; their average wanders less than any of them.

    Under noise each generation moves the distribution's mean by about as much as it gains: what is common to many
    generations is the gain (Polyak and Juditsky 1992).
    """

    def __init__(self, means: Sequence[DoubleArray] = ()) -> None:
        self.means: list[DoubleArray] = list(means)

    def add(self, mean: DoubleArray) -> None:
        """Take in a generation's mean (P,); the oldest of more than 24 is dropped."""
        self.means = [*self.means, mean][-_KEPT:]

    @property
    def average(self) -> DoubleArray:
        """Of the later half, (P,)."""
        average: DoubleArray = np.mean(self.means[len(self.means) // 2 :], axis=0)
        return average
