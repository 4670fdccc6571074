"""Settings that cannot work with this environment, these sizes or this machine: refused before anything is driven."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from world_models.configs.presets import Preset
from world_models.configs.wm_config import WMControllerConfig, WMMDNRNNConfig, WMVAEConfig
from world_models.envs.mirrored import check_mirror
from world_models.envs.registry import SHORT_NAMES, EnvSpec, env_spec
from world_models.errors import ConfigError, WorldModelsError
from world_models.search.algorithms.phases import GRADIENT, Phase
from world_models.search.settings import ControllerSettings
from world_models.search.whitening import STEPS
from world_models.training.fit.model_sizes import check_memory
from world_models.training.fit.settings import choice, flag, number, share, whole, whole_or_none

Reader = Callable[[Mapping[str, Any], str], object]

READERS: dict[str, dict[str, Reader]] = {
    "collect": {"hopeless": whole_or_none, "mirrored": flag},
    "vae": {
        "free_bits": partial(number, default=0.0),
        "kl_weight": partial(number, default=1.0),
        "precision": partial(choice, choices=("auto", "fp32", "bf16")),
        "compile": partial(flag, default=True),
        "frames_per_epoch": whole_or_none,
        "sample_count": partial(whole, default=8, at_least=1),
        "anneal": share,
        "keep": flag,
    },
    "rnn": {
        "optimizer": partial(choice, choices=("rmsprop", "adam")),
        "grad_clip": lambda extra, name: extra.get(name, 1.0) is None or number(extra, name, 1.0),
        "batches_per_epoch": whole_or_none,
        "anneal": share,
        "terminal_weight": partial(number, default=0.0),
        "reward_weight": partial(number, default=1.0),
        "reward_smoothing": partial(whole, default=0),
        "carry": flag,
    },
}
"""How each further setting of a stage is read; stage C's are `ControllerSettings`, the dream's `DreamRules`."""


# Beyond these a flag is a slip of the finger. What drives plans an episode's noise at once: a million steps are room.
_MOST = {
    "num_rollouts": 1_000_000,
    "rollout_len": 1_000_000,
    "ctrl_time_limit": 1_000_000,
    "vae_lr": 1.0,
    "rnn_lr": 1.0,
}


def check_run(
    args: argparse.Namespace, table: Preset, vae: WMVAEConfig, rnn: WMMDNRNNConfig, ctrl: WMControllerConfig
) -> None:
    """A run's settings fit each other, the environment and this machine.

    Raises:
        ConfigError: They do not; the message names the setting.
    """
    for name, most in _MOST.items():
        if getattr(args, name) > most:
            raise ConfigError(f"{name}={getattr(args, name)} cannot work: give at most {most}.")
    if not 0 <= args.spread < math.inf:
        raise ConfigError(f"spread={args.spread!r} cannot work: give a finite number of at least 0.")
    settings = ControllerSettings.from_config(ctrl)
    spec = env_spec(ctrl.env_name, settings.env_kwargs)
    check_preset(args.preset, table, spec)
    seen = state_size(settings, rnn.latent_size, rnn.hidden_size)
    check_memory(vae, rnn, ctrl, seen)
    if args.stage == "all":  # a stage alone finds V and M of their own sizes
        check_search(settings, spec, ctrl.action_size, seen, ctrl.time_limit, "dream" if table.dream else "reality")


def check_preset(name: str, table: Preset, spec: EnvSpec) -> None:
    """Raises ConfigError where the preset is made for another game than this environment, or one value cannot be."""
    if table.game and not _same_game(table.game, spec):
        raise ConfigError(
            f"--preset {name} has settings for {table.game} (what it drives like, earns and costs there), and the "
            f"environment is {spec.env_id}: leave --env out, or take a preset for any environment (default, tiny)."
        )
    for stage, readers in READERS.items():
        for setting, read in readers.items():
            read(getattr(table, stage), setting)
    if table.collect.get("mirrored"):
        check_mirror(spec)
    if table.ctrl.get("carry") is not None:
        flag(table.ctrl, "carry")


def _same_game(game: str, spec: EnvSpec) -> bool:
    """Whether it is the game itself or a variant of it, whose pictures are cut and whose actions are squashed alike."""
    if spec.env_id == SHORT_NAMES.get(game, game):
        return True
    try:
        own = env_spec(game)
    except WorldModelsError:  # the game is not installed, and so this is another one
        return False
    facts = [(each.rows, each.squash, each.line, each.mirror) for each in (own, spec)]
    return facts[0] == facts[1]


def state_size(settings: ControllerSettings, latent_size: int, hidden_size: int) -> int:
    """How many numbers C sees: Z, Z + R, or Z + 2 R."""
    if not settings.use_hidden:
        return latent_size
    return latent_size + hidden_size * (2 if settings.use_cell else 1)


def check_search(
    settings: ControllerSettings, spec: EnvSpec, action_size: int, seen: int, time_limit: int, world: str
) -> None:
    """What stage C is told fits the environment and the sizes of V and M.

    Args:
        settings: Stage C's.
        spec: The environment.
        action_size: A.
        seen: What C sees of a state (`state_size`).
        time_limit: Steps of an episode at most.
        world: Where C is evolved: "reality" or "dream".

    Raises:
        ConfigError: It does not; the message names the setting.
    """
    for place, components in _components(settings):
        if components > seen:
            raise ConfigError(
                f"{place}={components} were asked for, and C sees {seen} numbers here (Z and M's state), which have "
                f"only {seen}: lower it, or widen V or M."
            )
    most = settings.whitening_episodes * min(STEPS, time_limit)
    if world == "reality" and not (settings.driving or settings.warm_start) and settings.components > most:
        raise ConfigError(
            f"components={settings.components}, and whitening_episodes={settings.whitening_episodes} of at most "
            f"{min(STEPS, time_limit)} steps give {most} states to compute them from: drive more episodes for it."
        )
    if settings.first_bias and len(settings.first_bias) != action_size:
        raise ConfigError(
            f"first_bias has {len(settings.first_bias)} numbers, C has {action_size} actions: give one an action."
        )
    _check_phases(settings, spec, action_size, world)


def _components(settings: ControllerSettings) -> list[tuple[str, int]]:
    phases = [(f"phases[{i}].components", phase.components) for i, phase in enumerate(settings.phases)]
    return [("components", settings.components), *phases]


def _check_phases(settings: ControllerSettings, spec: EnvSpec, action_size: int, world: str) -> None:
    if any(phase.gradient_steps for phase in settings.phases) and world != "dream":
        raise ConfigError(
            "phases has gradient_steps, and C is evolved in reality: the gradient is of dreams; leave it out, or "
            "evolve in the dream (world-models dream train)."
        )
    gradient = [phase for phase in settings.phases if phase.search == GRADIENT]
    if gradient and world == "dream":
        raise ConfigError(
            "phases has search='gradient', and C is evolved in the dream: there a phase begins up the gradient with "
            "gradient_steps."
        )
    if gradient and settings.sample_latents:
        raise ConfigError("phases has search='gradient', which sees the latents' means: leave out sample_latents.")
    if gradient and (settings.hidden_layers or not settings.components):
        raise ConfigError(
            "phases has search='gradient', which needs a linear C that is evolved in components first: they are "
            f"{settings.components}, hidden_layers {settings.hidden_layers}."
        )
    for phase in gradient:
        _check_gradient(phase, spec, action_size)


def _check_gradient(phase: Phase, spec: EnvSpec, action_size: int) -> None:
    if phase.mirrored:
        check_mirror(spec)
    if max(phase.late, default=0) >= action_size:
        raise ConfigError(
            f"phases has late={list(phase.late)}: C has {action_size} actions, places 0 to {action_size - 1}."
        )
