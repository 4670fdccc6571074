"""Charts are drawn as PNGs that stand on a light and on a dark page."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from world_models.report.figures import curves, plots

ONE_POINT = plots.Line("this run", (64.0,), (1.0,), (2.0,))
REFERENCE = curves.reference_of("CarRacing-v3")
assert REFERENCE is not None
KINDS = {
    "lines": plots.Chart("c", "Return", "episodes", (ONE_POINT, REFERENCE), log_x=True),
    "one_value": plots.Chart("c", "Latents", "epoch", (plots.Line("a", (1.0, 2.0), (32.0, 32.0)),)),
    "histogram": plots.Histogram("h", "Returns", "return", (("agent", (1.0, 2.0, 2.0)), ("random", (-3.0,)))),
    "equal_values": plots.Histogram("h", "Returns", "return", (("agent", (5.0, 5.0)),), shares=True),
    "bars": plots.Bars("b", "KL", "latent", tuple("0123"), (4.0, 3.0, 2.0, 1.0)),
}


def drawn(plot: plots.Plot, theme: plots.Theme = plots.LIGHT, beside: int = 2) -> Image.Image:
    return Image.open(io.BytesIO(plots.draw(plot, theme, beside)))


def colours(picture: Image.Image) -> set[tuple[int, int, int]]:
    pixels = np.asarray(picture.convert("RGBA")).reshape(-1, 4)
    return {tuple(int(v) for v in pixel[:3]) for pixel in np.unique(pixels[pixels[:, 3] == 255], axis=0)}


def rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


@pytest.mark.parametrize("theme", [plots.LIGHT, plots.DARK], ids=["light", "dark"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_chart_is_a_png_with_a_transparent_ground_in_its_themes_ink(kind: str, theme: plots.Theme) -> None:
    picture = drawn(KINDS[kind], theme)

    assert picture.format == "PNG" and picture.width == 736
    assert picture.convert("RGBA").getpixel((0, 0))[3] == 0  # type: ignore[index]
    assert rgb(theme.ink) in colours(picture)


@pytest.mark.parametrize("beside", plots.SIZES)
def test_charts_that_stand_beside_fewer_are_wider(beside: int) -> None:
    assert drawn(KINDS["bars"], beside=beside).width == round(160 * plots.SIZES[beside][0])


def test_a_mark_is_a_line_in_the_quiet_colour() -> None:
    chart = plots.Chart("c", "Loss", "epoch", (plots.Line("a", (1.0, 2.0, 3.0), (3.0, 2.0, 1.0)),))
    marked = replace(chart, marks=(2.5,))

    assert rgb(plots.LIGHT.muted) in colours(drawn(marked)) and rgb(plots.LIGHT.muted) not in colours(drawn(chart))


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.99995, "0.99995"), (2.5e-6, "2.5e-06"), (1000, "1,000"), (250_000, "250,000"), (2.5e6, "2.5M"), (0, "0")],
)
def test_a_number_on_an_axis_is_whole(value: float, text: str) -> None:
    assert plots.tick_text(value) == text


@pytest.mark.parametrize("values", [(0.99991, 0.99999), (3e6, 9e6), (1e-9, 4e-9)])
def test_no_axis_has_a_factor_or_an_offset_at_its_end(values: tuple[float, float]) -> None:
    axes = Figure().add_subplot()
    axes.plot(values, values)
    plots.write_numbers_out(axes, plots.Chart("c", "Loss", "steps"))
    axes.get_figure().draw_without_rendering()  # type: ignore[union-attr]

    assert axes.xaxis.get_offset_text().get_text() == axes.yaxis.get_offset_text().get_text() == ""
    assert len({label.get_text() for label in axes.yaxis.get_ticklabels()}) > 2


def test_a_logarithmic_chart_with_a_point_at_zero_is_drawn_on_a_plain_axis() -> None:
    chart = plots.Chart("c", "Return", "episodes", (plots.Line("this run", (0.0, 5.0), (1.0, 2.0)),), log_x=True)

    assert plots.draw(chart).startswith(b"\x89PNG")
