"""How far evolution is in its budgets, and so how long it still takes."""

from __future__ import annotations

import logging
from dataclasses import dataclass

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Spent:
    """What evolution has come to: generations, simulator steps, seconds."""

    generations: int
    env_steps: int
    seconds: float


@dataclass(frozen=True)
class Budget:
    """Budgets of which the first that is used up ends evolution; None (of seconds, 0): no such budget."""

    max_generations: int | None = None
    max_env_steps: int | None = None
    max_seconds: float = 0.0

    def say(self, target: float) -> None:
        """Where there is none of them, the log says that only `target`, a mean return, ends evolution."""
        if not (self.max_generations or self.max_env_steps or self.max_seconds):
            _LOG.info(
                "C: no budget is set (--ctrl_generations, or --set ctrl.max_env_steps or ctrl.max_seconds): it evolves "
                "until a mean return of %g is reached, or Ctrl-C; the best so far is kept",
                target,
            )

    def say_over(self, reached: bool) -> None:
        """Why evolution ends: its target is `reached`, or a budget is used up."""
        _LOG.info("C: %s", "the target is reached" if reached else "a budget is used up")

    def expected_generations(self, spent: Spent) -> int | None:
        """How many generations it comes to at this pace; None where no budget tells, or nothing is spent yet."""
        pairs = (
            (spent.generations, self.max_generations),
            (spent.env_steps, self.max_env_steps),
            (spent.seconds, self.max_seconds),
        )
        share = max((used / limit for used, limit in pairs if limit), default=0.0)
        return max(spent.generations, round(spent.generations / share)) if share > 0 else None
