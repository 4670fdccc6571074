"""Which environment a run is of, and what that is made with: as its files say, or as somebody says now."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from world_models.envs.env_kwargs import parse_env_kwargs
from world_models.envs.registry import ALIASES, SHORT_NAMES
from world_models.errors import ConfigError

EnvKwargs = Mapping[str, Any] | str | None


def chosen_environment(
    named: str | None, env_kwargs: EnvKwargs, own: str | None, own_kwargs: EnvKwargs
) -> tuple[str | None, dict[str, Any]]:
    """An environment and its arguments: those named now, else a run's own; its arguments are for no other one.

    Raises:
        ConfigError: the arguments are no JSON object.
    """
    name = named or own
    if env_kwargs is None and name and own and _same(name, own):
        env_kwargs = own_kwargs
    return name, parse_env_kwargs(env_kwargs)


def environment_of_controller(
    logdir: str | Path, facts: Mapping[str, Any], named: str | None = None, env_kwargs: EnvKwargs = None
) -> tuple[str, dict[str, Any]]:
    """`chosen_environment` for the facts in a controller's checkpoint.

    Raises:
        ConfigError: neither says it.
    """
    name, made_with = chosen_environment(named, env_kwargs, facts.get("env_name"), facts.get("env_kwargs"))
    if not name:
        raise ConfigError(f"The controller in {logdir} does not say its environment: name it (--env).")
    return name, made_with


def _same(one: str, other: str) -> bool:
    one, other = (SHORT_NAMES.get(name, ALIASES.get(name, name)) for name in (one, other))
    return one == other
