"""Learning curves: what the charts of a run show, and how matplotlib draws them.

A chart is first a plain value (`Chart`), made from the lines of a stage's log.jsonl, then a PNG. Keys or
values that a log lacks are left out, and a chart with nothing in it is not made.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

LogLine = Mapping[str, Any]
_FEW_POINTS = 15  # up to here each point is marked


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
    """A chart: its file name without ending, its words, its lines."""

    name: str
    title: str
    x_label: str
    lines: tuple[Line, ...] = field(default=())
    log_x: bool = False


@dataclass(frozen=True)
class Theme:
    """Colours of a chart on a transparent ground."""

    ink: str
    muted: str
    grid: str
    lines: tuple[str, ...]


LIGHT = Theme(ink="#23262b", muted="#8a8f98", grid="#dfe1e5", lines=("#1f6fb2", "#c65d16", "#2f855a"))
DARK = Theme(ink="#e4e6ea", muted="#8d939d", grid="#383c43", lines=("#6bb1ec", "#f0a265", "#74c69d"))


def _number(value: Any) -> float | None:
    """A finite number, or None for everything else that a log may hold."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def line(log: Iterable[LogLine], x_key: str, y_key: str, label: str, band_key: str | None = None) -> Line | None:
    """The line of `y_key` over `x_key`; log lines without both are left out, None when no line has them."""
    points = []
    for entry in log:
        x, y = _number(entry.get(x_key)), _number(entry.get(y_key))
        if x is not None and y is not None:
            points.append((x, y, (_number(entry.get(band_key)) if band_key else None) or 0.0))
    if not points:
        return None
    xs, ys, bands = zip(*points, strict=True)
    return Line(label, xs, ys, bands if any(bands) else ())


def _chart(name: str, title: str, x_label: str, lines: Iterable[Line | None], log_x: bool = False) -> list[Chart]:
    kept = tuple(each for each in lines if each is not None)
    return [Chart(name, title, x_label, kept, log_x)] if kept else []


def _by_epoch(log: Sequence[LogLine], key: str, name: str, title: str) -> list[Chart]:
    """`train_<key>` beside `<key>`, which is measured on held-out data where there is some."""
    held_out = line(log, "epoch", "test_loss", "held out")
    watched = held_out if key == "loss" else line(log, "epoch", key, "held out" if held_out else "training")
    trained = line(log, "epoch", f"train_{key}", "training") if held_out or not watched else None
    return _chart(name, title, "epoch", [trained, watched])


def vae_charts(log: Sequence[LogLine]) -> list[Chart]:
    """V's charts: the loss, its two parts, and how many latents are in use."""
    return [
        *_by_epoch(log, "loss", "vae_loss", "Loss of V, a frame"),
        *_by_epoch(log, "recon", "vae_reconstruction", "Squared error, summed over a frame"),
        *_by_epoch(log, "kl", "vae_kl", "KL to the standard normal, nats a frame"),
        *_by_epoch(log, "active_latents", "vae_active_latents", "Latents in use"),
    ]


def mdrnn_charts(log: Sequence[LogLine]) -> list[Chart]:
    """M's charts: the loss and its three parts (next latent, terminal, reward)."""
    return [
        *_by_epoch(log, "loss", "mdrnn_loss", "Loss of M, a step"),
        *_by_epoch(log, "gmm", "mdrnn_gmm", "Next latent: negative log-likelihood, nats"),
        *_by_epoch(log, "bce", "mdrnn_bce", "Terminal: cross-entropy, nats"),
        *_by_epoch(log, "mse", "mdrnn_mse", "Reward: squared error"),
    ]


