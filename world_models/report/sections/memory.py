"""M: dreams beside reality, and its curves."""

from __future__ import annotations

from pathlib import Path

from world_models.errors import CheckpointError, DataError
from world_models.report import curves, page, pictures
from world_models.report.dream import dream_beside
from world_models.report.run import Run
from world_models.report.sections.common import curves_or_note, last, least, named, wide

_TEMPERATURES = (0.5, 1.0, 1.3)


def mdrnn_section(run: Run, folder: Path) -> page.Section:
    """M: dreams beside reality, and its curves."""
    log = run.logs["mdrnn"]
    pieces = [page.facts(named({"epochs": last(log, "epoch"), "best held-out loss": least(log, "test_loss")}))]
    if run.vae is None or run.mdrnn is None:
        missing = "M" if run.mdrnn is None else "V"
        pieces.append(page.note(f"No dream: {missing} is not trained in this run yet."))
    elif run.rollout is None:
        pieces.append(page.note("No dream: the report was made without a data folder or an episode."))
    else:
        pieces.append(_dreams(run, folder))
    pieces.append(curves_or_note(folder, curves.mdrnn_charts(log), "M"))
    return page.Section("m", "M: what it expects", "M predicts the next latents from what was done.", tuple(pieces))


def _dreams(run: Run, folder: Path) -> str:
    assert run.vae is not None and run.mdrnn is not None and run.rollout is not None
    try:
        dreams = [dream_beside(run.vae, run.mdrnn, run.rollout, temperature=heat) for heat in _TEMPERATURES]
    except (CheckpointError, DataError) as error:
        return page.note(f"No dream: {error}")
    caption = (
        f"M watched {dreams[0].warm_up} frames of {run.rollout_file}, then went on without looking: it was told "
        "the actions alone, and each of its guesses was its next input. A higher temperature makes it less certain."
    )
    made = pictures.dream_sheet(dreams)
    return wide(folder, "dream", made, "Reality over dreams, step by step", caption)
