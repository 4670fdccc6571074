"""What an executor is: something that runs jobs on drivers and gives their results back in order."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from world_models.rollout.dream_driver import DreamDriver
from world_models.rollout.driver import Driver
from world_models.rollout.road import Stretch, side_by_side
from world_models.types import DoubleArray, Episode, EpisodeResult

Progressed = Callable[[list[EpisodeResult]], None]
"""Told of the results of every job as soon as it is done."""

AnyDriver = Driver | DreamDriver
"""Who does the jobs: in the environment, or in the dream of it."""


@dataclass(frozen=True)
class Job:
    """One call of a driver's method ("evaluate", "go", "collect", "consequences") with plain arguments."""

    method: str
    arguments: dict[str, Any] = field(default_factory=dict)

    def run(self, driver: AnyDriver) -> list[EpisodeResult]:
        """Run it here."""
        results: list[EpisodeResult] = getattr(driver, self.method)(**self.arguments)
        return results


class Executor(Protocol):
    """Runs jobs, on this process, on others, on a cluster; the results do not depend on which."""

    workers: int

    def run(self, jobs: Sequence[Job], progressed: Progressed | None = None) -> list[list[EpisodeResult]]:
        """The results of every job, in the order of `jobs`."""

    def close(self) -> None:
        """Let the workers go."""


def shards(items: Sequence[Any], workers: int, size: int) -> list[Sequence[Any]]:
    """Cut items into runs of about `size`, evenly, at least one a worker where there are enough."""
    if not items:
        return []
    count = max(-(-len(items) // size), min(workers, len(items)))
    count = -(-count // workers) * workers if count > 1 else count
    count = min(count, len(items))
    edges = [len(items) * i // count for i in range(count + 1)]
    return [items[a:b] for a, b in itertools.pairwise(edges)]


def evaluate(
    executor: Executor,
    episodes: Sequence[Episode],
    candidates: DoubleArray | None = None,
    *,
    time_limit: int,
    hopeless: int | None = None,
    shard_size: int = 64,
    progressed: Progressed | None = None,
) -> list[EpisodeResult]:
    """(candidates, episodes) -> results in the order of `episodes`, sharded over an executor's workers."""
    common = {"candidates": candidates, "time_limit": time_limit, "hopeless": hopeless}
    parts = shards(list(episodes), executor.workers, shard_size)
    jobs = [Job("evaluate", {"episodes": list(part), **common}) for part in parts]
    return flat(executor.run(jobs, progressed))


def go(
    executor: Executor, parameters: DoubleArray, spread: float, steps: int, seeds: Sequence[int] | None, **limits: Any
) -> Stretch:
    """Lanes drive on on the road without end (`Driver.go`), side by side in the order of their seeds.

    Each worker has its own lanes, and is given one job: only an executor whose free workers take jobs in their order
    (those of this machine) can do this.

    Args:
        executor: Of this machine.
        parameters, spread, steps: See `rollout.road`.
        seeds: Of lanes to begin, at least one a worker; None: those that are there go on.
        limits: Of episodes: `time_limit`, `hopeless`.
    """
    count = executor.workers
    edges = [len(seeds or ()) * k // count for k in range(count + 1)]
    parts = [None if seeds is None else list(seeds[a:b]) for a, b in itertools.pairwise(edges)]
    common = {"parameters": parameters, "spread": spread, "steps": steps, **limits}
    answers: Any = executor.run([Job("go", {"anew": part, **common}) for part in parts])
    return side_by_side([part for answer in answers for part in answer])


def flat(results: Iterable[list[EpisodeResult]]) -> list[EpisodeResult]:
    """The jobs' results one after the other."""
    return [result for part in results for result in part]
