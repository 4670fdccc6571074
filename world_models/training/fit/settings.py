"""Reading a stage's own settings out of `config.extra`, with the field's name in the error."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from world_models.errors import ConfigError


def whole(extra: Mapping[str, Any], name: str, default: int, at_least: int = 0) -> int:
    """A whole number. Raises ConfigError where it is none, or less than `at_least`."""
    value = extra.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < at_least:
        raise ConfigError(f"{name} is {value!r}, and must be a whole number of at least {at_least}")
    return value


def whole_or_none(extra: Mapping[str, Any], name: str, at_least: int = 1) -> int | None:
    """A whole number, or None where it is absent or None. Raises ConfigError as `whole`."""
    return None if extra.get(name) is None else whole(extra, name, at_least, at_least)


def number(extra: Mapping[str, Any], name: str, default: float) -> float:
    """A finite number of at least 0. Raises ConfigError where it is none."""
    value = extra.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ConfigError(f"{name} is {value!r}, and must be a finite number of at least 0")
    return float(value)


def share(extra: Mapping[str, Any], name: str, default: float = 0.0) -> float:
    """A number from 0 to 1. Raises ConfigError where it is none."""
    value = number(extra, name, default)
    if value > 1:
        raise ConfigError(f"{name} is {value!r}, and must be a share, at most 1")
    return value


def flag(extra: Mapping[str, Any], name: str, default: bool = False) -> bool:
    """True or False. Raises ConfigError for anything else, such as the text "no"."""
    value = extra.get(name, default)
    if not isinstance(value, bool):
        raise ConfigError(f"{name} is {value!r}, and must be true or false")
    return value


def choice(extra: Mapping[str, Any], name: str, choices: Sequence[str]) -> str:
    """One of `choices`; the first is the default. Raises ConfigError for anything else."""
    value = extra.get(name, choices[0])
    if value not in choices:
        raise ConfigError(f"{name} is {value!r}, and must be one of {', '.join(choices)}")
    return str(value)
