"""Named settings of a whole run, by game."""

from __future__ import annotations

import difflib

from world_models.configs.presets.any_game import ANY_GAME
from world_models.configs.presets.carracing import CARRACING
from world_models.configs.presets.preset import Preset
from world_models.configs.presets.takecover import TAKECOVER
from world_models.errors import ConfigError

__all__ = ["PRESETS", "Preset", "preset"]

PRESETS: dict[str, Preset] = {
    name: {**ANY_GAME, **CARRACING, **TAKECOVER}[name]
    for name in ("default", "quick", "carracing", "carracing-dream", "takecover", "paper", "tiny")
}


def preset(name: str) -> Preset:
    """The settings of that name. Raises ConfigError naming the nearest."""
    if name not in PRESETS:
        near = difflib.get_close_matches(name, PRESETS, n=1, cutoff=0.3)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ConfigError(f"preset={name!r} is unknown: it is one of {', '.join(PRESETS)}.{hint}")
    return PRESETS[name]
