"""Which episodes a generation drives: new ones, and again those that told candidates apart.

Once most candidates do well nearly everywhere, most episodes say nothing about which of them is better. Those in which
candidates differed are worth driving again (prioritized level replay, Jiang et al. 2021): there failures are, and the
controllers that avoid them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from world_models.types import DoubleArray

_MOST = 256  # kept, those that told most
_RANK_SCALE = 4.0  # ranks are drawn from an exponential of this mean
_LEAST = 6  # before that many are known all are new


class TrackPool:
    """Seeds of episodes with how much the candidates' returns differed on each when it was driven last.

    Args:
        share: Of a generation's episodes (rounded down) that are replayed; 0: all are new.
    """

    def __init__(self, share: float = 0.0) -> None:
        self.share = share
        self._spread: dict[int, float] = {}

    def choose(self, fresh: Sequence[int], seed: int) -> list[int]:
        """The episodes' seeds of a generation: `fresh`, the last of them replaced by replayed ones.

        Args:
            fresh: Seeds never driven.
            seed: Of the choice.
        """
        count = int(len(fresh) * self.share)
        if not count or len(self._spread) < _LEAST + count:
            return list(fresh)
        ranked = sorted(self._spread, key=lambda track: (-self._spread[track], track))
        rng, chosen = np.random.default_rng(seed), list(fresh[: len(fresh) - count])
        for _ in range(count):
            chosen.append(ranked.pop(min(int(rng.exponential(_RANK_SCALE)), len(ranked) - 1)))
        return chosen

    def tell(self, tracks: Sequence[int], returns: DoubleArray) -> None:
        """Take in what N candidates returned on each of S tracks, (S, N)."""
        if not self.share:
            return
        for track, each in zip(tracks, returns, strict=True):
            self._spread[int(track)] = float(each.std())
        kept = sorted(self._spread, key=lambda track: (-self._spread[track], track))[:_MOST]
        self._spread = {track: self._spread[track] for track in kept}

    def state_dict(self) -> dict[str, Any]:
        """Plain arrays."""
        return {
            "tracks": np.array(list(self._spread), np.int64),
            "spread": np.array(list(self._spread.values()), np.float64),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up where `state_dict` was taken."""
        pairs = zip(np.asarray(state["tracks"]).tolist(), np.asarray(state["spread"]).tolist(), strict=True)
        self._spread = dict(pairs)
