"""Charts are drawn as PNGs that stand on a light and on a dark page."""

from __future__ import annotations

import io

import numpy as np
import pytest
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
    "bars": plots.Bars("b", "KL", "latent", tuple("0123"), (4.0, 3.0, 2.0, 1.0), first_muted=2),
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


def test_bars_from_the_first_muted_one_on_are_grey() -> None:
    bars, theme = KINDS["bars"], plots.LIGHT
    assert {rgb(theme.lines[0]), rgb(theme.muted)} <= colours(drawn(bars))
    whole = plots.Bars("b", "KL", "latent", ("0",), (1.0,))
    assert rgb(theme.muted) not in colours(drawn(whole))


def test_a_logarithmic_chart_with_a_point_at_zero_is_drawn_on_a_plain_axis() -> None:
    chart = plots.Chart("c", "Return", "episodes", (plots.Line("this run", (0.0, 5.0), (1.0, 2.0)),), log_x=True)

    assert plots.draw(chart).startswith(b"\x89PNG")
