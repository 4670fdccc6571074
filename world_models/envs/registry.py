"""The environment table: ids, aliases, backends, crops, squashes, caps."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np

from world_models.envs.actions import ActionAdapter
from world_models.envs.car_racing.view import CarRacingView
from world_models.envs.contract.making import make_env
from world_models.envs.known.env_spec import EnvSpec
from world_models.envs.known.naming import check_known
from world_models.envs.known.variants import variant_row
from world_models.envs.vizdoom_env import LEFT_STAY_RIGHT, MAX_TICS, TAKE_COVER, make_take_cover
from world_models.envs.vizdoom_env import register as register_vizdoom
from world_models.notices import say_once

__all__ = ["ALIASES", "SHORT_NAMES", "EnvSpec", "canonical_id", "env_spec", "environment_actions", "make_gym"]

_LOG = logging.getLogger(__name__)

ALIASES = {"CarRacing-v2": "CarRacing-v3"}
SHORT_NAMES = {"TakeCover": TAKE_COVER}


def _stop_drawing_car_racing(env: gymnasium.Env[Any, Any]) -> None:
    # Of a step's time 98 % is the picture (Gymnasium 1.4); physics, rewards and ends do not look at it.
    black = np.zeros((96, 96, 3), np.uint8)
    env.unwrapped._render = lambda mode: black.copy()  # type: ignore[attr-defined]


def _redraw_car_racing(env: gymnasium.Env[Any, Any]) -> None:
    env.unwrapped._render = CarRacingView(env).render  # type: ignore[attr-defined]


# CarRacing's last 12 rows are the instrument panel, which the reference implementation cuts off as well.
_KNOWN = {
    "CarRacing-v3": EnvSpec(
        "CarRacing-v3",
        rows=84,
        squash=("tanh", "sigmoid", "clipped_tanh"),
        drift=(0.0, 0.1, -1.2),
        early_termination=80,
        envpool=True,
        stop_drawing=_stop_drawing_car_racing,
        redraw=_redraw_car_racing,
        mirror=(0,),
        entry_point="gymnasium.envs.box2d.car_racing:CarRacing",
    ),
    TAKE_COVER: EnvSpec(
        TAKE_COVER, line=LEFT_STAY_RIGHT, max_steps=MAX_TICS, register=register_vizdoom, make=make_take_cover
    ),
}


def canonical_id(env_name: str) -> str:
    """The id that is really made: an alias is replaced, which is said once, and so is a short name.

    "module:id" is Gymnasium's form for an environment that a module registers when it is imported; worker
    processes need it, as they import nothing else of the caller's.

    Raises:
        EnvironmentNameError: Gymnasium does not know the id; the message has its own words and the nearest id.
        MissingDependencyError: the package that provides it is not installed.
    """
    env_id = ALIASES.get(env_name, SHORT_NAMES.get(env_name, env_name))
    if env_name in ALIASES:
        say_once(_LOG, "%s is retired; %s is used in its place.", env_name, env_id)
    known = _KNOWN.get(env_id)
    if known is not None and known.register is not None:
        known.register()
    check_known(env_name, env_id)
    return env_id


def env_spec(env_name: str, env_kwargs: Mapping[str, Any] | None = None) -> EnvSpec:
    """What holds of an environment that is made with `env_kwargs`: the table's row, or the plain defaults.

    An id of its own for a known environment (registered with other arguments, or a class derived from it) has that
    one's row, as far as it holds for it.
    """
    env_id = canonical_id(env_name)
    row = _KNOWN.get(env_id)
    if row is not None and not env_kwargs:
        return row
    return variant_row(env_id, env_kwargs or {}, _KNOWN) or replace(row or EnvSpec(env_id), envpool=False)


def make_gym(env_name: str, /, **kwargs: Any) -> gymnasium.Env[Any, Any]:
    """`gymnasium.make` by id or alias, ready to give rgb pictures.

    Raises:
        EnvironmentNameError: there is no such id.
        WorldModelsError: it cannot be made, see `making.make_env`; one sentence, whatever its constructor raised.
    """
    kwargs = {name: value for name, value in kwargs.items() if (name, value) != ("render_mode", "rgb_array")}
    spec = env_spec(env_name, kwargs)
    return make_env(spec.env_id, kwargs, spec.make)


def environment_actions(env_name: str, env_kwargs: Mapping[str, Any] | None = None) -> ActionAdapter:
    """The actions of an environment; it is made for a moment."""
    made_with = env_kwargs or {}
    env = make_gym(env_name, **made_with)
    try:
        return env_spec(env_name, made_with).adapter(env.action_space)
    finally:
        env.close()
