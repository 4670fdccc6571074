"""Plots in which nothing varies: a sentence says more than a flat line, whose axis makes rounding look large."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from world_models.report.figures.plots import Chart, Histogram, Plot

_VARIES = 1e-3  # of the largest value


def constant_sentence(plot: Plot) -> str | None:
    """What a plot would show, as a sentence; None where something varies and the plot is worth drawing."""
    groups = _groups(plot)
    if not groups or not all(_is_constant(values) for _, values in groups):
        return None
    told = [f"{name} {_told(values)}".strip() for name, values in groups]
    return f"{plot.title}: {'; '.join(told)}."


def _groups(plot: Plot) -> list[tuple[str, Sequence[float]]]:
    """Named groups of values; one group needs no name."""
    if isinstance(plot, Chart):
        groups: list[tuple[str, Sequence[float]]] = [(line.label, line.y) for line in plot.lines]
    elif isinstance(plot, Histogram):
        groups = list(plot.groups)
    else:
        groups = [("", plot.heights)]
    return groups if len(groups) > 1 else [("", values) for _, values in groups]


def _is_constant(values: Sequence[float]) -> bool:
    low, high = min(values), max(values)
    return high - low <= _VARIES * max(abs(low), abs(high))


def _told(values: Sequence[float]) -> str:
    """Such as "8.5", "32 throughout", "about 1 throughout (it varies by 3e-05)"."""
    middle, spread = f"{float(np.median(values)):,.5g}", max(values) - min(values)
    if len(values) == 1:
        return middle
    return f"{middle} throughout" if not spread else f"about {middle} throughout (it varies by {spread:.1g})"
