"""C: how it learned to act, beside the published run where there is one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from world_models.report import page
from world_models.report.figures import curves
from world_models.report.run import Run
from world_models.report.sections.common import curves_or_note, duration, last, most, named


def ctrl_section(run: Run, folder: Path) -> page.Section:
    """C: its curves, beside the published run where the environment is the same."""
    log = run.logs["ctrl"]
    reference = curves.reference_of(run.env_name or "")
    pieces = [_facts(log), curves_or_note(folder, curves.ctrl_charts(log, reference), "C")]
    if reference is not None and log:
        pieces.append(
            page.note(
                "The grey line is the training log that the paper's authors published: 64 candidates of 16 "
                "episodes a generation. It is there for scale: settings and episode lengths differ."
            )
        )
    return page.Section(
        "c", "C: how it learned to act", "Evolution searches C's weights; higher is better.", tuple(pieces)
    )


def _facts(log: Sequence[curves.LogLine]) -> str:
    values = named(
        {
            "generations": last(log, "generation"),
            "episodes": last(log, "episodes"),
            "steps": last(log, "env_steps"),
            "best return on other seeds": most(log, "eval_mean"),
        }
    )
    seconds = last(log, "seconds")
    return page.facts(values if seconds is None else values | {"time": duration(seconds)})
