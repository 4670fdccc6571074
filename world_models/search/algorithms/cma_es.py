"""CMA-ES over pycma: ask for candidates, tell their returns. The only place where a sign is turned.

pycma minimises a cost; we maximise an episode_return. The whole state is plain arrays: the history of what
was told, replayed through pycma's `feed_for_resume`, and the state of a random generator of our own.
"""

from __future__ import annotations

import json
import warnings
from typing import Any

import cma
import numpy as np

from world_models.errors import CheckpointError, ConfigError
from world_models.types import DoubleArray

DIAGONAL_ABOVE = 3000  # parameters: a full covariance of more costs more than the episodes do


class CmaEs:
    """Maximises; full covariance up to `DIAGONAL_ABOVE` parameters, diagonal above.

    Args:
        mean: Where the search starts, (P,).
        sigma: The first step size.
        pop_size: Candidates a generation, at least 2.
        seed: Of the search's own random generator.
        mean_rate: Of the way that a generation would move the mean, the part it does (CMA-ES's c_m, Hansen 2016): with
            noisy returns a smaller one averages over generations while the candidates stay as far apart.
    """

    paired = False
    """Whether candidates are compared in pairs (`Pgpe`), and not all with each other."""

    def __init__(self, mean: DoubleArray, sigma: float, pop_size: int, seed: int, mean_rate: float = 1.0) -> None:
        if pop_size < 2:
            raise ConfigError(f"pop_size={pop_size!r} cannot evolve: CMA-ES compares at least 2 candidates.")
        self._rng = np.random.default_rng(seed)
        self._start = np.asarray(mean, dtype=np.float64)
        self._sigma0, self._mean_rate = float(sigma), float(mean_rate)
        self._asked: list[DoubleArray] = []
        self._returns: list[DoubleArray] = []
        options = {
            "popsize": pop_size,
            "seed": np.nan,  # pycma would seed NumPy's global generator
            "randn": lambda *shape: self._rng.standard_normal(shape),
            "verbose": -9,
            "CMA_diagonal": len(self._start) > DIAGONAL_ABOVE,
            "CMA_cmean": mean_rate,
            "maxiter": np.inf,
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._es = cma.CMAEvolutionStrategy(self._start, self._sigma0, options)

    @property
    def pop_size(self) -> int:
        """Candidates a generation."""
        return int(self._es.popsize)

    @property
    def generation(self) -> int:
        """How many generations have been told."""
        return len(self._returns)

    @property
    def sigma(self) -> float:
        """The step size now."""
        return float(self._es.sigma)

    @property
    def mean(self) -> DoubleArray:
        """The distribution's mean (P,): the answer, more robust than the luckiest candidate."""
        return np.array(self._es.mean, dtype=np.float64)

    def ask(self) -> DoubleArray:
        """The next generation's candidates (N, P)."""
        return np.asarray(self._es.ask(), dtype=np.float64)

    def tell(self, candidates: DoubleArray, returns: DoubleArray) -> None:
        """Learn from a generation: candidates (N, P) and what each returned (N,), higher is better."""
        candidates = np.array(candidates, dtype=np.float64)
        returns = np.array(returns, dtype=np.float64)
        if not np.isfinite(returns).all():
            raise ConfigError(f"A candidate returned {returns[~np.isfinite(returns)][0]}: returns must be finite.")
        cost = -returns
        self._es.tell(list(candidates), list(cost))
        self._asked.append(candidates)
        self._returns.append(returns)

    def state_dict(self) -> dict[str, Any]:
        """Plain arrays and strings, from which `load_state_dict` goes on exactly."""
        shape = (0, self.pop_size, len(self._start))
        return {
            "start": self._start,
            "sigma0": self._sigma0,
            "mean_rate": self._mean_rate,
            "asked": np.stack(self._asked) if self._asked else np.zeros(shape),
            "returns": np.stack(self._returns) if self._returns else np.zeros(shape[:2]),
            "rng": json.dumps(self._rng.bit_generator.state),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a search where `state_dict` was taken: on a fresh object with the same arguments."""
        asked, returns = np.asarray(state["asked"]), np.asarray(state["returns"])
        if asked.shape[1:] != (self.pop_size, len(self._start)):
            raise CheckpointError(
                f"The saved search has {asked.shape[1]} candidates of {asked.shape[2]} parameters, this one "
                f"{self.pop_size} of {len(self._start)}: resume with the same settings, or start anew with noreload."
            )
        if float(state.get("mean_rate", 1.0)) != self._mean_rate:
            raise CheckpointError(
                f"The saved search has mean_rate={float(state['mean_rate'])}, this one {self._mean_rate}: resume with "
                "the same settings, or start anew with noreload."
            )
        if float(state["sigma0"]) != self._sigma0 or not np.array_equal(np.asarray(state["start"]), self._start):
            raise CheckpointError(
                f"The saved search began at another point or with sigma={float(state['sigma0'])}, this one with "
                f"sigma={self._sigma0}: resume with the same settings, or start anew with noreload."
            )
        self._es.feed_for_resume(list(asked.reshape(-1, asked.shape[2])), list(-returns.ravel()))
        self._asked, self._returns = list(asked), list(returns)
        self._rng.bit_generator.state = json.loads(state["rng"])
