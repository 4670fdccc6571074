"""Where a loss jumps because training went on with something else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from world_models.report.figures.curves import mdrnn_charts
from world_models.report.figures.restarts import restarts

FALLING = [{"epoch": e, "lr": 0.001, "train_loss": 10.0 - 0.1 * e, "test_loss": 11.0 - 0.1 * e} for e in range(1, 9)]
SHIPPED = Path(__file__).parents[2] / "checkpoints"


def changed(place: int, **values: float) -> list[dict[str, float]]:
    """The falling log with some values from an epoch on."""
    return [{**entry, **(values if entry["epoch"] >= place else {})} for entry in FALLING]


def test_a_training_in_one_go_has_none() -> None:
    assert restarts(FALLING) == restarts(FALLING[:1]) == restarts([]) == {}


def test_the_log_itself_says_other_data() -> None:
    log = [{**entry, **({"other_data": True} if entry["epoch"] == 4 else {})} for entry in FALLING]
    assert restarts(log) == {4: "other data"}


def test_other_held_out_rollouts_have_another_share_of_terminals() -> None:
    log = [{**entry, "terminal_rate": 0.003 + 1e-15 * entry["epoch"]} for entry in FALLING]
    assert restarts(log) == {}, "the same sum in another order"
    log[5:] = [{**entry, "terminal_rate": 0.002} for entry in log[5:]]
    assert restarts(log) == {6: "other data"}


def test_a_learning_rate_that_rises_is_another_setting_and_one_that_falls_a_schedule() -> None:
    assert restarts(changed(3, lr=0.0001)) == {}
    assert restarts(changed(3, lr=0.002)) == {3: "other settings"}


def test_both_losses_rising_at_once_by_far_is_a_jump() -> None:
    rises = {"train_loss": 10.5, "test_loss": 11.5}
    assert restarts([*FALLING, {"epoch": 9, **rises}]) == {9: "its log does not say with what"}
    assert restarts([*FALLING, {"epoch": 9, **rises, "train_loss": 9.1}]) == {}, "held out alone is overfitting"
    assert restarts([*FALLING[:4], {"epoch": 5, **rises}]) == {}, "too early to know what is usual"


@pytest.mark.parametrize(("agent", "epochs"), [("takecover", [17, 31, 37]), ("carracing", [34])])
def test_the_shipped_agents_ms_were_taken_up_again_and_every_chart_marks_it(agent: str, epochs: list[int]) -> None:
    log = [json.loads(line) for line in (SHIPPED / agent / "mdrnn" / "log.jsonl").read_text("utf-8").splitlines()]
    assert list(restarts(log)) == epochs
    assert all(chart.marks == tuple(epoch - 0.5 for epoch in epochs) for chart in mdrnn_charts(log))
