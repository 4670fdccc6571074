"""Charts as plain values, and how matplotlib draws them: one style for all, in a light and a dark theme."""

from __future__ import annotations

import io
from dataclasses import dataclass, field

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

_FEW_POINTS = 15  # up to here each point is marked
SIZES = {1: (9.6, 2.9), 2: (4.6, 3.2), 3: (3.3, 2.9)}
"""Width and height in inches by how many charts stand side by side: the words are then of equal size on the page."""
_DPI = 160


@dataclass(frozen=True)
class Line:
    """One line of a chart: points (x, y), and where known the half width of a band around them."""

    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    band: tuple[float, ...] = ()
    muted: bool = False  # drawn in grey and dashed: something to compare with


@dataclass(frozen=True)
class Chart:
    """Lines over one axis: its file name without ending, its words, its lines.

    `marks` are places on the axis where something else begins; `good` says in a line what good looks like.
    """

    name: str
    title: str
    x_label: str
    lines: tuple[Line, ...] = field(default=())
    log_x: bool = False
    marks: tuple[float, ...] = ()
    good: str = ""


@dataclass(frozen=True)
class Histogram:
    """How often values fall where, a group of values in a colour; all groups share their bins.

    `shares` draws each group's share of its own values in place of counts, for groups of other sizes.
    """

    name: str
    title: str
    x_label: str
    groups: tuple[tuple[str, tuple[float, ...]], ...]
    bins: int = 24
    shares: bool = False
    good: str = ""


@dataclass(frozen=True)
class Bars:
    """One bar a name, in the order given."""

    name: str
    title: str
    x_label: str
    labels: tuple[str, ...]
    heights: tuple[float, ...]
    good: str = ""


Plot = Chart | Histogram | Bars


@dataclass(frozen=True)
class Theme:
    """Colours of a chart on a transparent ground."""

    ink: str
    muted: str
    grid: str
    lines: tuple[str, ...]


LIGHT = Theme(
    ink="#23262b", muted="#8a8f98", grid="#dfe1e5", lines=("#1f6fb2", "#c65d16", "#2f855a", "#8250b8", "#b23a6b")
)
DARK = Theme(
    ink="#e4e6ea", muted="#8d939d", grid="#383c43", lines=("#6bb1ec", "#f0a265", "#74c69d", "#b99af0", "#ee8fb5")
)


def draw(plot: Plot, theme: Theme = LIGHT, beside: int = 2) -> bytes:
    """The chart as a PNG with a transparent ground, 160 pixels an inch of `SIZES[beside]`."""
    figure = Figure(figsize=SIZES[beside], layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    if isinstance(plot, Chart):
        _draw_chart(axes, plot, theme)
    elif isinstance(plot, Histogram):
        _draw_histogram(axes, plot, theme)
    else:
        _draw_bars(axes, plot, theme)
    _dress(axes, plot, theme, beside)
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=_DPI, transparent=True, metadata={"Software": None})
    return png.getvalue()


def _draw_chart(axes: Axes, chart: Chart, theme: Theme) -> None:
    for index, each in enumerate(chart.lines):
        _draw_line(axes, each, theme.muted if each.muted else theme.lines[index % len(theme.lines)])
    for mark in chart.marks:
        axes.axvline(mark, color=theme.muted, linewidth=1.1, linestyle=(0, (1, 2)))
    if chart.log_x and all(min(each.x) > 0 for each in chart.lines):
        axes.set_xscale("log")
    elif chart.x_label in ("epoch", "generation"):
        axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, steps=[1, 2, 5, 10]))
    if all(float(y).is_integer() for each in chart.lines for y in each.y):
        axes.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))
    if len(chart.lines) > 1:
        _legend(axes, [each.label for each in chart.lines], theme)


def _draw_line(axes: Axes, each: Line, colour: str) -> None:
    marker = "o" if len(each.x) <= _FEW_POINTS and not each.muted else None
    style = (0, (4, 2)) if each.muted else "solid"
    axes.plot(each.x, each.y, color=colour, label=each.label, linewidth=1.7, marker=marker, ms=3.5, linestyle=style)
    if each.band:
        low = [y - half for y, half in zip(each.y, each.band, strict=True)]
        high = [y + half for y, half in zip(each.y, each.band, strict=True)]
        axes.fill_between(each.x, low, high, color=colour, alpha=0.16, linewidth=0)


def _draw_histogram(axes: Axes, plot: Histogram, theme: Theme) -> None:
    everything = np.concatenate([values for _, values in plot.groups])
    edges = np.histogram_bin_edges(everything, bins=plot.bins)
    for index, (label, values) in enumerate(plot.groups):
        weights = np.full(len(values), 1 / len(values)) if plot.shares else None
        axes.hist(
            values, bins=edges.tolist(), weights=weights, color=theme.lines[index % len(theme.lines)], alpha=0.75,
            label=label, rwidth=0.92,
        )  # fmt: skip
    if not plot.shares:
        axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    if len(plot.groups) > 1:
        _legend(axes, [label for label, _ in plot.groups], theme)


def _draw_bars(axes: Axes, plot: Bars, theme: Theme) -> None:
    axes.bar(range(len(plot.heights)), plot.heights, color=theme.lines[0], width=0.8)
    axes.set_xticks(range(len(plot.labels)), plot.labels)


def _dress(axes: Axes, plot: Plot, theme: Theme, beside: int) -> None:
    if isinstance(plot, Bars) and len(plot.labels) > (20 if beside == 2 else 40):
        axes.tick_params(axis="x", labelrotation=90)
    write_numbers_out(axes, plot)
    axes.set_title(plot.title, color=theme.ink, fontsize=10, loc="left")
    axes.set_xlabel(plot.x_label, color=theme.ink, fontsize=8.5)
    axes.tick_params(colors=theme.ink, labelsize=8, length=0, which="both")
    axes.grid(color=theme.grid, linewidth=0.8, axis="both" if isinstance(plot, Chart) else "y")
    axes.set_axisbelow(True)
    for name, spine in axes.spines.items():
        spine.set_visible(name == "bottom")
        spine.set_color(theme.grid)


def write_numbers_out(axes: Axes, plot: Plot) -> None:
    """Each tick has its whole number: a factor or an offset at the end of the axis is read by nobody."""
    whole = FuncFormatter(lambda value, _: tick_text(value))
    axes.yaxis.set_major_formatter(whole)
    if not isinstance(plot, Bars) and axes.get_xscale() == "linear":
        axes.xaxis.set_major_formatter(whole)


def tick_text(value: float) -> str:
    """A number on an axis."""
    if abs(value) >= 1e6:
        return f"{value / 1e6:g}M"
    return f"{value:,.0f}" if abs(value) >= 1e3 else f"{value:.5g}"


def _legend(axes: Axes, labels: list[str], theme: Theme) -> None:
    # Below the axes, where it covers no line.
    figure = axes.get_figure(root=True)
    assert figure is not None
    short = sum(map(len, labels)) < 50
    figure.legend(
        loc="outside lower left",
        ncols=len(labels) if short else 1,
        frameon=False,
        fontsize=8,
        labelcolor=theme.ink,
    )
