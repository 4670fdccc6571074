"""Checks that several of the datasets make, and the sentences that they end in."""

from __future__ import annotations

from world_models.errors import ConfigError


def check_at_least_1(name: str, value: int) -> None:
    """Raises ConfigError, naming the setting, when `value` is less than 1."""
    if value < 1:
        raise ConfigError(f"{name} is {value}; give 1 or more")


def too_short(what: str, seq_len: int, longest: int) -> str:
    """The sentence for episodes none of which has seq_len + 1 steps."""
    return (
        f"{what}: a sequence of seq_len = {seq_len} needs {seq_len + 1} steps and the longest has {longest}; "
        "lower seq_len, or collect longer episodes"
    )


def index_in_range(index: int, length: int, name: str) -> int:
    """`index` from 0 on; IndexError when it is out of range."""
    if not -length <= index < length:
        raise IndexError(f"{name} index {index} is out of range for {length} samples")
    return index % length
