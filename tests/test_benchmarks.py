"""What the benchmarks say of the rates that they were given; the figures themselves are `make bench`'s."""

import importlib
import json
import sys

import pytest

from benchmarks import run_all
from benchmarks.common import interleaved, rate_of, report


def test_cases_take_turns_after_a_warm_one():
    calls = []

    def case(name):
        return lambda: float(calls.append(name) or len(calls))

    rates = interleaved({"a": case("a"), "b": case("b")}, repeats=2)
    assert calls == ["a", "b"] * 3 and rates == {"a": [3.0, 5.0], "b": [4.0, 6.0]}


def test_a_rate_is_what_was_done_a_second(monkeypatch):
    clock = iter([10.0, 12.5])
    monkeypatch.setattr("benchmarks.common.time.perf_counter", lambda: next(clock))
    assert rate_of(lambda: 50.0) == 20.0


def test_ratios_are_taken_turn_by_turn_and_printed_as_one_json_line(capsys):
    record = report("x", "steps/s", {"ours": [2.0, 9.0, 4.0], "theirs": [4.0, 10.0, 4.0]}, {("ours", "theirs"): 0.8})
    assert record["ratios"] == {"ours / theirs": {"median": 0.9, "min": 0.5, "max": 1.0, "goal": 0.8}}
    assert record["rates"]["ours"] == {"median": 4.0, "min": 2.0, "max": 9.0} and record["repeats"] == 3
    assert json.loads(capsys.readouterr().out) == record


def test_the_page_has_every_ratio_and_says_which_goal_was_met(capsys):
    rates = {"ours": [2.0, 3.0, 4.0], "theirs": [4.0, 4.0, 4.0]}
    met = report("met", "steps/s", rates, {("ours", "theirs"): 0.7})
    missed = report("missed", "frames/s", rates, {("ours", "theirs"): 0.8})
    memory = {"benchmark": "memory", "passes": [500.0, 1600.2], "peak": 1600.2, "goal": 1500.0}
    page = run_all.page([met, missed, memory])
    assert "| met | ours / theirs | 0.75 | 0.50 to 1.00 | ≥ 0.7 | yes |" in page
    assert "| missed | ours / theirs | 0.75 | 0.50 to 1.00 | ≥ 0.8 | no |" in page
    assert "| memory | peak private memory, MB, by pass | 500, 1600 | | ≤ 1500 | no |" in page
    assert "| missed | theirs | 4 | 4 to 4 | frames/s |" in page


def test_an_unknown_benchmark_is_named(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["run_all", "rolout"])
    with pytest.raises(SystemExit, match="rolout: no such benchmark; there are view, rollout"):
        run_all.main()


@pytest.mark.parametrize("name", run_all.ALL)
def test_every_benchmark_can_be_started(name):
    pytest.importorskip("envpool", reason="EnvPool is the benchmarks' yardstick and optional")
    assert callable(importlib.import_module(f"benchmarks.{name}").main)
