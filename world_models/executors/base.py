"""What an executor is: something that runs jobs on drivers and gives their results back in order."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from world_models.rollout.driver import Driver
from world_models.rollout.experience import Collected, joined
from world_models.types import DoubleArray, Episode, EpisodeResult

Progressed = Callable[[list[EpisodeResult]], None]
"""Hears the results of every job as soon as it is done."""


@dataclass(frozen=True)
class Job:
    """One call of a driver's method ("evaluate", "experience", "collect", "consequences") with plain arguments."""

    method: str
    arguments: dict[str, Any] = field(default_factory=dict)

    def run(self, driver: Driver) -> list[EpisodeResult]:
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
    early_termination: int | None = None,
    shard_size: int = 64,
    progressed: Progressed | None = None,
) -> list[EpisodeResult]:
    """(candidates, episodes) -> results in the order of `episodes`, sharded over an executor's workers."""
    common = {"candidates": candidates, "time_limit": time_limit, "early_termination": early_termination}
    parts = shards(list(episodes), executor.workers, shard_size)
    jobs = [Job("evaluate", {"episodes": list(part), **common}) for part in parts]
    return [result for part in executor.run(jobs, progressed) for result in part]


def experience(
    executor: Executor,
    parameters: DoubleArray,
    action_noise: float,
    steps: int,
    seeds: Sequence[int] | None,
    **limits: Any,
) -> Collected:
    """Experience of lanes that go on from update to update (`Driver.experience`), in the order of their seeds.

    Each worker has its own lanes, and is given one job: only an executor whose free workers take jobs in their order
    (those of this machine) can do this.

    Args:
        executor: Of this machine.
        parameters, action_noise, steps: See `Driver.experience`.
        seeds: Of lanes to begin, at least one a worker; None: those that are there go on.
        limits: Of episodes: `time_limit`, `early_termination`, `mirrored`.
    """
    count = executor.workers
    edges = [len(seeds or ()) * k // count for k in range(count + 1)]
    parts = [None if seeds is None else list(seeds[a:b]) for a, b in itertools.pairwise(edges)]
    common = {"parameters": parameters, "action_noise": action_noise, "steps": steps, **limits}
    answers: Any = executor.run([Job("experience", {"seeds": part, **common}) for part in parts])
    return joined([part for answer in answers for part in answer])
