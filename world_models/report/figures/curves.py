"""Learning curves: what the charts of a run show, from the lines of each stage's log.jsonl.

Keys or values that a log lacks are left out, and a chart with nothing in it is not made.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from importlib import resources
from typing import Any

from world_models.report.figures.plots import Chart, Line
from world_models.report.figures.restarts import LogLine, number, restarts


def line(
    log: Iterable[LogLine], x_key: str, y_key: str, label: str, band_key: str | None = None, muted: bool = False
) -> Line | None:
    """The line of `y_key` over `x_key`; log lines without both are left out, None when no line has them."""
    points = []
    for entry in log:
        x, y = number(entry.get(x_key)), number(entry.get(y_key))
        if x is not None and y is not None:
            points.append((x, y, (number(entry.get(band_key)) if band_key else None) or 0.0))
    if not points:
        return None
    xs, ys, bands = zip(*points, strict=True)
    return Line(label, xs, ys, bands if any(bands) else (), muted)


def _chart(name: str, title: str, x_label: str, lines: Iterable[Line | None], good: str, **more: Any) -> list[Chart]:
    kept = tuple(each for each in lines if each is not None)
    return [Chart(name, title, x_label, kept, good=good, **more)] if kept else []


def _by_epoch(log: Sequence[LogLine], key: str, name: str, title: str, good: str) -> list[Chart]:
    """`train_<key>` beside `<key>`, which is measured on held-out data where there is some."""
    held_out = line(log, "epoch", "test_loss", "held out")
    watched = held_out if key == "loss" else line(log, "epoch", key, "held out" if held_out else "training")
    trained = line(log, "epoch", f"train_{key}", "training") if held_out or not watched else None
    return _chart(name, title, "epoch", [trained, watched], good, marks=tuple(epoch - 0.5 for epoch in restarts(log)))


def vae_charts(log: Sequence[LogLine]) -> list[Chart]:
    """V's charts: the loss, its two parts, and how many latents are in use."""
    return [
        *_by_epoch(log, "loss", "vae_loss", "Loss of V, a frame", _FALLS),
        *_by_epoch(log, "recon", "vae_reconstruction", "Squared error, summed over a frame", _FALLS),
        *_by_epoch(
            log, "kl", "vae_kl", "KL to the standard normal, nats a frame",
            "Good: it settles well above 0. At 0 the latents would say nothing of the frame.",
        ),
        *_by_epoch(
            log, "active_latents", "vae_active_latents", "Latents in use",
            "Good: it stays high. A latent out of use tells nothing of a frame.",
        ),
    ]  # fmt: skip


_FALLS = "Good: both lines fall and level out, held out close to training. Held out rising is overfitting."


def mdrnn_charts(log: Sequence[LogLine]) -> list[Chart]:
    """M's charts: the loss and its three parts (next latent, terminal, reward)."""
    return [
        *_by_epoch(log, "loss", "mdrnn_loss", "Loss of M, a step", _FALLS),
        *_by_epoch(log, "gmm", "mdrnn_gmm", "Next latent: negative log-likelihood, nats", _FALLS),
        *_by_epoch(
            log, "bce", "mdrnn_bce", "Terminal: cross-entropy, nats",
            "Good: close to 0. Where ends are rare it is small from the start.",
        ),
        *_by_epoch(
            log, "mse", "mdrnn_mse", "Reward: squared error",
            "Good: far below the rewards' variance, held out close to training.",
        ),
    ]  # fmt: skip


def ctrl_charts(log: Sequence[LogLine], reference: Line | None = None, dreamed: bool = False) -> list[Chart]:
    """C's charts: returns by generation, returns by episodes beside a reference, the search's step size.

    Args:
        log: Lines with "generation", "episodes" and "mean", "best", "std", "eval_mean", "eval_std", "sigma".
            "episodes" and "seconds" count from the start of training.
        reference: Another run's returns over episodes, drawn in grey; None leaves it out.
        dreamed: Whether the episodes were M's dreams: the words then say so.
    """
    of = "Dreamed return" if dreamed else "Return"
    charts = _chart(
        "ctrl_returns",
        f"{of} by generation",
        "generation",
        [
            line(log, "generation", "mean", "population, mean ± std", "std"),
            line(log, "generation", "eval_mean", "distribution's mean, other seeds", "eval_std"),
            line(log, "generation", "best", "best candidate"),
        ],
        "Good: all rise. The mean on other seeds keeps up with the best candidate, which is partly luck.",
    )
    ours = [
        line(log, "episodes", "mean", "this run, population's mean"),
        line(log, "episodes", "eval_mean", "this run, other seeds"),
    ]
    if any(ours):
        charts += _chart(
            "ctrl_reference",
            f"{of} by episodes {'dreamed' if dreamed else 'driven'}",
            "episodes (log scale)",
            [*ours, reference],
            "Good: high and far to the left, much return for few episodes.",
            log_x=True,
        )
    return charts + _chart(
        "ctrl_sigma",
        "Step size of the search (sigma)",
        "generation",
        [line(log, "generation", "sigma", "sigma")],
        "Good: it shrinks as the search closes in. A jump is a new phase.",
    )


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
    good = "Good: each round begins where the one before ended, or near it, and ends higher."
    return _chart("rounds", "Return on other seeds, round by round", "simulator steps of the round", lines, good)
