"""Phases of a search: it begins again from the best point it has, with smaller steps and more episodes.

With noisy returns CMA-ES's own step size stays where it is instead of shrinking; what was found with wide steps is
refined by a restart with narrow ones, whose smaller differences need more episodes a candidate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from world_models.errors import ConfigError
from world_models.types import DoubleArray

_KEPT = 24  # generations; their later half is few enough that the mean has not moved on


@dataclass(frozen=True)
class Phase:
    """A phase after the first: its step size, candidates, episodes a candidate, and budget of simulator steps."""

    sigma: float
    pop_size: int
    samples: int
    env_steps: int

    @classmethod
    def from_mapping(cls, values: Any) -> Phase:
        """Checked by name. Raises ConfigError with the field and its value."""
        names = [field.name for field in fields(cls)]
        if not isinstance(values, Mapping) or sorted(values) != sorted(names):
            raise ConfigError(f"phases has {values!r}: each phase is a table with {', '.join(names)}")
        for name in names:
            value, least = values[name], {"sigma": 0.0, "pop_size": 2}.get(name, 1)
            kind = int | float if name == "sigma" else int
            if isinstance(value, bool) or not isinstance(value, kind) or value < least or value == 0:
                raise ConfigError(f"phases has {name}={value!r}: it must be a number above 0, pop_size at least 2")
        return cls(float(values["sigma"]), values["pop_size"], values["samples"], values["env_steps"])


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
