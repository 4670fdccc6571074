"""Named settings of a whole run.

A preset is a table of command-line settings by their names, and the further settings of each stage that
have no flag (`vae`, `rnn`, `ctrl`, `collect`), and of the dream where C is evolved in M (`dream`). What is given on
the command line counts before it. A preset of several rounds (the paper's iterative procedure) has a table of
differences for each round after the first.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from world_models.errors import ConfigError

Table = Mapping[str, Any]


@dataclass(frozen=True)
class Preset:
    """Settings of a run: `flags` by the command line's names, the rest by stage (into `config.extra`).

    `rounds` has, for each round after the first, what is different in it; `carry` in its `ctrl` says whether C begins
    as the one of the round before (the default) or anew, on the V and M that are better now, `carry` in its `rnn`
    whether M begins with its weights (by default anew), `keep` in its `vae` that V is not trained on. `dream`, where it
    is not empty, has C evolved in M and not in the environment: fields of `DreamRules`, and `pessimism`. `game` is the
    environment that its settings are of; "" where they are for any.
    """

    flags: Table = field(default_factory=dict)
    collect: Table = field(default_factory=dict)
    vae: Table = field(default_factory=dict)
    rnn: Table = field(default_factory=dict)
    ctrl: Table = field(default_factory=dict)
    dream: Table = field(default_factory=dict)
    rounds: tuple[Preset, ...] = ()
    game: str = ""

    def of_round(self, number: int) -> Preset:
        """The settings of round 1, 2, ...; rounds beyond the last that is described are like it."""
        if number == 1:
            return self
        other = self.rounds[min(number - 2, len(self.rounds) - 1)] if self.rounds else _LATER
        return replace(
            self,
            flags={**self.flags, **other.flags},
            collect={**self.collect, **other.collect},
            vae={**self.vae, **other.vae},
            rnn={**self.rnn, **other.rnn},
            ctrl={**self.ctrl, **other.ctrl},
            dream={**self.dream, **other.dream},
        )


# A later round where a preset describes none.
_LATER = Preset(
    flags={"policy": "agent", "spread": 0.25},
    ctrl={"components": 24, "standardized": True, "sigma": 0.15, "first_bias": (), "first_horizon": 0},
)

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
    collect={"hopeless": 60, "mirrored": True},
    vae={"free_bits": 0.1, "num_test_files": 8},
    rnn={"optimizer": "adam", "num_test_files": 8},
    ctrl={
        "components": 32,
        "sigma": 0.2,
        "hopeless": 60,
        "first_bias": (0.0, -0.7, 0.0),
        "first_horizon": 300,
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
    "lost": 500.0,
    "late": [1, 2],
    "anew": True,
    "mirrored": True,
}
# A car that rolls slowly, with a foot on neither pedal, learns to steer before it learns to drive fast. Who learns both
# at once is soon too fast for the bends and stays so (docs/results.md).
_LEARNING = {
    "components": 32,
    "sigma": 0.02,
    "hopeless": 60,
    "first_bias": (0.0, -2.0, -1.5),
    "first_horizon": 100,
    "max_env_steps": 1_000,
    "eval_every": 4,
    "eval_episodes": 16,
    "whitening_episodes": 12,
    "phases": [_FROM_NOTHING],
    "choice_episodes": 32,
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
        **_LATER.ctrl,
        # One generation close by: the phases begin at the carried C.
        "sigma": 0.02,
        "max_env_steps": 1_000,
        "eval_every": 10,
        "choice_episodes": 32,
        "phases": [
            {
                "components": components,
                "sigma": 0.08,
                "pop_size": 64,
                "samples": 1,
                "env_steps": 2_000_000,
                "mean_rate": 0.7,
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
        vae={"kl_weight": 0.03, "free_bits": 0.0, "frames_per_epoch": 20_000, "keep": keep},
        rnn={"carry": True},
        ctrl={**_LATER.ctrl, "sigma": 0.1, "first_horizon": 300, "max_generations": 12, "eval_every": 6},
    )


# TakeCover's C, where a search is over in a few generations of principal components: they hardly see fireballs. Then M
# is asked what going left or right leads to, and the search goes on in the directions that tell it; from there C goes
# up the gradient, which is slow from nothing and finds what no search has.
_FORESEEN = {"components": 16, "foreseen": 6400, "sigma": 0.25, "pop_size": 32, "samples": 16, "env_steps": 5_000_000}
_CLIMBING = {**_FORESEEN, "gradient_steps": 10_000_000, "sigma": 0.1, "env_steps": 13_000_000}


def _played(rollouts: int) -> Preset:
    """A later round of TakeCover: what the dream's controller and its neighbours do in the game is added.

    C is carried over to the new dream. An M that knows the game's later minutes dreams a harder game than the real one
    at 1.15; below 1 one dies in it about as often and as late as there (docs/results.md).
    """
    return Preset(
        flags={"num_rollouts": rollouts, "policy": "agent", "spread": 0.2, "rnn_epochs": 5, "rnn_lr": 1e-3},
        vae={"keep": True},
        rnn={"carry": True},
        ctrl={"max_env_steps": 500_000, "phases": [_CLIMBING]},
        dream={"temperature": 0.85},
    )


PRESETS: dict[str, Preset] = {
    # The specification's defaults and nothing else.
    "default": Preset(),
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
        collect={"hopeless": 60},  # not mirrored: its figures are of data as they are
        rnn={**_NOISE.rnn, "anneal": 0.4, "reward_weight": 20.0, "reward_smoothing": 15},
        ctrl={
            **_NOISE.ctrl,
            "horizon_growth": 1.0,
            "max_generations": 30,
            "eval_episodes": 128,
            "choice_episodes": 256,
        },
        # What M promises beyond 0.7 a step, the pace of 700 in a thousand, does not count: C would go faster than
        # anything that M has seen, into bends that throw no car off in a dream.
        dream={"temperature": 1.15, "pessimism": 0.5, "reward_limit": 0.7},
        rounds=tuple(_dreamt(200 + 60 * k, keep=k not in (1, 3, 6)) for k in range(1, 11)),
    ),
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
            "choice_episodes": 256,
        },
        dream={"temperature": 1.15, "reward": "survival", "terminal": "sampled"},
        rounds=(_played(5000),),
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
