"""C: how it learned to act, beside the published run where there is one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from world_models.report import page
from world_models.report.figures import curves
from world_models.report.figures.restarts import LogLine
from world_models.report.run import Run
from world_models.report.sections.common import curves_or_note, duration, last, most, named, text


def ctrl_section(run: Run, folder: Path) -> page.Section:
    """C: its curves, beside the published run where the environment is the same."""
    log = run.logs["ctrl"]
    reference = curves.reference_of(run.env_name or "")
    pieces = [_dreamed(run)] if run.dreamed else []
    pieces += [_facts(log, run.dreamed), curves_or_note(folder, curves.ctrl_charts(log, reference, run.dreamed), "C")]
    if reference is not None and log:
        pieces.append(_reference_note(run.dreamed))
    lead = "A search over C's weights; higher is better."
    return page.Section("c", "C: how it learned to act", lead, tuple(pieces))


def _dreamed(run: Run) -> str:
    heat = run.facts["ctrl"].get("dream_temperature")
    at = f" at temperature {text(heat)}" if heat is not None else ""
    return page.note(
        f"C learned in M's dream{at}: every return of this section is dreamed. What it earns in the environment is the "
        "result at the top."
    )


def _reference_note(dreamed: bool) -> str:
    theirs = " Theirs is dreamed as well, by another M." if dreamed else ""
    return page.note(
        "The grey line is the training log that the paper's authors published: 64 candidates of 16 episodes a "
        f"generation.{theirs} It is there for scale: settings and episode lengths differ."
    )


def _facts(log: Sequence[LogLine], dreamed: bool) -> str:
    kind = "dreamed " if dreamed else ""
    values = named(
        {
            "generations": last(log, "generation"),
            f"{kind}episodes": last(log, "episodes"),
            f"{kind}steps": last(log, "env_steps"),
            f"best {kind}return on other seeds": most(log, "eval_mean"),
        }
    )
    seconds = last(log, "seconds")
    return page.facts(values if seconds is None else values | {"time": duration(seconds)})
