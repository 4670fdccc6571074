"""Where nothing varies a sentence stands in a plot's place."""

from __future__ import annotations

import pytest

from world_models.report.figures.constant import constant_sentence
from world_models.report.figures.plots import Bars, Chart, Histogram, Line


def chart(*lines: tuple[str, tuple[float, ...]]) -> Chart:
    return Chart("c", "Loss", "epoch", tuple(Line(name, tuple(map(float, range(len(y)))), y) for name, y in lines))


@pytest.mark.parametrize(
    ("plot", "sentence"),
    [
        (chart(("held out", (32.0, 32.0))), "Loss: 32 throughout."),
        (chart(("training", (9.0,)), ("held out", (8.5,))), "Loss: training 9; held out 8.5."),
        (chart(("a", (0.99996, 0.99998))), "Loss: about 0.99997 throughout (it varies by 2e-05)."),
        (chart(("a", (0.0, 0.0))), "Loss: 0 throughout."),
        (Histogram("h", "Returns", "return", (("agent", (5.0, 5.0)),)), "Returns: 5 throughout."),
        (Bars("b", "Actions", "action", ("0", "1"), (0.5, 0.5)), "Actions: 0.5 throughout."),
    ],
)
def test_what_does_not_vary_is_said(plot: Chart | Histogram | Bars, sentence: str) -> None:
    assert constant_sentence(plot) == sentence


@pytest.mark.parametrize(
    "plot",
    [
        chart(("a", (1.0, 1.01))),
        chart(("a", (1.0, 1.0)), ("b", (1.0, 2.0))),
        chart(("a", (0.0, 1e-9))),
        chart(),
        Histogram("h", "Returns", "return", (("agent", (5.0, 5.0)), ("random", (1.0, 2.0)))),
    ],
)
def test_what_varies_is_drawn(plot: Chart | Histogram) -> None:
    assert constant_sentence(plot) is None
