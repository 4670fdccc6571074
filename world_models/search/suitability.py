"""Settings that cannot work with this environment, these sizes or this machine: refused before anything is driven."""

from __future__ import annotations

import argparse

from world_models.configs.presets import Preset
from world_models.configs.wm_config import WMControllerConfig, WMMDNRNNConfig, WMVAEConfig
from world_models.envs.mirrored import check_mirror
from world_models.envs.registry import SHORT_NAMES, EnvSpec, env_spec
from world_models.errors import ConfigError, WorldModelsError
from world_models.search.algorithms.phase import GRADIENT, Phase
from world_models.search.settings import ControllerSettings
from world_models.search.whitening import STEPS
from world_models.training.fit.model_sizes import check_memory


def check_run(
    args: argparse.Namespace, table: Preset, vae: WMVAEConfig, rnn: WMMDNRNNConfig, ctrl: WMControllerConfig
) -> None:
    """A run's settings fit each other, the environment and this machine.

    Raises:
        ConfigError: They do not; the message names the setting.
    """
    settings = ControllerSettings.from_config(ctrl)
    spec = env_spec(ctrl.env_name, settings.env_kwargs)
    check_preset(args.preset, table, spec)
    seen = state_size(settings, rnn.latent_size, rnn.hidden_size)
    check_memory(vae, rnn, ctrl, seen)
    if args.stage == "all":  # a stage alone finds V and M of their own sizes
        check_search(settings, spec, ctrl.action_size, seen, ctrl.time_limit, "dream" if table.dream else "reality")


def check_preset(name: str, table: Preset, spec: EnvSpec) -> None:
    """Raises ConfigError where the preset is made for another game than this environment."""
    if table.game and not _same_game(table.game, spec):
        raise ConfigError(
            f"--preset {name} has settings for {table.game} (what it drives like, earns and costs there), and the "
            f"environment is {spec.env_id}: leave --env out, or take a preset for any environment (default, tiny)."
        )
    if table.collect.get("mirrored"):
        check_mirror(spec)


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
    if world == "reality" and not (settings.whitening_rollouts or settings.warm_start) and settings.components > most:
        raise ConfigError(
            f"components={settings.components}, and whitening_episodes={settings.whitening_episodes} of at most "
            f"{min(STEPS, time_limit)} steps give {most} states to compute them from: drive more episodes for it."
        )
    if settings.initial_bias and len(settings.initial_bias) != action_size:
        raise ConfigError(
            f"initial_bias has {len(settings.initial_bias)} numbers, C has {action_size} actions: give one an action."
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
    if max(phase.delayed_actions, default=0) >= action_size:
        raise ConfigError(
            f"phases has delayed_actions={list(phase.delayed_actions)}: C has {action_size} actions, 0 to "
            f"{action_size - 1}."
        )
