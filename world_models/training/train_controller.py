"""Stage C: evolve the controller in the environment (Ha & Schmidhuber 2018, section 2.3 and A.4)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from world_models.configs.wm_config import WMControllerConfig
from world_models.models.controller import flatten_parameters, load_parameters
from world_models.search.run import EvolutionRun
from world_models.search.settings import ControllerSettings
from world_models.training.callable_modules import callable_as_its_function
from world_models.training.queue_workers import _run_rollout, slave_routine

__all__ = [
    "ControllerResult",
    "_run_rollout",
    "flatten_parameters",
    "load_parameters",
    "slave_routine",
    "train_controller",
]


@dataclass(frozen=True)
class ControllerResult:
    """How evolution ended.

    Attributes:
        generations: Generations told, over all runs in the folder.
        env_steps: Simulator steps of evolution, re-evaluations included.
        episodes: Episodes of evolution, re-evaluations included.
        best_return: Mean return of the controller in best.tar over the re-evaluation's tracks.
        history: One record a generation, as in log.jsonl.
        best: The file best.tar.
    """

    generations: int
    env_steps: int
    episodes: int
    best_return: float
    history: list[dict[str, Any]]
    best: Path


def train_controller(config: WMControllerConfig) -> ControllerResult:
    """Evolve C with CMA-ES over worker processes until target_return or a budget is reached.

    Every candidate of a generation drives the same n_samples episodes (seeds shared by the generation). The
    mean of the distribution and the generation's best are re-evaluated on other seeds every `eval_every`
    generations; the better one so far is `best.tar`. `checkpoint.tar` is written after every generation, and
    a run that was stopped goes on from there exactly. Further settings are read from `config.extra`, see
    `ControllerSettings`.

    Raises:
        CheckpointError: V or M is missing in `config.logdir`, or sizes do not fit; nothing is written.
        ConfigError: a setting cannot work.
    """
    return evolve(EvolutionRun(config, ControllerSettings.from_config(config)))


def evolve(run: EvolutionRun) -> ControllerResult:
    """Trains and closes a run."""
    try:
        run.train()
    finally:
        run.close()
    return ControllerResult(
        generations=run.state.generation,
        env_steps=run.state.totals["env_steps"],
        episodes=run.state.totals["episodes"],
        best_return=run.state.best_return,
        history=run.state.history,
        best=run.best_path,
    )


callable_as_its_function(__name__)
