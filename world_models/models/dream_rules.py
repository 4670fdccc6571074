"""How to dream: the temperature, what ends a dream, where it starts (Ha & Schmidhuber 2018, section 4)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from numbers import Real
from pathlib import Path
from typing import Any

from world_models.errors import CheckpointError, ConfigError

TERMINALS = ("auto", "threshold", "sampled", "never")
STARTS = ("both", "first", "warm")
REWARDS = ("predicted", "survival")
PRECISIONS = ("auto", "fp32", "bf16")


@dataclass(frozen=True)
class DreamRules:
    """How to dream; plain values.

    Attributes:
        temperature: Divides the mixture's log weights and multiplies its variances; 1 is M as trained.
        deterministic: The limit of temperature 0: the likeliest component's mean, and starts without noise.
        terminal: What ends a dream: "threshold": M's terminal probability is above `threshold` (the reference
            implementation's rule); "sampled": a draw of it; "never": the step limit alone; "auto": "threshold"
            where M's terminal head was trained to be used, else "never".
        terminal_weight: How many times too high M's odds of a terminal are, for it was trained with terminals so
            weighted: undone where terminals are sampled; `load_dream` knows it.
        threshold: See `terminal`.
        starts: "first": first frames; "warm": after a real sequence; "both": half of each.
        reward: "predicted": M's; "survival": 1 a step, for M that was trained without rewards.
        reward_limit: Largest absolute reward of a step, against an M that promises too much; 0: none.
        precision: Of M's matrix products: "fp32", "bf16", or "auto" for what the device computes faster.

    Raises:
        ConfigError: a value that cannot work.
    """

    temperature: float = 1.0
    deterministic: bool = False
    terminal: str = "auto"
    threshold: float = 0.5
    terminal_weight: float = 1.0
    starts: str = "both"
    reward: str = "predicted"
    reward_limit: float = 0.0
    precision: str = "auto"

    def __post_init__(self) -> None:
        for name in ("temperature", "terminal_weight", "threshold", "reward_limit"):
            if not isinstance(getattr(self, name), Real):
                raise ConfigError(f"{name}={getattr(self, name)!r} cannot work: give a number.")
        if not 0 < self.temperature < math.inf:
            raise ConfigError(
                f"temperature={self.temperature!r} cannot work: give a finite number above 0 (deterministic is the "
                "limit of 0)."
            )
        if not 0 < self.terminal_weight < math.inf:
            raise ConfigError(f"terminal_weight={self.terminal_weight!r} cannot work: give a number above 0.")
        if not 0 < self.threshold < 1:
            raise ConfigError(f"threshold={self.threshold!r} cannot work: give a probability between 0 and 1.")
        if not 0 <= self.reward_limit < math.inf:
            raise ConfigError(f"reward_limit={self.reward_limit!r} cannot work: give a finite number of at least 0.")
        named = {"terminal": TERMINALS, "starts": STARTS, "reward": REWARDS, "precision": PRECISIONS}
        for name, choices in named.items():
            if getattr(self, name) not in choices:
                raise ConfigError(f"{name}={getattr(self, name)!r} is unknown: it is one of {', '.join(choices)}.")


def settled(rules: DreamRules, facts: Mapping[str, Any], where: str | Path) -> DreamRules:
    """`rules` with what M's checkpoint `facts` decide: the terminal "auto", and the terminal's weight.

    Raises:
        CheckpointError: the dream shall end by a terminal head that was not trained for it.
    """
    trained = bool(facts.get("terminal_trained", False))
    if rules.terminal == "auto":
        rules = replace(rules, terminal="threshold" if trained else "never")
    if rules.terminal != "never" and not trained:
        raise CheckpointError(
            f"M in {where} has no terminal head that was trained to be used, and terminal={rules.terminal!r} asks to "
            "end by it: use terminal='never', or train M on episodes that end (terminal_weight)."
        )
    return replace(rules, terminal_weight=float(facts.get("terminal_weight", 1.0)))
