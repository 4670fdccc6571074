"""Presets for any environment, and the paper's own."""

from __future__ import annotations

from world_models.configs.presets.preset import Preset

ANY_GAME: dict[str, Preset] = {
    # The specification's defaults and nothing else.
    "default": Preset(),
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
