"""Data collection: the loop with a recorder that turns every episode into a Rollout."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from world_models.rollout.loop import Transition
from world_models.types import EpisodeResult, Rollout


class Recorder:
    """A listener that hands each finished episode to `sink(result, rollout)`.

    A rollout's observations are frames where there are any, and the states of a dream. They are kept in memory only
    until their episode has ended: 12 kB a step.
    """

    def __init__(self, sink: Callable[[EpisodeResult, Rollout], None]) -> None:
        self.sink = sink
        self._open: dict[int, list[tuple[np.ndarray, np.ndarray, float, bool]]] = {}

    def transition(self, transition: Transition) -> None:
        """Remember one row a lane."""
        seen = transition.observations if transition.frames is None else transition.frames
        for row, lane in enumerate(transition.lanes):
            self._open.setdefault(int(lane), []).append(
                (
                    np.asarray(seen[row]),
                    transition.actions[row],
                    float(transition.step.rewards[row]),
                    bool(transition.step.terminals[row]),
                )
            )

    def ended(self, lane: int, result: EpisodeResult) -> None:
        """Hand the episode over."""
        frames, actions, rewards, terminals = zip(*self._open.pop(lane), strict=True)
        rollout = Rollout(
            np.stack(frames),
            np.stack(actions).astype(np.float32),
            np.array(rewards, np.float32),
            np.array(terminals, np.float32),
        )
        self.sink(result, rollout)
