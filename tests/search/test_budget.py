"""Evolution says how long it still takes, from the budget that is used up first."""

from __future__ import annotations

import pytest

from world_models.search.budget import Budget, Spent


@pytest.mark.parametrize(
    ("budget", "generations"),
    [
        (Budget(), None),
        (Budget(max_generations=40), 40),
        (Budget(max_env_steps=20_000), 40),
        (Budget(max_generations=100, max_env_steps=10_000, max_seconds=600.0), 20),
        (Budget(max_env_steps=10), 10),
    ],
)
def test_the_tightest_budget_tells_how_many_generations_it_comes_to(budget: Budget, generations: int | None) -> None:
    assert budget.expected_generations(Spent(10, 5000, 60.0)) == generations


def test_nothing_is_expected_before_anything_is_spent() -> None:
    assert Budget(max_env_steps=100).expected_generations(Spent(0, 0, 0.0)) is None
