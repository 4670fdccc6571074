"""Presets of CarRacing."""

from __future__ import annotations

from dataclasses import replace

from world_models.configs.presets.preset import LATER, Preset

# CarRacing's first round: data of noise, C from nothing.
_NOISE = Preset(
    game="CarRacing-v3",
    flags={
        "env": "CarRacing-v3",
        "num_rollouts": 200,
        "rollout_len": 300,
        "vae_epochs": 4,
        "vae_batch_size": 64,
        "rnn_epochs": 60,
        "rnn_lr": 2e-3,
        "rnn_batch_size": 64,
        "seq_len": 32,
        "ctrl_pop_size": 16,
        "ctrl_samples": 2,
        "ctrl_target": 945.0,
        "amp": False,
    },
    collect={"early_termination": 60, "mirrored": True},
    vae={"free_bits": 0.1, "num_test_files": 8},
    rnn={"optimizer": "adam", "num_test_files": 8},
    ctrl={
        "components": 32,
        "sigma": 0.2,
        "early_termination": 60,
        "initial_bias": (0.0, -0.7, 0.0),
        "initial_horizon": 300,
        "horizon_growth": 1.2,
        "eval_every": 10,
        "eval_episodes": 16,
        "whitening_episodes": 32,
    },
)

# Up the gradient from nothing: much noise, the pedals after the steering, and a lap that is lost costs half of one.
_FROM_NOTHING = {
    "search": "gradient",
    "sigma": 0.6,
    "pop_size": 24,
    "samples": 2,
    "env_steps": 1_200_000,
    "early_termination_penalty": 500.0,
    "delayed_actions": [1, 2],
    "from_scratch": True,
    "mirrored": True,
}
# A car that rolls slowly, with a foot on neither pedal, learns to steer before it learns to drive fast. Who learns both
# at once is soon too fast for the bends and stays so (docs/results.md).
_LEARNING = {
    "components": 32,
    "sigma": 0.02,
    "early_termination": 60,
    "initial_bias": (0.0, -2.0, -1.5),
    "initial_horizon": 100,
    "max_env_steps": 1_000,
    "eval_every": 4,
    "eval_episodes": 16,
    "whitening_episodes": 12,
    "phases": [_FROM_NOTHING],
    "selection_episodes": 32,
}

# A later round: data of the agent itself, a V that keeps more of the picture, an M that has seen what driving is, and C
# carried over to them. PGPE hears what failures cost; most of its first candidates fail (docs/results.md).
_DRIVEN = Preset(
    flags={
        "num_rollouts": 420,
        "rollout_len": 800,
        "policy": "agent",
        # Of all entries of C's weights, which a gradient searches: a little of each.
        "spread": 0.04,
        "vae_epochs": 4,
        "rnn_epochs": 45,
        "ctrl_pop_size": 24,
        "ctrl_samples": 2,
    },
    vae={"kl_weight": 0.03, "free_bits": 0.0, "frames_per_epoch": 40_000, "anneal": 0.4, "num_test_files": 16},
    rnn={"anneal": 0.4, "reward_weight": 20.0, "reward_smoothing": 15, "num_test_files": 16},
    ctrl={
        **LATER.ctrl,
        # One generation close by: the phases begin at the carried C.
        "sigma": 0.02,
        "max_env_steps": 1_000,
        "eval_every": 10,
        "selection_episodes": 32,
        "phases": [
            {
                "components": components,
                "sigma": 0.08,
                "pop_size": 64,
                "samples": 1,
                "env_steps": 2_000_000,
                "mean_learning_rate": 0.7,
                "search": "pgpe",
            }
            for components in (32, 48, 64)
        ],
    },
)


def _dreamt(rollouts: int, keep: bool) -> Preset:
    """A later round of CarRacing in the dream: what the dream's controller and its neighbours do in reality is added.

    Many rounds with little evolution in each: a few generations after M has last seen reality C lives on M's errors.
    """
    return Preset(
        flags={
            "num_rollouts": rollouts,
            "rollout_len": 500,
            "policy": "agent",
            "spread": 0.3,
            "vae_epochs": 2,
            "rnn_epochs": 15,
            "rnn_lr": 1e-3,
        },
        vae={"kl_weight": 0.03, "free_bits": 0.0, "frames_per_epoch": 20_000, "frozen": keep},
        rnn={"from_previous_round": True},
        ctrl={**LATER.ctrl, "sigma": 0.1, "initial_horizon": 300, "max_generations": 12, "eval_every": 6},
    )


CARRACING: dict[str, Preset] = {
    # Meant for two CPU cores and under 20 minutes, on CarRacing.
    "quick": replace(
        _NOISE,
        flags={**_NOISE.flags, "num_rollouts": 160, "ctrl_target": 880.0},
        ctrl={
            **_LEARNING,
            # Only a machine much slower than two cores of 2026 meets this cap; its run is then not repeatable.
            "max_seconds": 640.0,
            "eval_every": 100,
            # Four of the gradient, which is stopped while it learns much: what slows down sooner comes less far.
            "max_generations": 5,
        },
    ),
    # Two rounds of the paper's iterative procedure, the second's C in three phases.
    "carracing": replace(_NOISE, ctrl=_LEARNING, rounds=(_DRIVEN,)),
    # CarRacing from the dream alone, which the paper did not do: C is evolved in M, whose reward head learns a mean of
    # 15 steps' rewards; reality only shows V and M where C has come to.
    "carracing-dream": replace(
        _NOISE,
        flags={**_NOISE.flags, "ctrl_pop_size": 32, "ctrl_samples": 16},
        collect={"early_termination": 60},  # not mirrored: its figures are of data as they are
        rnn={**_NOISE.rnn, "anneal": 0.4, "reward_weight": 20.0, "reward_smoothing": 15},
        ctrl={
            **_NOISE.ctrl,
            "horizon_growth": 1.0,
            "max_generations": 30,
            "eval_episodes": 128,
            "selection_episodes": 256,
        },
        # What M promises beyond 0.7 a step, the pace of 700 in a thousand, does not count: C would go faster than
        # anything that M has seen, into bends that throw no car off in a dream.
        dream={"temperature": 1.15, "pessimism": 0.5, "reward_limit": 0.7},
        rounds=tuple(_dreamt(200 + 60 * k, keep=k not in (1, 3, 6)) for k in range(1, 11)),
    ),
}
