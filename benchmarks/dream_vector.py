"""Dreams as a vector environment: 256 as one batch against eight single ones in processes of their own."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium

import world_models  # noqa: F401  (makes the id known)
from benchmarks.common import interleaved, rate_of, report, size
from benchmarks.dream import ENV, starts
from benchmarks.networks import LATENTS, save_networks
from world_models.datasets.dream_starts import save_starts, starts_path

BATCH, PROCESSES, STEPS = 256, size(8), size(200)
DREAM = "world_models/Dream-v0"


def stepped(envs: Any, steps: int) -> float:
    """Steps of all dreams, with one action throughout: to choose one is the learner's work."""
    envs.reset(seed=0)
    actions = envs.action_space.sample()
    for _ in range(steps):
        envs.step(actions)
    return float(steps * envs.num_envs)


def main() -> None:
    """200 steps of 256 dreams on one thread, and as many of eight in processes, of the paper's M in float32."""
    with tempfile.TemporaryDirectory() as folder:
        save_networks(Path(folder))
        save_starts(starts_path(folder), starts(LATENTS))
        arguments = {"logdir": folder, "terminal": "never", "env_name": ENV}
        batch = gymnasium.make_vec(DREAM, num_envs=size(BATCH), **arguments)
        single = gymnasium.make_vec(DREAM, num_envs=PROCESSES, vectorization_mode="async", **arguments)
        cases = {
            "one batch": partial(rate_of, partial(stepped, batch, STEPS)),
            "processes": partial(rate_of, partial(stepped, single, STEPS)),
        }
        try:
            rates = interleaved(cases)
        finally:
            single.close()
            batch.close()
    report("dream_vector", "steps/s", rates, {("one batch", "processes"): 20}, batch=size(BATCH), processes=PROCESSES)


if __name__ == "__main__":
    main()
