"""Learning curves: what the charts of a run show, from the lines of each stage's log.jsonl.

Keys or values that a log lacks are left out, and a chart with nothing in it is not made.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from typing import Any

from world_models.report.figures.plots import Chart, Line

LogLine = Mapping[str, Any]


def _number(value: Any) -> float | None:
    """A finite number, or None for everything else that a log may hold."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def line(
    log: Iterable[LogLine], x_key: str, y_key: str, label: str, band_key: str | None = None, muted: bool = False
) -> Line | None:
    """The line of `y_key` over `x_key`; log lines without both are left out, None when no line has them."""
    points = []
    for entry in log:
        x, y = _number(entry.get(x_key)), _number(entry.get(y_key))
        if x is not None and y is not None:
            points.append((x, y, (_number(entry.get(band_key)) if band_key else None) or 0.0))
    if not points:
        return None
    xs, ys, bands = zip(*points, strict=True)
    return Line(label, xs, ys, bands if any(bands) else (), muted)


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


_REFERENCES = {"CarRacing": "reference_carracing.csv", "TakeCover": "reference_takecover.csv"}


def reference_of(env_name: str) -> Line | None:
    """The published log of the paper's own controller on this environment, its population's mean return; else None."""
    return line(reference_rows(env_name), "episodes", "return_mean", "Ha & Schmidhuber, population's mean", muted=True)


def reference_rows(env_name: str) -> list[dict[str, float]]:
    """That log's rows, each without what it has no value for; [] for other environments."""
    for game, file_name in _REFERENCES.items():
        if game in env_name:
            source = resources.files("world_models.report").joinpath(file_name)
            rows = csv.DictReader(row for row in source.read_text("utf-8").splitlines() if not row.startswith("#"))
            return [{name: float(value) for name, value in row.items() if value} for row in rows]
    return []


def rounds_chart(logs: Sequence[Sequence[LogLine]]) -> list[Chart]:
    """The rounds of an iterative run beside each other: re-evaluated returns over each round's own steps."""
    lines = [line(log, "env_steps", "eval_mean", f"round {number}") for number, log in enumerate(logs, 1)]
    return _chart("rounds", "Return on other seeds, round by round", "simulator steps of the round", lines)
