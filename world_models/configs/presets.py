"""Named settings of a whole run.

A preset is a table of command-line settings by their names, and the further settings of each stage that
have no flag (`vae`, `rnn`, `ctrl`, `collect`). What is given on the command line counts before it.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from world_models.errors import ConfigError

Table = Mapping[str, Any]


@dataclass(frozen=True)
class Preset:
    """Settings of a run: `flags` by the command line's names, the rest by stage (into `config.extra`)."""

    flags: Table = field(default_factory=dict)
    collect: Table = field(default_factory=dict)
    vae: Table = field(default_factory=dict)
    rnn: Table = field(default_factory=dict)
    ctrl: Table = field(default_factory=dict)


PRESETS: dict[str, Preset] = {
    # The specification's defaults and nothing else.
    "default": Preset(),
    # Meant for two CPU cores and under 20 minutes, on CarRacing.
    "quick": Preset(
        flags={
            "env": "CarRacing-v3",
            "num_rollouts": 160,
            "rollout_len": 300,
            "vae_epochs": 4,
            "vae_batch_size": 64,
            "rnn_epochs": 60,
            "rnn_lr": 2e-3,
            "rnn_batch_size": 64,
            "seq_len": 32,
            "ctrl_pop_size": 16,
            "ctrl_samples": 2,
            "ctrl_target": 880.0,
            "amp": False,
        },
        collect={"hopeless": 60},
        vae={"free_bits": 0.1, "num_test_files": 8},
        rnn={"optimizer": "adam", "num_test_files": 8},
        ctrl={
            "components": 32,
            "sigma": 0.2,
            "hopeless": 40,
            "first_bias": (0.0, -0.7, 0.0),
            "first_horizon": 300,
            "horizon_growth": 1.2,
            "max_env_steps": 330_000,
            # Only a machine much slower than two cores of 2026 meets this cap; its run is then not repeatable.
            "max_seconds": 640.0,
            "eval_every": 14,
            "eval_episodes": 8,
            "whitening_episodes": 32,
        },
    ),
    # The same ideas with more of everything.
    "carracing": Preset(
        flags={
            "env": "CarRacing-v3",
            "num_rollouts": 200,
            "rollout_len": 300,
            "vae_epochs": 6,
            "vae_batch_size": 64,
            "rnn_epochs": 60,
            "rnn_lr": 2e-3,
            "rnn_batch_size": 64,
            "seq_len": 32,
            "ctrl_pop_size": 24,
            "ctrl_samples": 2,
            "ctrl_target": 930.0,
            "amp": False,
        },
        collect={"hopeless": 60},
        vae={"free_bits": 0.1, "num_test_files": 8},
        rnn={"optimizer": "adam", "num_test_files": 8},
        ctrl={
            "components": 48,
            "sigma": 0.2,
            "hopeless": 40,
            "first_bias": (0.0, -0.7, 0.0),
            "first_horizon": 300,
            "horizon_growth": 1.2,
            "max_samples": 8,
            "max_env_steps": 6_000_000,
            "eval_every": 10,
            "eval_episodes": 16,
            "whitening_episodes": 48,
        },
    ),
    # Ha & Schmidhuber 2018, appendix A: 10,000 rollouts, one epoch of V, twenty of M, 64 candidates of 16
    # episodes, in C's own 867 parameters.
    "paper": Preset(
        flags={
            "env": "CarRacing-v3",
            "num_rollouts": 10_000,
            "rollout_len": 1000,
            "vae_epochs": 1,
            "vae_batch_size": 100,
            "vae_lr": 1e-4,
            "rnn_epochs": 20,
            "rnn_batch_size": 100,
            "seq_len": 500,
            "ctrl_pop_size": 64,
            "ctrl_samples": 16,
        },
        vae={"free_bits": 0.5},
        rnn={"optimizer": "adam"},
        ctrl={"sample_latents": True, "eval_every": 25, "eval_episodes": 100, "max_generations": 1800},
    ),
    # Every stage in miniature, in a minute or two: to see whether an environment works at all.
    "tiny": Preset(
        flags={
            "num_rollouts": 6,
            "rollout_len": 60,
            "vae_epochs": 1,
            "vae_batch_size": 32,
            "rnn_epochs": 1,
            "rnn_batch_size": 8,
            "seq_len": 8,
            "ctrl_pop_size": 4,
            "ctrl_samples": 1,
            "ctrl_time_limit": 60,
            "ctrl_workers": 2,
        },
        vae={"num_test_files": 1, "sample_count": 4},
        rnn={"num_test_files": 1},
        ctrl={"max_generations": 2, "eval_every": 2, "eval_episodes": 2, "num_lanes": 4},
    ),
}


def preset(name: str) -> Preset:
    """The settings of that name. Raises ConfigError naming the nearest."""
    if name not in PRESETS:
        near = difflib.get_close_matches(name, PRESETS, n=1, cutoff=0.3)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ConfigError(f"preset={name!r} is unknown: it is one of {', '.join(PRESETS)}.{hint}")
    return PRESETS[name]
