"""Fitness evaluation with V, M and 32 different controllers, against the raw simulator and the literal way."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.common import interleaved, rate_of, report, size
from benchmarks.literal_loop import literal_rate
from benchmarks.networks import controllers, save_networks
from benchmarks.raw_envpool import raw_rate
from world_models.executors.base import evaluate
from world_models.executors.local import make_executor
from world_models.rollout.driver import Recipe
from world_models.types import Episode
from world_models.utils.threads import cpu_count

CANDIDATES, STEPS, LITERAL_STEPS = size(32), size(150), size(60)


def main() -> None:
    """32 episodes of 150 steps, resets included; the literal way takes 60 steps in each process."""
    cores = cpu_count()
    with tempfile.TemporaryDirectory() as folder:
        logdir = Path(folder)
        save_networks(logdir)
        executors = {
            backend: make_executor(Recipe("CarRacing-v3", backend=backend, logdir=folder), cores)
            for backend in ("envpool", "redrawn")
        }
        population = controllers(CANDIDATES)

        def ours(backend: str) -> float:
            results = evaluate(
                executors[backend], [Episode(i, i) for i in range(CANDIDATES)], population, time_limit=STEPS
            )
            return sum(result.steps for result in results)

        try:
            rates = interleaved(
                {
                    "ours": lambda: rate_of(lambda: ours("envpool")),
                    "ours, redrawn": lambda: rate_of(lambda: ours("redrawn")),
                    "raw EnvPool": lambda: raw_rate(CANDIDATES, cores, STEPS),
                    "literal": lambda: literal_rate(logdir, cores, LITERAL_STEPS),
                }
            )
        finally:
            for executor in executors.values():
                executor.close()
    goals = {("ours", "raw EnvPool"): 0.65, ("ours", "literal"): 5.5, ("ours, redrawn", "literal"): 5.5}
    report("rollout", "environment steps/s", rates, goals, candidates=CANDIDATES, steps=STEPS)


if __name__ == "__main__":
    main()
