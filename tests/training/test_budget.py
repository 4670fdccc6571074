"""Evolution ends with the first budget that is used up, and says how long that is still."""

from __future__ import annotations

import pytest

from world_models.training.budget import Budget, Spent


@pytest.mark.parametrize(
    ("budget", "over"),
    [
        (Budget(900.0), False),
        (Budget(100.0), True),
        (Budget(900.0, max_generations=10), True),
        (Budget(900.0, max_generations=11, max_env_steps=5001, max_seconds=61.0), False),
        (Budget(900.0, max_env_steps=5000), True),
        (Budget(900.0, max_seconds=60.0), True),
        (Budget(900.0, max_seconds=0.0), False),
        (Budget(900.0, max_generations=0), True),
    ],
)
def test_the_target_or_any_budget_ends_it(budget: Budget, over: bool) -> None:
    assert budget.over(Spent(100.0, 10, 5000, 60.0)) is over


@pytest.mark.parametrize(
    ("budget", "generations"),
    [
        (Budget(900.0), None),
        (Budget(900.0, max_generations=40), 40),
        (Budget(900.0, max_env_steps=20_000), 40),
        (Budget(900.0, max_generations=100, max_env_steps=10_000, max_seconds=600.0), 20),
        (Budget(900.0, max_env_steps=10), 10),
    ],
)
def test_the_tightest_budget_tells_how_many_generations_it_comes_to(budget: Budget, generations: int | None) -> None:
    assert budget.expected_generations(Spent(100.0, 10, 5000, 60.0)) == generations


def test_nothing_is_expected_before_anything_is_spent() -> None:
    assert Budget(900.0, max_env_steps=100).expected_generations(Spent(float("-inf"), 0, 0, 0.0)) is None
