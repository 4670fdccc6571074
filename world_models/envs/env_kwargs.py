"""Keyword arguments of an environment, as the command line and files have them: a JSON object."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any

from world_models.errors import ConfigError

EXAMPLE = """--env_kwargs '{"continuous": true}'"""
# What `gymnasium.make` takes itself, beside what it hands to the environment.
_OF_MAKE = ("max_episode_steps", "disable_env_checker")


def parse_env_kwargs(text: str | Mapping[str, Any] | None) -> dict[str, Any]:
    """The keyword arguments in a JSON object, or a mapping of them, as plain values; {} for None and "".

    Raises:
        ConfigError: this is no JSON, no object, or has values that JSON cannot hold.
    """
    if not isinstance(text, str):
        return _plain(text or {})
    if not text.strip():
        return {}
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"env_kwargs={text} is no JSON ({error}): give an object, such as {EXAMPLE}.") from error
    return _plain(value)


def _plain(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"env_kwargs={json.dumps(value)} is no JSON object: give one, such as {EXAMPLE}.")
    odd = [name for name in value if not isinstance(name, str)]
    if odd:
        raise ConfigError(f"env_kwargs has the name {odd[0]!r}, which is no text: name arguments of the environment.")
    if "render_mode" in value:
        raise ConfigError(
            f"env_kwargs has render_mode={value['render_mode']!r}, which is chosen here (rgb_array): leave it out; "
            "`world-models watch` opens a window."
        )
    try:
        plain: dict[str, Any] = json.loads(json.dumps(dict(value), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"env_kwargs={dict(value)!r} cannot be kept in files ({error}): give numbers, texts, true, false, null, "
            "lists and objects of these; wrap the environment in a module of your own for anything else."
        ) from error
    return plain


def env_kwargs_text(env_kwargs: Mapping[str, Any]) -> str:
    """Keyword arguments as one line of JSON, always the same for the same ones; "" for none."""
    return json.dumps(dict(env_kwargs), sort_keys=True) if env_kwargs else ""


def named(env_id: str, env_kwargs: Mapping[str, Any]) -> str:
    """An environment as messages name it: its id, and what it was made with where it was with anything."""
    return f"{env_id} with env_kwargs {env_kwargs_text(env_kwargs)}" if env_kwargs else env_id


def check_taken(env_id: str, creator: Callable[..., Any], env_kwargs: Mapping[str, Any]) -> None:
    """Raises ConfigError where `creator` takes not all of these arguments; all that it lacks are named at once."""
    try:
        parameters = inspect.signature(creator).parameters.values()
    except (TypeError, ValueError):
        return  # it does not say
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return
    taken = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    strange = [name for name in env_kwargs if name not in taken and name not in _OF_MAKE]
    if strange:
        others = ", ".join(name for name in taken if name != "render_mode") or "none"
        raise ConfigError(
            f"env_kwargs has {', '.join(strange)}, which {env_id} does not take: its arguments are {others}."
        )
