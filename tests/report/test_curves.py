"""Charts are made of what a log has, and drawn as PNGs."""

from __future__ import annotations

import io
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from world_models.report import curves

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
    assert curves.ctrl_charts([], curves.carracing_reference()) == []


def test_training_stands_beside_held_out_only_where_data_was_held_out() -> None:
    log = [{"epoch": 1, "train_loss": 4.0, "test_loss": None, "train_gmm": 3.0, "gmm": 3.0}]
    split = [{"epoch": 1, "train_loss": 4.0, "test_loss": 5.0, "train_gmm": 3.0, "gmm": 3.5}]

    labels = [[each.label for each in chart.lines] for chart in curves.mdrnn_charts(log)]
    split_labels = [[each.label for each in chart.lines] for chart in curves.mdrnn_charts(split)]

    assert labels == [["training"], ["training"]]
    assert split_labels == [["training", "held out"], ["training", "held out"]]


def test_the_controllers_curve_stands_beside_the_reference_over_episodes() -> None:
    log = [{"generation": g, "episodes": 64 * g, "mean": 10.0 * g} for g in (1, 2, 3)]

    chart = next(c for c in curves.ctrl_charts(log, curves.carracing_reference()) if c.name == "ctrl_reference")

    assert chart.log_x
    assert chart.lines[0].x == (64.0, 128.0, 192.0)
    assert chart.lines[-1].muted


def test_the_reference_is_the_papers_log_at_1024_episodes_a_generation() -> None:
    reference = curves.carracing_reference()

    assert 30 <= len(reference.x) <= 60
    assert list(reference.x) == sorted(reference.x)
    assert reference.x[0] == 1024 and reference.x[-1] == 1800 * 1024
    assert reference.y[0] < 0 and 880 < reference.y[-1] < 900


@pytest.mark.parametrize("theme", [curves.LIGHT, curves.DARK], ids=["light", "dark"])
def test_a_chart_is_a_png_with_a_transparent_ground(theme: curves.Theme) -> None:
    one_point = curves.Line("this run", (64.0,), (1.0,), (2.0,))
    chart = curves.Chart("c", "Return", "episodes", (one_point, curves.carracing_reference()), log_x=True)

    picture = Image.open(io.BytesIO(curves.draw(chart, theme)))

    assert picture.format == "PNG"
    assert picture.width == 736
    assert picture.convert("RGBA").getpixel((0, 0))[3] == 0


def test_a_logarithmic_chart_with_a_point_at_zero_is_drawn_on_a_plain_axis() -> None:
    chart = curves.Chart("c", "Return", "episodes", (curves.Line("this run", (0.0, 5.0), (1.0, 2.0)),), log_x=True)

    assert curves.draw(chart).startswith(b"\x89PNG")
