"""Dreaming in lanes, against the bare LSTM cell and head, and against the real simulator driven by the same agent."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks.common import interleaved, rate_of, report, size
from benchmarks.networks import ACTIONS, GAUSSIANS, HIDDENS, LATENTS, controllers, save_networks
from world_models.datasets.dream_starts import DreamStarts, save_starts, starts_path
from world_models.executors.base import Executor, evaluate
from world_models.executors.local import make_executor
from world_models.models.dream_rules import DreamRules
from world_models.models.mdrnn import MDRNN, MDRNNCell
from world_models.rollout.driver import Driver, Recipe
from world_models.rollout.recipe import dream_recipe
from world_models.types import Episode
from world_models.utils.precision import fast_precision
from world_models.utils.run_dir import best_path, save_checkpoint
from world_models.utils.threads import cpu_count, one_torch_thread

LANES, STEPS, CANDIDATES = size(256), size(200), size(16)
REAL_LANES, REAL_STEPS = size(16), size(60)
TAKE_COVER = {"latents": 64, "actions": ACTIONS, "hiddens": 512, "gaussians": GAUSSIANS}
ENV = "CarRacing-v3"


def starts(latents: int) -> DreamStarts:
    """Noise: where a dream begins does not change what it costs."""
    rng = np.random.default_rng(0)

    def noise(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        return rng.standard_normal(shape, dtype=np.float32)

    edge = np.full(latents, 6, np.float32)
    first, warm = (noise(64, latents), noise(64, latents) - 2), (noise(64, 32, latents), noise(64, 32, latents) - 2)
    return DreamStarts(*first, *warm, noise(64, 32, ACTIONS), -edge, edge, "benchmark", ENV)


def save_larger_m(logdir: Path) -> None:
    """M of the sizes of TakeCover."""
    mdrnn = MDRNN(**TAKE_COVER)
    save_checkpoint(best_path(logdir, "mdrnn"), {"state_dict": mdrnn.state_dict(), **mdrnn.sizes})


Population = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def dreams(recipe: Recipe) -> tuple[Driver, list[Episode]]:
    """A driver, and as many episodes as it has lanes, of 16 candidates."""
    return Driver(recipe), [Episode(i % CANDIDATES, i) for i in range(LANES)]


class Bare:
    """The cell and the head in the same batch and number format, and nothing else."""

    def __init__(self, sizes: dict[str, int], dtype: torch.dtype) -> None:
        self.cell = MDRNNCell(**sizes).to(dtype).eval()
        self.action = torch.zeros(LANES, sizes["actions"], dtype=dtype)
        self.latent = torch.zeros(LANES, sizes["latents"], dtype=dtype)

    @torch.inference_mode()
    def __call__(self) -> float:
        with one_torch_thread():
            hidden = self.cell.get_init_hidden(LANES)
            for _ in range(STEPS):
                hidden = self.cell.next_hidden(self.action, self.latent, hidden)
                self.cell.gmm_linear(hidden[0])
        return float(LANES * STEPS)


def dreamed(driver: Driver, episodes: list[Episode], population: Population) -> float:
    """Steps of one thread."""
    return float(sum(result.steps for result in driver.evaluate(episodes, population, time_limit=STEPS)))


def driven(executor: Executor, episodes: int, steps: int, size: int) -> float:
    """Steps of all cores, in the dream or in reality."""
    some = [Episode(i % CANDIDATES, i) for i in range(episodes)]
    results = evaluate(executor, some, controllers(CANDIDATES), time_limit=steps, shard_size=size)
    return float(sum(result.steps for result in results))


def population(sizes: dict[str, int]) -> Population:
    """Controllers for M of these sizes."""
    count = sizes["actions"] * (sizes["latents"] + sizes["hiddens"] + 1)
    return np.random.default_rng(0).standard_normal((CANDIDATES, count)) * 0.02


def main() -> None:
    """256 dreams of 200 steps on one thread, of both sizes of M; 16 real episodes of 60 steps a core."""
    cores, dtype = cpu_count(), torch.bfloat16 if fast_precision("cpu") == "bf16" else torch.float32
    paper = {"latents": LATENTS, "actions": ACTIONS, "hiddens": HIDDENS, "gaussians": GAUSSIANS}
    with tempfile.TemporaryDirectory() as folder:
        small, large = Path(folder) / "small", Path(folder) / "large"
        for logdir, sizes in ((small, paper), (large, TAKE_COVER)):
            save_networks(logdir)
            save_starts(starts_path(logdir), starts(sizes["latents"]))
        save_larger_m(large)
        cases: dict[str, Callable[[], float]] = {}
        for name, logdir, sizes in (("32/256", small, paper), ("64/512", large, TAKE_COVER)):
            for precision, kind in (("fp32", torch.float32), ("bf16", dtype)):
                if precision == "bf16" and dtype is torch.float32:
                    continue  # this machine has no fast bf16
                recipe = dream_recipe(ENV, str(logdir), DreamRules(precision=precision), num_lanes=LANES)
                driver, episodes = dreams(recipe)
                dreamer = partial(dreamed, driver, episodes, population(sizes))
                cases[f"dream {name} {precision}"] = partial(rate_of, dreamer)
                cases[f"cell {name} {precision}"] = partial(rate_of, Bare(sizes, kind))
        real = make_executor(Recipe(ENV, backend="redrawn", logdir=str(small)), cores)
        dream = make_executor(dream_recipe(ENV, str(small), num_lanes=LANES), cores)
        all_dreams = partial(driven, dream, cores * LANES, STEPS, LANES)
        cases["dream, all cores"] = partial(rate_of, all_dreams)
        all_real = partial(driven, real, cores * REAL_LANES, REAL_STEPS, REAL_LANES)
        cases["reality, all cores"] = partial(rate_of, all_real)
        try:
            rates = interleaved(cases)
        finally:
            for executor in (real, dream):
                executor.close()
    goals = {(name, name.replace("dream", "cell")): 0.6 for name in cases if name.startswith("dream ")}
    goals[("dream, all cores", "reality, all cores")] = 20
    report("dream", "steps/s", rates, goals, lanes=LANES, steps=STEPS)


if __name__ == "__main__":
    main()
