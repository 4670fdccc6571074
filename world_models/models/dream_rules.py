"""How to dream: the temperature, what ends a dream, where it starts (Ha & Schmidhuber 2018, section 4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from world_models.errors import CheckpointError, ConfigError
from world_models.typed import About, Fraction, Needs, Number, Positive, check

Terminal = Literal["auto", "threshold", "sampled", "never"]
Starts = Literal["both", "first", "warm"]
Reward = Literal["predicted", "survival"]
Precision = Literal["auto", "fp32", "bf16"]
TEMPERATURES = (0.1, 0.5, 1.0, 1.15, 1.3)  # of a table of them


@dataclass(frozen=True)
class DreamRules:
    """How to dream; plain values.

    Raises:
        ConfigError: Names each value that cannot work.
    """

    temperature: Annotated[
        Positive,
        Needs("a finite number above 0 (deterministic is the limit of 0)"),
        About("divides the mixture's log weights and multiplies its variances; 1 is M as trained"),
    ] = 1.0
    deterministic: Annotated[bool, About("the limit of temperature 0: the likeliest component's mean")] = False
    terminal: Annotated[
        Terminal,
        About(
            "what ends a dream before the step limit: M's terminal probability above threshold, a draw of it, nothing; "
            "auto: threshold where M's terminal head was trained"
        ),
    ] = "auto"
    threshold: Annotated[Fraction, About("of terminal=threshold", "probability")] = 0.5
    # How many times too high M's odds of a terminal are, as it was trained: `load_dream` knows it.
    terminal_weight: Annotated[Positive, About("weight of terminals with which M was trained")] = 1.0
    starts: Annotated[Starts, About("first frames, after a real sequence, or half of each")] = "both"
    reward: Annotated[Reward, About("M's, or 1 a step survived")] = "predicted"
    reward_limit: Annotated[Number, About("largest absolute reward of a step; 0: none", "reward")] = 0.0
    precision: Annotated[Precision, About("of M's matrix products; auto: what the device computes faster")] = "auto"

    def __post_init__(self) -> None:
        _, wrong = check(type(self), vars(self))
        if wrong:
            raise ConfigError("; ".join(wrong))


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
