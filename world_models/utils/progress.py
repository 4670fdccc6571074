"""Progress of a stage: a bar on a terminal, elsewhere a plain line now and then, with the same facts."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TextIO

from tqdm import tqdm

# Between two lines of a log: a tenth of the time gone, so that a night's run is some dozens of lines.
_LEAST_SECONDS, _MOST_SECONDS, _SHARE = 15.0, 600.0, 0.1


class Progress:
    """Context manager that tells stage, share done, rate, time left and the latest values.

    On a terminal a bar that is redrawn; elsewhere whole lines, at first every 15 seconds, ever more rarely as time
    goes on (at the latest after ten minutes), and one at the end, both on stderr. What ends without an error has
    100 % at its end: a total that was an estimate, or not needed to the full, is then what was done. Silent where
    `enabled` is False or the environment has WORLD_MODELS_QUIET=1.

    Args:
        stage: Its name, in front of everything.
        total: Units in all, or None where nobody knows.
        unit: What is counted, in the singular: "batch", "episode".
        enabled: False for silence.
        initial: Units done before, in a run that goes on; not counted in the rate.
        stream: Where to write; stderr as it is at that time by default.
        clock: Seconds that only grow; for tests.

    Example:
        >>> with Progress("vae", total=3, unit="batch", enabled=False) as progress:
        ...     progress.update(1, loss=0.5)
        >>> progress.done
        1
    """

    def __init__(
        self,
        stage: str,
        total: int | None,
        unit: str,
        enabled: bool = True,
        *,
        initial: int = 0,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.stage, self.total, self.unit = stage, total, unit
        self.done = self._initial = initial
        self._stream = sys.stderr if stream is None else stream
        self._clock = clock
        self._enabled = enabled and os.environ.get("WORLD_MODELS_QUIET", "") in ("", "0")
        self._facts: dict[str, Any] = {}
        self._bar: tqdm[Any] | None = None
        self._started = self._last_line = clock()

    def __enter__(self) -> Self:
        self._started = self._last_line = self._clock()
        if self._enabled and self._stream.isatty():
            self._bar = tqdm(
                desc=self.stage,
                total=self.total,
                initial=self.done,
                unit=f" {self.unit}",
                file=self._stream,
                dynamic_ncols=True,
                smoothing=0.1,
            )
        return self

    def update(self, n: int = 1, **postfix: Any) -> None:
        """Notes n more units done, and the values to show beside them (`loss=0.5, best=0.4`)."""
        self.done += n
        if self.total is not None and self.done > self.total:
            self.expect(self.done)
        self._facts.update(postfix)
        if self._bar is not None:
            if postfix:
                self._bar.set_postfix_str(_listed(self._facts), refresh=False)
            self._bar.update(n)
        elif self._enabled and self._clock() - self._last_line >= self._pause():
            self._write_line()

    def _pause(self) -> float:
        return min(max(_LEAST_SECONDS, _SHARE * (self._last_line - self._started)), _MOST_SECONDS)

    def expect(self, total: int | None) -> None:
        """The units in all as they are now known or estimated."""
        self.total = total
        if self._bar is not None:
            self._bar.total = total

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:  # who stops early has done all there is to do
            self.expect(self.done)
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        elif self._enabled:
            self._write_line("" if error is None else f"stopped by {type(error).__name__}")

    def line(self) -> str:
        """The facts as one plain line: stage, units done, rate, time left, latest values."""
        seconds = self._clock() - self._started
        rate = (self.done - self._initial) / seconds if seconds > 0 else 0.0
        parts = [self._count(), f"{rate:.3g} {self.unit}/s", f"{_clock_text(seconds)} gone"]
        if self.total is not None and rate > 0:
            parts.append(f"{_clock_text(max(self.total - self.done, 0) / rate)} left")
        return f"{self.stage}: " + ", ".join([*parts, *([_listed(self._facts)] if self._facts else [])])

    def _count(self) -> str:
        if not self.total:
            return f"{self.done} {self.unit}"
        return f"{self.done}/{self.total} {self.unit} ({self.done / self.total:.0%})"

    def _write_line(self, remark: str = "") -> None:
        self._last_line = self._clock()
        print(self.line() + (f", {remark}" if remark else ""), file=self._stream, flush=True)


def _clock_text(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _listed(facts: dict[str, Any]) -> str:
    shown = {name: f"{value:.4g}" if isinstance(value, float) else str(value) for name, value in facts.items()}
    return ", ".join(f"{name}={value}" for name, value in shown.items())
