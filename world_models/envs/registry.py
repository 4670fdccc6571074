"""The environment table: ids, aliases, backends, crops, squashes, caps."""

from __future__ import annotations

import difflib
import importlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np

from world_models.envs.actions import ActionAdapter
from world_models.envs.car_racing_view import CarRacingView
from world_models.envs.vizdoom_env import LEFT_STAY_RIGHT, MAX_TICS, TAKE_COVER, make_take_cover
from world_models.envs.vizdoom_env import register as register_vizdoom
from world_models.errors import EnvironmentNameError, MissingDependencyError
from world_models.notices import say_once

_LOG = logging.getLogger(__name__)

ALIASES = {"CarRacing-v2": "CarRacing-v3"}
SHORT_NAMES = {"TakeCover": TAKE_COVER}


@dataclass(frozen=True)
class EnvSpec:
    """What the project knows of one environment beyond Gymnasium's own registry.

    `rows` is how many pixel rows of a native frame are kept (None: all); `squash` names how C's outputs
    become actions; `drift` is what the correlated-noise policy's walk returns to, one number an action
    in half ranges about the action's middle; `hopeless` is after how many steps without a positive
    reward an episode may be given up while learning (None: never); `envpool` says that EnvPool has it;
    `stop_drawing` makes an environment give black frames, everything else unchanged (None: it draws only
    when asked to, or cannot be stopped); `redraw` makes it draw nearly the same frames much faster; `mirror`
    has the places of the actions that change their signs where left is right, if the world is alike both ways.
    """

    env_id: str
    rows: int | None = None
    squash: tuple[str, ...] | None = None
    drift: tuple[float, ...] | None = None
    hopeless: int | None = None
    envpool: bool = False
    stop_drawing: Callable[[gymnasium.Env[Any, Any]], None] | None = None
    redraw: Callable[[gymnasium.Env[Any, Any]], None] | None = None
    line: tuple[int, ...] | None = None
    mirror: tuple[int, ...] = ()
    max_steps: int = 1000
    register: Callable[[], None] | None = None
    make: Callable[..., gymnasium.Env[Any, Any]] = gymnasium.make

    def adapter(self, space: gymnasium.Space[Any]) -> ActionAdapter:
        """C's outputs as the actions of such an environment, whose action space is given."""
        return ActionAdapter(space, self.squash, where=self.env_id, line=self.line)


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
        hopeless=80,
        envpool=True,
        stop_drawing=_stop_drawing_car_racing,
        redraw=_redraw_car_racing,
        mirror=(0,),
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
    module, _, plain_id = env_id.rpartition(":")
    try:
        if module:
            importlib.import_module(module)
        gymnasium.spec(plain_id)
    except (gymnasium.error.Error, ImportError, ValueError) as error:
        near = difflib.get_close_matches(plain_id, list(gymnasium.registry), n=1, cutoff=0.4)
        hint = f" The nearest id is {near[0]!r}." if near else ""
        reason = str(error).rstrip(".")
        raise EnvironmentNameError(f"Environment {env_name!r} does not exist: {reason}.{hint}") from None
    return env_id


def env_spec(env_name: str) -> EnvSpec:
    """The table's row of an environment; any other Gymnasium id gets the plain defaults."""
    env_id = canonical_id(env_name)
    return _KNOWN.get(env_id, EnvSpec(env_id))


def make_gym(env_name: str, **kwargs: Any) -> gymnasium.Env[Any, Any]:
    """`gymnasium.make` by id or alias, ready to give rgb pictures."""
    spec = env_spec(env_name)
    env_id = spec.env_id
    kwargs.setdefault("render_mode", "rgb_array")
    try:
        return spec.make(env_id, **kwargs)
    except gymnasium.error.DependencyNotInstalled as error:
        raise MissingDependencyError(f"{env_id} needs a package that is not installed: {error}") from error
