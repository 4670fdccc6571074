"""PGPE, parameter-exploring policy gradients (Sehnke et al. 2010): a search by how much returns differ, not by order.

CMA-ES looks at the candidates' order alone. Where most candidates drive nearly equally fast and a few leave the
road for good, the upper half's order is about speed, and what keeps a car on the road, rare and worth hundreds, is
hardly heard: the search drifts to what is best in most episodes and not on average. Here a candidate counts by its
return.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from world_models.errors import CheckpointError, ConfigError
from world_models.search.algorithms.saved import check_settings
from world_models.types import DoubleArray


class Pgpe:
    """Maximises the mean return of a Gaussian about its mean; symmetric candidates, a step size that stays.

    A generation is pairs m + sigma y and m - sigma y with returns f+ and f-, which differ by the slope along y: what
    both lose for being off the ridge falls out. The mean moves along the sum of (f+ - f-) y, by a length that does not
    depend on the returns' scale and that in pure noise is about CMA-ES's.

    Args:
        mean: Where the search starts, (P,).
        sigma: How far apart candidates are, in each number; it stays.
        pop_size: Candidates a generation, an even number.
        seed: Of the search's own random generator.
        mean_rate: Length of a step, in that of CMA-ES with this many candidates.
    """

    paired = True
    """Candidate k is compared with candidate k + N / 2 alone."""

    def __init__(self, mean: DoubleArray, sigma: float, pop_size: int, seed: int, mean_rate: float = 1.0) -> None:
        if pop_size < 2 or pop_size % 2:
            raise ConfigError(f"pop_size={pop_size!r} cannot be pairs of candidates (pgpe): give an even number.")
        self._rng = np.random.default_rng(seed)
        self._start = np.array(mean, dtype=np.float64)
        self._mean = self._start.copy()
        self._sigma, self._mean_rate = float(sigma), float(mean_rate)
        self._pop_size, self._generation = pop_size, 0

    @property
    def pop_size(self) -> int:
        """Candidates a generation."""
        return self._pop_size

    @property
    def generation(self) -> int:
        """How many generations have been told."""
        return self._generation

    @property
    def sigma(self) -> float:
        """How far apart candidates are."""
        return self._sigma

    @property
    def mean(self) -> DoubleArray:
        """The distribution's mean (P,)."""
        return self._mean.copy()

    def ask(self) -> DoubleArray:
        """The next generation's candidates (N, P): the first half one way, the second the other."""
        away = self._sigma * self._rng.standard_normal((self._pop_size // 2, len(self._mean)))
        return np.concatenate([self._mean + away, self._mean - away])

    def tell(self, candidates: DoubleArray, returns: DoubleArray) -> None:
        """Learn from a generation: candidates (N, P) as asked and what each returned (N,), higher is better."""
        returns = np.array(returns, dtype=np.float64)
        if not np.isfinite(returns).all():
            raise ConfigError(f"A candidate returned {returns[~np.isfinite(returns)][0]}: returns must be finite.")
        half = self._pop_size // 2
        slopes = returns[:half] - returns[half:]
        size = float(np.sqrt((slopes**2).sum()))
        if size > 0:
            away = np.asarray(candidates, dtype=np.float64)[:half] - self._mean
            self._mean = self._mean + self._mean_rate * (slopes / size) @ away / np.sqrt(half / 2)
        self._generation += 1

    def state_dict(self) -> dict[str, Any]:
        """Plain arrays and strings, from which `load_state_dict` goes on exactly."""
        return {
            "start": self._start,
            "mean": self._mean,
            "sigma0": self._sigma,
            "mean_rate": self._mean_rate,
            "pop_size": self._pop_size,
            "generation": self._generation,
            "rng": json.dumps(self._rng.bit_generator.state),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a search where `state_dict` was taken: on a fresh object with the same arguments."""
        check_settings(state, {name: self.state_dict()[name] for name in ("sigma0", "mean_rate", "pop_size")})
        if not np.array_equal(np.asarray(state["start"]), self._start):
            raise CheckpointError(
                "The saved search began at another point: resume with the same settings, or start anew with noreload."
            )
        self._mean = np.asarray(state["mean"]).astype(np.float64)
        self._generation = int(state["generation"])
        self._rng.bit_generator.state = json.loads(state["rng"])
