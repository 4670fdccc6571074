"""When evolution has done enough, and how far it is by then."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Spent:
    """What evolution has come to: its best return, generations, simulator steps, seconds."""

    best_return: float
    generations: int
    env_steps: int
    seconds: float


@dataclass(frozen=True)
class Budget:
    """A target return and budgets, of which the first that is reached ends evolution; None or 0: no such budget."""

    target_return: float
    max_generations: int | None = None
    max_env_steps: int | None = None
    max_seconds: float = 0.0

    def over(self, spent: Spent) -> bool:
        """The target or a budget is reached."""
        return spent.best_return >= self.target_return or any(used >= limit for used, limit in self._used(spent))

    def expected_generations(self, spent: Spent) -> int | None:
        """How many generations it comes to at this pace; None where no budget tells, or nothing is spent yet."""
        share = max((used / limit for used, limit in self._used(spent)), default=0.0)
        return max(spent.generations, round(spent.generations / share)) if share > 0 else None

    def _used(self, spent: Spent) -> list[tuple[float, float]]:
        pairs = (
            (spent.generations, self.max_generations),
            (spent.env_steps, self.max_env_steps),
            (spent.seconds, self.max_seconds or None),
        )
        return [(used, limit) for used, limit in pairs if limit is not None]