def ctrl_charts(log: Sequence[LogLine], reference: Line | None = None) -> list[Chart]:
    """C's charts: returns by generation, returns by episodes beside a reference, the search's step size.

    Args:
        log: Lines with "generation", "episodes" and "mean", "best", "std", "eval_mean", "eval_std", "sigma".
            "episodes" and "seconds" count from the start of training.
        reference: Another run's returns over episodes, drawn in grey; None leaves it out.
    """
    population = line(log, "generation", "mean", "population, mean ± std", "std")
    held_out = line(log, "generation", "eval_mean", "distribution's mean, other seeds", "eval_std")
    charts = _chart(
        "ctrl_returns",
        "Return by generation",
        "generation",
        [population, held_out, line(log, "generation", "best", "best candidate")],
    )
    ours = [
        line(log, "episodes", "mean", "this run, population's mean"),
        line(log, "episodes", "eval_mean", "this run, other seeds"),
    ]
    if any(ours):
        charts += _chart(
            "ctrl_reference",
            "Return by episodes driven",
            "episodes (log scale)",
            [*ours, reference],
            log_x=True,
        )
    sigma = [line(log, "generation", "sigma", "sigma")]
    return charts + _chart("ctrl_sigma", "Step size of the search (sigma)", "generation", sigma)


def carracing_reference() -> Line:
    """The published log of the paper's own CarRacing controller: its population's mean return."""
    source = resources.files("world_models.report").joinpath("reference_carracing.csv")
    rows = csv.DictReader(row for row in source.read_text("utf-8").splitlines() if not row.startswith("#"))
    points = [(float(row["episodes"]), float(row["return_mean"])) for row in rows]
    xs, ys = zip(*points, strict=True)
    return Line("Ha & Schmidhuber, population's mean", xs, ys, muted=True)


def draw(chart: Chart, theme: Theme = LIGHT) -> bytes:
    """The chart as a PNG with a transparent ground, 736 pixels wide."""
    figure = Figure(figsize=(4.6, 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for index, each in enumerate(chart.lines):
        _draw_line(axes, each, theme.muted if each.muted else theme.lines[index % len(theme.lines)])
    _dress(axes, chart, theme)
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=160, transparent=True, metadata={"Software": None})
    return png.getvalue()


def _draw_line(axes: Axes, each: Line, colour: str) -> None:
    marker = "o" if len(each.x) <= _FEW_POINTS and not each.muted else None
    style = (0, (4, 2)) if each.muted else "solid"
    axes.plot(each.x, each.y, color=colour, label=each.label, linewidth=1.7, marker=marker, ms=3.5, linestyle=style)
    if each.band:
        low = [y - half for y, half in zip(each.y, each.band, strict=True)]
        high = [y + half for y, half in zip(each.y, each.band, strict=True)]
        axes.fill_between(each.x, low, high, color=colour, alpha=0.16, linewidth=0)


def _dress(axes: Axes, chart: Chart, theme: Theme) -> None:
    if chart.log_x and all(min(each.x) > 0 for each in chart.lines):
        axes.set_xscale("log")
    elif chart.x_label in ("epoch", "generation"):
        axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, steps=[1, 2, 5, 10]))
    axes.set_title(chart.title, color=theme.ink, fontsize=10, loc="left")
    axes.set_xlabel(chart.x_label, color=theme.ink, fontsize=8.5)
    axes.tick_params(colors=theme.ink, labelsize=8, length=0, which="both")
    axes.grid(color=theme.grid, linewidth=0.8)
    axes.set_axisbelow(True)
    for name, spine in axes.spines.items():
        spine.set_visible(name == "bottom")
        spine.set_color(theme.grid)
    if len(chart.lines) > 1:
        _legend(axes, chart, theme)


def _legend(axes: Axes, chart: Chart, theme: Theme) -> None:
    # Below the axes, where it covers no line.
    figure = axes.get_figure(root=True)
    assert figure is not None
    short = sum(len(each.label) for each in chart.lines) < 50
    figure.legend(
        loc="outside lower left",
        ncols=len(chart.lines) if short else 1,
        frameon=False,
        fontsize=8,
        labelcolor=theme.ink,
    )
