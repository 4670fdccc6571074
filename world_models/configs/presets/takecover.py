"""The preset of ViZDoom's TakeCover."""

from __future__ import annotations

from world_models.configs.presets.preset import Preset

# TakeCover's C, where a search is over in a few generations of principal components: they hardly see fireballs. Then M
# is asked what going left or right leads to, and the search goes on in the directions that tell it; from there C goes
# up the gradient, which is slow from nothing and finds what no search has.
_FORESEEN = {
    "components": 16,
    "action_effect_states": 6400,
    "sigma": 0.25,
    "pop_size": 32,
    "samples": 16,
    "env_steps": 5_000_000,
}
_CLIMBING = {**_FORESEEN, "gradient_steps": 10_000_000, "sigma": 0.1, "env_steps": 13_000_000}


def _played(rollouts: int) -> Preset:
    """A later round of TakeCover: what the dream's controller and its neighbours do in the game is added.

    C is carried over to the new dream. An M that knows the game's later minutes dreams a harder game than the real one
    at 1.15; below 1 one dies in it about as often and as late as there (docs/results.md).
    """
    return Preset(
        flags={"num_rollouts": rollouts, "policy": "agent", "spread": 0.2, "rnn_epochs": 5, "rnn_lr": 1e-3},
        vae={"frozen": True},
        rnn={"from_previous_round": True},
        ctrl={"max_env_steps": 500_000, "phases": [_CLIMBING]},
        dream={"temperature": 0.85},
    )


TAKECOVER: dict[str, Preset] = {
    # ViZDoom's TakeCover (section 4): C sees z, h and c, has 1,088 numbers and is evolved in the dream alone. V's KL
    # weighs little and V is trained long, as a far fireball is a few pixels; M's terminal head learns where episodes
    # end, as the dream's episodes end by it. The later rounds show V and M what the dream's C does in the game.
    "takecover": Preset(
        game="TakeCover",
        flags={
            "env": "TakeCover",
            "latent_size": 64,
            "rnn_hidden": 512,
            "num_rollouts": 4000,
            "vae_epochs": 15,
            "vae_batch_size": 64,
            "rnn_epochs": 15,
            "rnn_lr": 2e-3,
            "rnn_batch_size": 64,
            "seq_len": 64,
            "ctrl_pop_size": 48,
            "ctrl_samples": 16,
            "ctrl_target": 2100.0,
            "amp": False,
        },
        vae={"kl_weight": 0.03, "num_test_files": 40, "frames_per_epoch": 40_000, "anneal": 0.4},
        rnn={"optimizer": "adam", "num_test_files": 40, "terminal_weight": 10.0, "anneal": 0.4},
        ctrl={
            "use_cell": True,
            "bias": False,
            "components": 32,
            "sigma": 0.2,
            "max_env_steps": 1_500_000,
            "phases": [_FORESEEN, _CLIMBING],
            "eval_every": 5,
            "eval_episodes": 128,
            "selection_episodes": 256,
        },
        dream={"temperature": 1.15, "reward": "survival", "terminal": "sampled"},
        rounds=(_played(5000),),
    ),
}
