"""What a preset is: named settings of a whole run.

A preset is a table of command-line settings by their names, and the further settings of each stage that
have no flag (`vae`, `rnn`, `ctrl`, `collect`), and of the dream where C is evolved in M (`dream`). What is given on
the command line counts before it. A preset of several rounds (the paper's iterative procedure) has a table of
differences for each round after the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

Table = Mapping[str, Any]


@dataclass(frozen=True)
class Preset:
    """Settings of a run: `flags` by the command line's names, the rest by stage (into `config.extra`).

    `rounds` has, for each round after the first, what is different in it; `from_previous_round` in its `ctrl` says
    whether C begins as the one of the round before (the default) or from scratch, on the V and M that are better now,
    the same in its `rnn` whether M begins with its weights (by default not), `frozen` in its `vae` that V is not
    trained on. `dream`, where it
    is not empty, has C evolved in M and not in the environment: fields of `DreamRules`, and `pessimism`. `game` is the
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

    def of_round(self, number: int) -> Preset:
        """The settings of round 1, 2, ...; rounds beyond the last that is described are like it."""
        if number == 1:
            return self
        other = self.rounds[min(number - 2, len(self.rounds) - 1)] if self.rounds else LATER
        return replace(
            self,
            flags={**self.flags, **other.flags},
            collect={**self.collect, **other.collect},
            vae={**self.vae, **other.vae},
            rnn={**self.rnn, **other.rnn},
            ctrl={**self.ctrl, **other.ctrl},
            dream={**self.dream, **other.dream},
        )


# A later round where a preset describes none.
LATER = Preset(
    flags={"policy": "agent", "spread": 0.25},
    ctrl={"components": 24, "standardized": True, "sigma": 0.15, "initial_bias": (), "initial_horizon": 0},
)
