"""How many episodes a candidate needs: enough that candidates differ by more than chance.

Candidates of a generation drive the same tracks, so a generation is a table with a row a track and a column
a candidate. What is left of it when the rows' and the columns' means are taken away is noise; the ratio of
the columns' mean square to the noise's is the F statistic of the two-way analysis of variance, about 1 where
the candidates' order is chance alone.
"""

from __future__ import annotations

import math
from typing import Any

from world_models.types import DoubleArray

_MEMORY = 0.7  # of the running mean, a generation: one table alone says little
_GROWTH = 1.25


def f_statistic(returns: DoubleArray) -> float:
    """Candidates' mean square over noise's, of returns (S, N) of N candidates on S tracks; nan where S is 1."""
    samples, candidates = returns.shape
    if samples < 2 or candidates < 2:
        return math.nan
    of_candidates = returns.mean(0)
    rest = returns - of_candidates - returns.mean(1, keepdims=True) + returns.mean()
    noise: float = float((rest**2).sum()) / ((samples - 1) * (candidates - 1))
    signal: float = samples * float(of_candidates.var(ddof=1))
    if noise == 0:
        return math.inf if signal > 0 else math.nan
    return signal / noise


class SampleSize:
    """Episodes a candidate; grows by a quarter, up to `most`, while the running F stays below `wanted`.

    Args:
        first: Episodes at the beginning.
        most: The limit; not above `first`: they stay as they are.
        wanted: The F statistic to be kept.
    """

    def __init__(self, first: int, most: int, wanted: float = 2.0) -> None:
        self.now = first
        self.most = most
        self.wanted = wanted
        self._running = math.nan

    def tell(self, returns: DoubleArray) -> float:
        """Take in a generation's returns (S, N); their F statistic."""
        found = f_statistic(returns)
        if not math.isfinite(found):
            return found
        log = math.log(max(found, 1e-3))
        self._running = log if math.isnan(self._running) else _MEMORY * self._running + (1 - _MEMORY) * log
        if self.now < self.most and math.exp(self._running) < self.wanted:
            before, self.now = self.now, min(self.most, math.ceil(self.now * _GROWTH))
            self._running += math.log(self.now / before)  # F grows with the samples; the old ones had fewer
        return found

    def state_dict(self) -> dict[str, Any]:
        """Plain numbers, from which `load_state_dict` goes on exactly."""
        return {"now": self.now, "running": self._running}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up where `state_dict` was taken."""
        self.now, self._running = int(state["now"]), float(state["running"])
