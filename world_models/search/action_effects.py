"""Asking M what each action leads to, by a crew of dreamers: the directions that a phase of stage C adds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from world_models.executors.base import Executor, Job
from world_models.rollout.consequences import joined
from world_models.search.algorithms.influential_directions import foreseen_directions
from world_models.search.algorithms.spaces import WhitenedSpace
from world_models.types import DoubleArray

_ASKED_AT_ONCE = 640  # states in a worker's job


def with_action_effects(
    space: WhitenedSpace, dreamers: Executor, best: DoubleArray, asked: int, seed_of: Callable[[int], int]
) -> tuple[WhitenedSpace, int]:
    """`space` with the directions that M expects to matter (see `influential_directions`), and the steps dreamed.

    Args:
        space: Where a phase is to search.
        dreamers: An executor whose drivers dream.
        best: The controller that is asked about, flat (P,).
        asked: States.
        seed_of: A seed for each job, by its number.
    """
    counts = [min(_ASKED_AT_ONCE, asked - start) for start in range(0, asked, _ASKED_AT_ONCE)]
    jobs = [
        Job("consequences", {"seed": seed_of(i), "count": count, "parameters": best}) for i, count in enumerate(counts)
    ]
    answers: Any = dreamers.run(jobs)
    states, gains, steps = joined([part for answer in answers for part in answer])
    return space.with_directions(foreseen_directions(states, gains, space.bias)), steps
