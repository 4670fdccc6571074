"""What the sections share: charts and sheets as files and in the page, numbers as words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from world_models.report import page
from world_models.report.figures import curves, pictures, plots
from world_models.report.figures.constant import constant_sentence
from world_models.report.figures.restarts import LogLine, number, restarts
from world_models.report.run import Run


def charts(folder: Path, made: Sequence[plots.Plot], who: str) -> str:
    """Charts side by side, light and dark, one alone over the whole width; the light ones as files too.

    Under each stands what good looks like. One in which nothing varies is a sentence.
    """
    told = {plot.name: constant_sentence(plot) for plot in made}
    drawn = [plot for plot in made if told[plot.name] is None]
    beside = 1 if len(drawn) == 1 else 3 if len(drawn) % 3 == 0 else 2
    figures = []
    for plot in drawn:
        light, dark = _both(plot, beside)
        (folder / f"{plot.name}.png").write_bytes(light)
        narrow = _both(plot, 2) if beside == 1 else None
        figures.append(page.picture(light, f"{who}: {plot.title}", plot.good, dark=dark, narrow=narrow))
    sentences = "".join(page.note(sentence) for sentence in told.values() if sentence)
    return (page.grid(figures, beside) if figures else "") + sentences


def _both(plot: plots.Plot, beside: int) -> tuple[bytes, bytes]:
    return plots.draw(plot, plots.LIGHT, beside), plots.draw(plot, plots.DARK, beside)


def curves_or_note(folder: Path, made: Sequence[plots.Plot], who: str) -> str:
    """The charts of a stage's log, or that there is none."""
    return charts(folder, made, who) if made else page.note(f"{who} has no learning curve in this run yet.")


def restarts_note(log: Sequence[LogLine]) -> str:
    """Where a loss may jump: training was taken up again with other data; "" where it was not."""
    found = restarts(log)
    if not found:
        return ""
    told = ", ".join(f"epoch {epoch} ({why})" for epoch, why in found.items())
    return page.note(
        f"Training was taken up again at {told}: the dotted lines. Losses before and after are of other rollouts or "
        "other goals, and do not compare."
    )


def wide(folder: Path, name: str, made: Image.Image, alt: str, caption: str) -> str:
    """A sheet of frames, as a file and over the page's whole width."""
    data = pictures.png(made)
    (folder / f"{name}.png").write_bytes(data)
    return page.picture(data, alt, caption, wide=True)


def named(values: Mapping[str, float | None]) -> dict[str, str]:
    """The values that there are, as words."""
    return {name: text(value) for name, value in values.items() if value is not None}


def _values(log: Sequence[LogLine], key: str) -> list[float]:
    found = curves.line([{"row": row, key: entry.get(key)} for row, entry in enumerate(log)], "row", key, key)
    return list(found.y) if found else []


def last(log: Sequence[LogLine], key: str) -> float | None:
    """The last number of that name in a log."""
    return next(iter(_values(log, key)[::-1]), None)


def least(log: Sequence[LogLine], key: str) -> float | None:
    """The least number of that name in a log."""
    return min(_values(log, key), default=None)


def held_out_loss(run: Run, stage: str) -> float | None:
    """That of the weights that are used; of a run that stores none the log's least."""
    stored = number(run.facts.get(stage, {}).get("test_loss"))
    return least(run.logs[stage], "test_loss") if stored is None else stored


def most(log: Sequence[LogLine], key: str) -> float | None:
    """The greatest number of that name in a log."""
    return max(_values(log, key), default=None)


def text(value: Any) -> str:
    """A value as a reader wants it: thousands apart, four digits, yes and no."""
    if value is None or value == "" or value == []:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        if 0 < abs(value) < 1e-3:
            return f"{value:.3g}"
        return f"{value:,.0f}" if float(value).is_integer() or abs(value) >= 1000 else f"{value:.4g}"
    if isinstance(value, list | tuple):
        return ", ".join(text(each) for each in value)
    return str(value)


def part(summary: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """A mapping in a mapping; {} where it is none."""
    found = summary.get(key)
    return found if isinstance(found, Mapping) else {}


def duration(seconds: float) -> str:
    """Seconds in words: 42 s, 3 min 20 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
