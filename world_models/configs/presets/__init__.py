"""Named settings of a whole run: a TOML file a preset, beside this one.

A file has a table of command-line settings by their names (`flags`), and the further settings of each stage that have
no flag (`vae`, `rnn`, `ctrl`, `collect`), and of the dream where C is evolved in M (`dream`). What is given on the
command line counts before it. A preset of several rounds (the paper's iterative procedure) has a table of differences
for each round after the first. `based_on` names files whose tables its own are added to; those that begin with an
underscore are no presets themselves.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from world_models.errors import ConfigError

Table = Mapping[str, Any]

_TABLES = ("flags", "collect", "vae", "rnn", "ctrl", "dream")
_NAMES = ("default", "quick", "carracing", "carracing-dream", "takecover", "paper", "tiny")


@dataclass(frozen=True)
class Preset:
    """Settings of a run: `flags` by the command line's names, the rest by stage (into `config.extra`).

    `rounds` has, for each round after the first, what is different in it; `from_previous_round` in its `ctrl` says
    whether C begins as the one of the round before (the default) or from scratch, on the V and M that are better now,
    the same in its `rnn` whether M begins with its weights (by default not), `frozen` in its `vae` that V is not
    trained on. `dream`, where it is not empty, has C evolved in M and not in the environment. `game` is the
    environment that its settings are of; "" where they are for any.
    """

    flags: Table = field(default_factory=dict)
    collect: Table = field(default_factory=dict)
    vae: Table = field(default_factory=dict)
    rnn: Table = field(default_factory=dict)
    ctrl: Table = field(default_factory=dict)
    dream: Table = field(default_factory=dict)
    rounds: tuple[Preset, ...] = ()
    game: str = ""

    @classmethod
    def from_tables(cls, tables: Mapping[str, Any]) -> Preset:
        """Of plain tables, as files have them."""
        rounds = tuple(cls.from_tables(each) for each in tables.get("rounds", ()))
        return cls(**{**tables, "rounds": rounds})

    def with_tables(self, other: Preset) -> Preset:
        """This one with another's tables over its own, setting by setting."""
        both: dict[str, Any] = {name: {**getattr(self, name), **getattr(other, name)} for name in _TABLES}
        return replace(self, **both)

    def of_round(self, number: int) -> Preset:
        """The settings of round 1, 2, ...; rounds beyond the last that is described are like it."""
        if number == 1:
            return self
        return self.with_tables(self.rounds[min(number - 2, len(self.rounds) - 1)] if self.rounds else _LATER)


def _read(name: str) -> Preset:
    path = Path(__file__).with_name(f"{name}.toml")
    return _with_bases(tomllib.loads(path.read_text(encoding="utf-8")))


def _with_bases(tables: dict[str, Any]) -> Preset:
    bases = [_read(base) for base in tables.pop("based_on", ())]
    rounds = tuple(_with_bases(each) for each in tables.pop("rounds", ()))
    made = Preset(game=next((base.game for base in bases if base.game), ""))
    for each in (*bases, Preset(**{name: tables.get(name, {}) for name in _TABLES})):
        made = made.with_tables(each)
    return replace(made, rounds=rounds, game=tables.get("game", made.game))


# A later round where a preset describes none.
_LATER = _read("_later")
PRESETS: dict[str, Preset] = {name: _read(name) for name in _NAMES}


def preset(name: str) -> Preset:
    """The settings of that name. Raises ConfigError naming the nearest."""
    if name not in PRESETS:
        near = difflib.get_close_matches(name, PRESETS, n=1, cutoff=0.3)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ConfigError(f"preset={name!r} is unknown: it is one of {', '.join(PRESETS)}.{hint}")
    return PRESETS[name]
