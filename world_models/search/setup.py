"""What a run of evolution begins with: C's architecture, the space about an earlier run, the first mean."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from world_models.configs.wm_config import WMControllerConfig
from world_models.envs.registry import environment_actions
from world_models.errors import CheckpointError, ConfigError
from world_models.models.controller import Controller
from world_models.models.load import load_cell, load_vae
from world_models.search.algorithms.spaces import PlainSpace, Space, WhitenedSpace
from world_models.search.refit import agent_rollouts, driving_states, refitted
from world_models.search.settings import ControllerSettings
from world_models.types import DoubleArray

_LOG = logging.getLogger(__name__)


def make_template(config: WMControllerConfig, settings: ControllerSettings) -> Controller:
    """A controller of the sizes of the V and M that are there, whatever the config's defaults say.

    Raises:
        CheckpointError: V or M is missing, or the config's latent or action size is not theirs.
    """
    vae, cell = load_vae(config.logdir), load_cell(config.logdir)
    for name, mine, theirs in (
        ("latent_size", config.latent_size, vae.latent_size),
        ("action_size", config.action_size, cell.actions),
    ):
        if mine != theirs:
            raise CheckpointError(
                f"{name}={mine} in the controller's config, but V and M in {config.logdir} have {theirs}: "
                f"set {name}={theirs}, or train them again."
            )
    if config.hidden_size != cell.hiddens:
        _LOG.warning(
            "hidden_size=%d in the controller's config, M's checkpoint has %d: %d is used.",
            config.hidden_size,
            cell.hiddens,
            cell.hiddens,
        )
    hidden = cell.hiddens if settings.use_hidden else 0
    more = {"use_cell": settings.use_cell, "bias": settings.bias}
    return Controller(vae.latent_size, hidden, cell.actions, settings.hidden_layers, **more)


def driving_space(logdir: str | Path, env_id: str, settings: ControllerSettings, template: Controller) -> WhitenedSpace:
    """The space whitened with what an agent's rollouts in `settings.whitening_rollouts` show to V and M in `logdir`.

    It lies about the controller of the run `settings.refit_from`, refitted to this V and M, where one is named.

    Raises:
        CheckpointError: a stage is missing, or the old C is not linear.
        DataError: no rollout was driven by an agent.
        ConfigError: there are not so many components.
    """
    actions = environment_actions(env_id, settings.env_kwargs)
    rollouts = agent_rollouts(settings.whitening_rollouts)
    states = driving_states(logdir, rollouts, template, actions)
    offset = refitted(settings.refit_from, rollouts, states, template, actions) if settings.refit_from else None
    return fit_space(np.concatenate(states), settings, template, offset)


def fit_space(
    states: npt.NDArray[np.floating[Any]],
    settings: ControllerSettings,
    template: Controller,
    offset: DoubleArray | None = None,
) -> WhitenedSpace:
    """The space that the settings ask for, whitened with `states` (n, D)."""
    return WhitenedSpace.fit(
        states,
        settings.components,
        template.action_size,
        settings.bias,
        standardized=settings.standardized,
        offset=offset,
    )


def first_mean(space: Space, template: Controller, settings: ControllerSettings, seed: int) -> DoubleArray:
    """Where the search begins, (P,): zeros but for `initial_bias`; `seed` draws the weights of an MLP.

    Raises:
        ConfigError: `initial_bias` is not of the actions' size.
    """
    mean = np.zeros(space.size)
    if isinstance(space, PlainSpace) and settings.hidden_layers:
        # With every weight at zero an MLP's first layers would do nothing.
        mean = np.random.default_rng(seed).standard_normal(space.size) * 0.1
    bias = settings.initial_bias
    if bias and len(bias) != template.action_size:
        raise ConfigError(
            f"initial_bias has {len(bias)} numbers, C has {template.action_size} actions: give one an action."
        )
    if bias:
        mean[-len(bias) :] = bias  # in every space the last numbers are the output layer's bias
    return mean
