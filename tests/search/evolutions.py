"""Evolutions of a few generations on the steering environment, for the tests of stage C."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.small_envs import STEER
from tests.small_runs import HIDDENS, LATENTS
from world_models.configs.wm_config import WMControllerConfig
from world_models.search import gradient_phase as gradient_search
from world_models.search.gradient_phase import GradientSearch
from world_models.training.train_controller import ControllerResult, train_controller

# Steps of a generation: 4 candidates of 2 episodes of 6 at first, then 5 of 3, then 3 of 4.
PHASES = [
    {"sigma": 0.05, "pop_size": 5, "samples": 3, "env_steps": 150},
    {"sigma": 0.02, "pop_size": 3, "samples": 4, "env_steps": 300},
]
FRESH = [{**PHASES[0], "mean_learning_rate": 0.3, "replay_fraction": 0.5, "components": 4}, PHASES[1]]
PAIRS = [{**PHASES[0], "pop_size": 6, "mean_learning_rate": 0.5, "search": "pgpe"}, {**PHASES[1], "components": 4}]

# Up the gradient, in two phases, then candidates again.
CLIMBS = [
    {"sigma": 0.3, "pop_size": 3, "samples": 2, "env_steps": 200, "search": "gradient"},
    {
        "sigma": 0.2,
        "pop_size": 4,
        "samples": 1,
        "env_steps": 150,
        "search": "gradient",
        "mean_learning_rate": 0.5,
        "early_termination_penalty": 2.0,
        "delayed_actions": [1],
    },
    {**PHASES[1], "env_steps": 60, "components": 4},
]
CLIMBING = {"max_env_steps": 60, "phases": CLIMBS, "max_generations": None, "components": 3, "whitening_episodes": 3}


def short_generations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Up the gradient: 3 updates a generation, of 5 steps a lane; it sees some ten steps ahead."""
    monkeypatch.setattr(GradientSearch, "updates", 3)
    rules = replace(gradient_search._RULES, rollout_steps=5, gamma=0.9, final_gamma=0.95)
    monkeypatch.setattr(gradient_search, "_RULES", rules)


def config(logdir: Path, **changes) -> WMControllerConfig:
    settings = {
        "logdir": str(logdir),
        "env_name": STEER,
        "latent_size": LATENTS,
        "hidden_size": HIDDENS,
        "action_size": 2,
        "n_samples": 2,
        "pop_size": 4,
        "target_return": 1e9,
        "max_workers": 1,
        "display": False,
        "time_limit": 6,
        "max_generations": 4,
        "eval_every": 2,
        "eval_episodes": 2,
    }
    return WMControllerConfig({**settings, **changes})


def train(logdir: Path, **changes) -> ControllerResult:
    return train_controller(config(logdir, **changes))


def timeless(history: list[dict]) -> list[dict]:
    return [{key: value for key, value in record.items() if key != "seconds"} for record in history]
