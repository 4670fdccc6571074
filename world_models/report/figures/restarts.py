"""Where a stage's training was taken up again with something else, told from its log: losses do not compare across."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

LogLine = Mapping[str, Any]

_EARLIER = 5  # epochs whose changes say what is usual
_UNUSUAL = 3.0  # times as much is a jump


def restarts(log: Sequence[LogLine]) -> dict[int, str]:
    """The epochs that began with something else than the one before, and what it was.

    A log says so itself ("other_data"). Of one that is older it is seen: rollouts held out in place of others have
    another share of terminals, no schedule raises the learning rate, and no training raises both losses at once by
    several times what they usually change.
    """
    found = {}
    for place, (before, entry) in enumerate(itertools.pairwise(log), 1):
        epoch, why = number(entry.get("epoch")), _why(before, entry, log[:place])
        if epoch is not None and why:
            found[int(epoch)] = why
    return found


def number(value: Any) -> float | None:
    """A finite number, or None for everything else that a log may hold."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def _why(before: LogLine, entry: LogLine, past: Sequence[LogLine]) -> str:
    rates = number(before.get("terminal_rate")), number(entry.get("terminal_rate"))
    if entry.get("other_data") or (None not in rates and not math.isclose(*rates, rel_tol=1e-4)):  # type: ignore[arg-type]
        return "other data"
    if (number(entry.get("lr")) or 0.0) > (number(before.get("lr")) or math.inf):
        return "other settings"
    if all(_jumps([*past[-_EARLIER - 1 :], entry], key) for key in ("train_loss", "test_loss")):
        return "its log does not say with what"
    return ""


def _jumps(log: Sequence[LogLine], key: str) -> bool:
    """Whether the last value rises by several times what those before it changed by."""
    values = [value for entry in log if (value := number(entry.get(key))) is not None]
    if len(values) < _EARLIER + 2:
        return False
    *earlier, last = [after - before for before, after in itertools.pairwise(values)]
    return last > _UNUSUAL * statistics.median(map(abs, earlier))
