"""How far evolution is in its budgets, and so how long it still takes."""

from __future__ import annotations

from dataclasses import dataclass


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

    def expected_generations(self, spent: Spent) -> int | None:
        """How many generations it comes to at this pace; None where no budget tells, or nothing is spent yet."""
        pairs = (
            (spent.generations, self.max_generations),
            (spent.env_steps, self.max_env_steps),
            (spent.seconds, self.max_seconds),
        )
        share = max((used / limit for used, limit in pairs if limit), default=0.0)
        return max(spent.generations, round(spent.generations / share)) if share > 0 else None
