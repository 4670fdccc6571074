"""Learning curves of runs of the preset `carracing` beside the reference's: by episodes, steps and core-hours.

    python -m benchmarks.curve --out docs/images/carracing-curve.png docs/runs/carracing-seed-*

A RUN is a folder as in docs/runs: `cost.json` says how many cores ran it, and for each round how many minutes of the
run were gone when its C began and how many rollouts and steps were collected for it; `round_<n>/ctrl.jsonl` is C's log.
So collection, V and M are in every number. The reference's log counts C alone (its 10,000 rollouts, V and M are not in
it): it is shown as better than it was. One JSON line a run: when it first had each of LEVELS, and the cheapest point at
which the reference had it.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.ablations import ENV
from world_models.errors import ConfigError, WorldModelsError
from world_models.report.figures.curves import line, reference_rows
from world_models.report.figures.plots import Chart, draw
from world_models.utils.run_dir import read_jsonl
from world_models.utils.scores import json_object

REFERENCE_CORES = 64
LEVELS = (800, 850, 880, 900)
AXES = {"episodes": "episodes", "env_steps": "simulator steps", "core_hours": "core-hours"}

Point = Mapping[str, float]
"""One re-evaluation: "score", "episodes", "env_steps", "core_hours"."""


def run_points(folder: Path) -> list[Point]:
    """The re-evaluations of a run, round after round, with all that it had cost by then.

    Raises:
        ConfigError: There is no cost.json, or one without a field, or a round has no log.
    """
    cost = json_object(folder / "cost.json", "write it as those in docs/runs")
    try:
        return _points(folder, cost)
    except KeyError as error:
        raise ConfigError(
            f"{folder / 'cost.json'} is absent or has no {error}: write it as those in docs/runs"
        ) from error


def _points(folder: Path, cost: Mapping[str, Any]) -> list[Point]:
    points: list[Point] = []
    episodes = steps = 0
    for number, begun in enumerate(cost["rounds"], 1):
        source = folder / f"round_{number}/ctrl.jsonl"
        log = read_jsonl(source)
        if not log:
            raise ConfigError(f"{source} is absent or empty: it is C's log of a round that cost.json names")
        episodes, steps = episodes + begun["collected_episodes"], steps + begun["collected_steps"]
        for entry in log:
            if "eval_mean" in entry:
                points.append(
                    {
                        "score": entry["eval_mean"],
                        "episodes": episodes + entry["episodes"],
                        "env_steps": steps + entry["env_steps"],
                        "core_hours": (begun["minutes"] / 60 + entry["seconds"] / 3600) * cost["cores"],
                    }
                )
        episodes, steps = episodes + log[-1]["episodes"], steps + log[-1]["env_steps"]
    return points


def reference_points(column: str) -> list[Point]:
    """The reference's log with `column` ("return_mean" or "eval_mean") as the score."""
    return [
        {
            "score": row[column],
            "episodes": row["episodes"],
            "env_steps": row["env_steps"],
            "core_hours": row["seconds"] / 3600 * REFERENCE_CORES,
        }
        for row in reference_rows(ENV)
        if column in row
    ]


def charts(runs: Mapping[str, Sequence[Point]]) -> list[Chart]:
    """One chart an axis, all runs and the reference's re-evaluations and population in it."""
    population = reference_points("return_mean")
    theirs = {
        "Ha & Schmidhuber, re-evaluated": reference_points("eval_mean"),
        "Ha & Schmidhuber, population": population,
    }
    lines = {**runs, **theirs}
    return [
        Chart(
            f"carracing-curve-{axis.replace('_', '-')}",
            f"CarRacing: score by {words}",
            "log scale",
            tuple(
                drawn
                for label, points in lines.items()
                if (drawn := line(points, axis, "score", label, muted=points is population))
            ),
            log_x=True,
        )
        for axis, words in AXES.items()
    ]


def side_by_side(pictured: Sequence[Chart]) -> Image.Image:
    """The charts from left to right on a white ground, which is readable on a dark page too."""
    pngs = [Image.open(io.BytesIO(draw(chart, beside=len(AXES)))) for chart in pictured]
    whole = Image.new("RGB", (sum(png.width for png in pngs), max(png.height for png in pngs)), "white")
    left = 0
    for png in pngs:
        whole.paste(png, (left, 0), png)
        left += png.width
    return whole


def first_at(points: Sequence[Point], level: float) -> Point | None:
    """The first point whose score is at least `level`."""
    return next((point for point in points if point["score"] >= level), None)


def _costs(ours: float, reference: float) -> dict[str, float]:
    return {"ours": round(ours, 2), "reference": round(reference, 2), "ratio": round(reference / ours, 1)}


def comparison(points: Sequence[Point]) -> dict[str, Any]:
    """For each of LEVELS what it cost, what it cost the reference, and how many times as much that is."""
    result: dict[str, Any] = {}
    for level in LEVELS:
        ours, theirs = first_at(points, level), first_at(reference_points("eval_mean"), level)
        if ours and theirs:
            result[str(level)] = {axis: _costs(ours[axis], theirs[axis]) for axis in AXES}
    return result


def main(argv: Sequence[str] | None = None) -> int:
    """Draw the charts and print the comparison."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.curve", description="Learning curves of whole runs.")
    parser.add_argument("runs", nargs="+", type=Path, help="folders as in docs/runs, each with a cost.json")
    parser.add_argument("--out", type=Path, required=True, help="the picture, a .png")
    arguments = parser.parse_args(argv)
    try:
        runs = {folder.name: run_points(folder) for folder in arguments.runs}
    except WorldModelsError as error:
        parser.error(str(error))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    side_by_side(charts(runs)).save(arguments.out)
    for name, points in runs.items():
        print(json.dumps({"run": name, "first_at": comparison(points)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
