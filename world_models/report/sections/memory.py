"""M: dreams beside reality, how far they can be trusted, and its curves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from world_models.errors import CheckpointError, DataError
from world_models.models.mdrnn import MDRNN
from world_models.report import page
from world_models.report.figures import curves, pictures
from world_models.report.figures.dream import dream_beside
from world_models.report.figures.foresight import Watched, foresight_charts, reward_calibration, see_ahead, watch
from world_models.report.run import Run
from world_models.report.sections.common import charts, curves_or_note, held_out_loss, last, named, restarts_note, wide

_TEMPERATURES = (0.5, 1.0, 1.3)


def mdrnn_section(run: Run, folder: Path) -> page.Section:
    """M: dreams beside reality, how far they can be trusted, and its curves."""
    log = run.logs["mdrnn"]
    numbers = {
        "epochs": last(log, "epoch"),
        "held-out loss": held_out_loss(run, "mdrnn"),
        "terminals told from other steps (AUC)": last(log, "terminal_auc"),
        "calibration error of their chance": last(log, "terminal_ece"),
    }
    pieces = [page.facts(named(numbers))]
    if run.vae is None or run.mdrnn is None:
        missing = "M" if run.mdrnn is None else "V"
        pieces.append(page.note(f"No dream: {missing} is not trained in this run yet."))
    elif run.rollout is None:
        pieces.append(page.note("No dream: the report was made without a data folder or an episode."))
    else:
        pieces += _dreams(run, folder)
    pieces += [curves_or_note(folder, curves.mdrnn_charts(log), "M"), restarts_note(log)]
    return page.Section("m", "M: what it expects", "M predicts the next latents from what was done.", tuple(pieces))


def _dreams(run: Run, folder: Path) -> list[str]:
    assert run.vae is not None and run.mdrnn is not None and run.rollout is not None
    try:
        dreams = [dream_beside(run.vae, run.mdrnn, run.rollout, temperature=heat) for heat in _TEMPERATURES]
    except (CheckpointError, DataError) as error:
        return [page.note(f"No dream: {error}")]
    caption = (
        f"M watched {dreams[0].warm_up} frames of {run.rollout_file}, then went on without looking: it was told "
        "the actions alone, and each of its guesses was its next input. A higher temperature makes it less certain. "
        "Good: the dream keeps to what happened for a while, and stays a picture of the game after that."
    )
    made = pictures.dream_sheet(dreams)
    sheet = wide(folder, "dream", made, "Reality over dreams, step by step", caption)
    rollouts = run.data.last if run.data is not None else (run.rollout,)
    return [sheet, _foresight(run.mdrnn, watch(run.vae, rollouts), folder)]


def _foresight(mdrnn: MDRNN, watched: Sequence[Watched], folder: Path) -> str:
    longest = max(len(each.mu) for each in watched)
    warm_up = max(1, min(20, longest // 3))
    horizon = see_ahead(mdrnn, watched, warm_up=warm_up, horizon=max(1, min(40, longest - warm_up)))
    made = foresight_charts(horizon, reward_calibration(mdrnn, watched))
    if horizon is None:
        told = "No rollout is long enough to tell how far ahead M sees."
    else:
        rollouts = f"{len(watched)} rollout{'s' if len(watched) > 1 else ''}"
        told = (
            f"From {horizon.starts} places in {rollouts} M dreamed {len(horizon.error)} steps on, {horizon.dreams} "
            "times each, told what was done. An error of 1 is no better than knowing the latents' means; the "
            f"likelihood falls sooner, as {horizon.dreams} dreams seldom meet exactly what came."
        )
    return page.note(told) + charts(folder, made, "M")
