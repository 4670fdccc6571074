"""Charts are made of what a log has."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from world_models.report.figures import curves

ANYTHING = st.none() | st.booleans() | st.text(max_size=3) | st.floats() | st.integers(-100, 100)


def test_a_line_leaves_out_what_the_log_lacks() -> None:
    log = [{"epoch": 1, "kl": 3.0}, {"epoch": 2}, {"epoch": 3, "kl": None}, {"epoch": 4, "kl": float("nan")}]

    assert curves.line(log, "epoch", "kl", "KL") == curves.Line("KL", (1.0,), (3.0,))
    assert curves.line(log, "epoch", "recon", "error") is None


@given(st.lists(st.dictionaries(st.sampled_from(["epoch", "kl", "std"]), ANYTHING)))
def test_a_line_has_only_finite_numbers_whatever_the_log_holds(log: list[dict[str, Any]]) -> None:
    made = curves.line(log, "epoch", "kl", "KL", "std")

    if made is not None:
        assert len(made.x) == len(made.y) > 0
        assert len(made.band) in (0, len(made.x))
        assert all(math.isfinite(value) for value in (*made.x, *made.y, *made.band))


def test_each_stage_has_its_charts_and_an_empty_log_has_none() -> None:
    vae = [{"epoch": 1, "train_loss": 9.0, "test_loss": 8.0, "recon": 7.0, "kl": 1.0, "active_latents": 20}]
    mdrnn = [{"epoch": 1, "train_loss": 1.0, "gmm": 3.0, "bce": 0.1, "mse": 0.2}]

    assert [chart.name for chart in curves.vae_charts(vae)] == [
        "vae_loss",
        "vae_reconstruction",
        "vae_kl",
        "vae_active_latents",
    ]
    assert [chart.name for chart in curves.mdrnn_charts(mdrnn)] == [
        "mdrnn_loss",
        "mdrnn_gmm",
        "mdrnn_bce",
        "mdrnn_mse",
    ]
    assert curves.vae_charts([]) == curves.mdrnn_charts([]) == []
    assert curves.ctrl_charts([], curves.reference_of("CarRacing-v3")) == []


def test_training_stands_beside_held_out_only_where_data_was_held_out() -> None:
    log = [{"epoch": 1, "train_loss": 4.0, "test_loss": None, "train_gmm": 3.0, "gmm": 3.0}]
    split = [{"epoch": 1, "train_loss": 4.0, "test_loss": 5.0, "train_gmm": 3.0, "gmm": 3.5}]

    labels = [[each.label for each in chart.lines] for chart in curves.mdrnn_charts(log)]
    split_labels = [[each.label for each in chart.lines] for chart in curves.mdrnn_charts(split)]

    assert labels == [["training"], ["training"]]
    assert split_labels == [["training", "held out"], ["training", "held out"]]


def test_the_controllers_curve_stands_beside_the_reference_over_episodes() -> None:
    log = [{"generation": g, "episodes": 64 * g, "mean": 10.0 * g} for g in (1, 2, 3)]

    chart = next(c for c in curves.ctrl_charts(log, curves.reference_of("CarRacing-v3")) if c.name == "ctrl_reference")

    assert chart.log_x
    assert chart.lines[0].x == (64.0, 128.0, 192.0)
    assert chart.lines[-1].muted


@pytest.mark.parametrize(
    ("env_name", "first", "last"),
    [("CarRacing-v3", (-60, 0), (880, 900)), ("VizdoomTakeCover-v1", (300, 310), (890, 900))],
)
def test_the_reference_is_the_papers_log_at_1024_episodes_a_generation(env_name, first, last) -> None:
    reference = curves.reference_of(env_name)

    assert reference is not None and 30 <= len(reference.x) <= 60
    assert list(reference.x) == sorted(reference.x)
    assert reference.x[0] == 1024 and reference.x[-1] == 1800 * 1024
    assert first[0] < reference.y[0] < first[1] and last[0] < reference.y[-1] < last[1]


def test_other_environments_have_no_reference() -> None:
    assert curves.reference_of("CartPole-v1") is None


def test_rounds_stand_beside_each_other_and_one_without_evaluation_is_left_out() -> None:
    logs = [[{"env_steps": 10, "eval_mean": 5.0}], [{"env_steps": 10}], [{"env_steps": 7, "eval_mean": 9.0}]]

    (chart,) = curves.rounds_chart(logs)

    assert [(each.label, each.y) for each in chart.lines] == [("round 1", (5.0,)), ("round 3", (9.0,))]
    assert curves.rounds_chart([[], []]) == []
