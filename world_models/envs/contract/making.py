"""Making one environment that gives pictures; whatever its constructor does wrong becomes one sentence."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
from gymnasium.envs.registration import load_env_creator

from world_models.envs.contract.failures import raised
from world_models.envs.env_kwargs import check_taken, named
from world_models.errors import ActionSpaceError, EnvironmentFailure, MissingDependencyError, WorldModelsError

AnyEnv = gymnasium.Env[Any, Any]
_SMALLEST = 8  # rows and columns from which on an array may be meant as a picture


def plain_id(env_id: str) -> str:
    """ "Catch-v0" of "catch:Catch-v0"."""
    return env_id.rpartition(":")[2]


def creator_of(env_id: str) -> Callable[..., Any]:
    """What `gymnasium.make` calls: a class or function, imported."""
    entry = gymnasium.spec(plain_id(env_id)).entry_point
    creator: Callable[..., Any] = entry if callable(entry) else load_env_creator(str(entry))
    return creator


def make_env(env_id: str, env_kwargs: Mapping[str, Any], make: Callable[..., AnyEnv] = gymnasium.make) -> AnyEnv:
    """The environment with render_mode="rgb_array", or without one where it knows none and its observations are
    pictures.

    Args:
        env_id: A known id, or "module:id".
        env_kwargs: Its own arguments.
        make: What makes it.

    Raises:
        MissingDependencyError: it needs a package that is not installed.
        ConfigError: it does not take one of the arguments.
        ActionSpaceError: it can give no pictures.
        EnvironmentFailure: its constructor raised something; that is chained.
    """
    creator: Callable[..., Any] | None = None
    wanted = {"render_mode": "rgb_array", **env_kwargs}
    try:
        creator = creator_of(env_id)
        if make is gymnasium.make:
            check_taken(env_id, creator, env_kwargs)
            if not _takes_render_mode(creator):
                return _without_render_mode(env_id, env_kwargs, None)
        return make(env_id, **wanted)
    except WorldModelsError:
        raise
    except gymnasium.error.DependencyNotInstalled as error:
        raise MissingDependencyError(f"{env_id} needs a package that is not installed: {error}") from error
    except ModuleNotFoundError as error:
        if creator is None and (absent := _absent(env_id, error)):
            raise EnvironmentFailure(
                f"{env_id} is registered for {absent}, and there is no module named {error.name!r}: install its "
                "package, put the folder that it lies in in PYTHONPATH, or mend the entry_point."
            ) from error
        raise MissingDependencyError(
            f"{env_id} needs the module {error.name!r}, which is not installed: {raised(error)}; install its package, "
            "or put its folder in PYTHONPATH."
        ) from error
    except (Exception, SystemExit) as error:
        if creator is None:
            entry = gymnasium.spec(plain_id(env_id)).entry_point
            raise EnvironmentFailure(
                f"{env_id} is registered for {entry}, which cannot be loaded: {raised(error)}; mend the "
                "entry_point, or its module."
            ) from error
        if _refuses_rgb_array(creator):
            return _without_render_mode(env_id, env_kwargs, error)
        raise cannot_be_made(env_id, env_kwargs, error) from error


def cannot_be_made(env_id: str, env_kwargs: Mapping[str, Any], error: BaseException) -> EnvironmentFailure:
    """The sentence on a constructor that raised `error`."""
    mend = " or give other --env_kwargs" if env_kwargs else ""
    return EnvironmentFailure(
        f"{named(env_id, env_kwargs)} cannot be made, its constructor raised {raised(error)}: mend it there{mend}."
    )


def _absent(env_id: str, error: ModuleNotFoundError) -> str:
    """The entry point, if its own module was not found; "" where the missing module is another one."""
    entry = str(gymnasium.spec(plain_id(env_id)).entry_point)
    return entry if error.name and f"{entry.partition(':')[0]}.".startswith(f"{error.name}.") else ""


def _takes_render_mode(creator: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(creator).parameters
    except (TypeError, ValueError):
        return True  # it does not say
    return "render_mode" in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())


def _refuses_rgb_array(creator: Callable[..., Any]) -> bool:
    """Whether the environment declares no "rgb_array": the likely reason where its constructor raised."""
    modes = getattr(creator, "metadata", None)
    modes = modes.get("render_modes") if isinstance(modes, dict) else None
    return modes is not None and "rgb_array" not in modes


def _without_render_mode(env_id: str, env_kwargs: Mapping[str, Any], error: BaseException | None) -> AnyEnv:
    """Made without a render mode, which is no loss where the observations themselves are the pictures."""
    try:
        env = gymnasium.make(env_id, **env_kwargs)
    except (Exception, SystemExit) as other:
        raise cannot_be_made(env_id, env_kwargs, error or other) from other
    if _may_be_picture(env.observation_space):
        return env
    space = env.observation_space
    env.close()
    why = "its __init__ takes no render_mode" if error is None else 'its metadata["render_modes"] lacks "rgb_array"'
    raise ActionSpaceError(
        f"{env_id} gives no pictures: its observations are {space}, and it cannot be rendered, as {why}; give it an "
        '__init__(self, render_mode=None), metadata = {"render_modes": ["rgb_array"]} and a render() that returns '
        "(H, W, 3) uint8, or pictures as observations."
    ) from error


def _may_be_picture(space: gymnasium.Space[Any]) -> bool:
    """Whether an observation may be a picture: it is no vector of numbers. The reader of frames decides the rest."""
    if not isinstance(space, gymnasium.spaces.Box) or len(space.shape) not in (2, 3):
        return False
    return sorted(space.shape)[-2] >= _SMALLEST
