"""Random collection to disk (stepping, resizing, compression, files) against the raw simulator."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from benchmarks.common import interleaved, rate_of, report, size
from benchmarks.raw_envpool import raw_rate
from world_models.executors.base import Job, shards
from world_models.executors.local import make_executor
from world_models.rollout.driver import Recipe
from world_models.utils.threads import cpu_count

ROLLOUTS, STEPS = size(32), size(200)


def main() -> None:
    """32 rollouts of 200 steps; the workers have been started before, as they are once a collection."""
    cores = cpu_count()
    recipe = Recipe("CarRacing-v3", backend="envpool", policy="brownian", time_limit=STEPS)
    executor = make_executor(replace(recipe, num_lanes=16), cores)

    def ours() -> float:
        with tempfile.TemporaryDirectory() as folder:
            paths = [(seed, str(Path(folder) / f"rollout_{seed}.npz")) for seed in range(ROLLOUTS)]
            jobs = [Job("collect", {"paths": dict(part)}) for part in shards(paths, executor.workers, ROLLOUTS)]
            return sum(result.steps for results in executor.run(jobs) for result in results)

    try:
        rates = interleaved({"ours": lambda: rate_of(ours), "raw EnvPool": lambda: raw_rate(ROLLOUTS, cores, STEPS)})
    finally:
        executor.close()
    goals = {("ours", "raw EnvPool"): 0.75}
    report("collect", "environment steps/s", rates, goals, rollouts=ROLLOUTS, steps=STEPS)


if __name__ == "__main__":
    main()
