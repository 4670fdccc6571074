"""`write_report`: a run's folder -> a folder of pictures and one page that needs no other file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from world_models.report import page
from world_models.report.episode import FilmedEpisode
from world_models.report.run import Run, read_run
from world_models.report.sections.control import ctrl_section
from world_models.report.sections.data import data_section
from world_models.report.sections.memory import mdrnn_section
from world_models.report.sections.result import result_section
from world_models.report.sections.setup import setup_section
from world_models.report.sections.vision import vae_section


def write_report(
    logdir: str | os.PathLike[str],
    data_dir: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    summary: Mapping[str, Any] | None = None,
    episode: FilmedEpisode | None = None,
    episode_about: str = "",
) -> Path:
    """Writes the report of a run: index.html, whole in itself, and its pictures and video as files beside it.

    Stages that are missing, or still training, leave a sentence in their place.

    Args:
        logdir: The run's folder, of which any of vae/, mdrnn/, ctrl/ may be missing.
        data_dir: Rollouts to tell of and to show V and M on; without them they are shown on the episode.
        out: The report's folder; `<logdir>/report` by default.
        summary: Figures of the evaluation (`trained` and `random` with mean, std, episodes, returns and seeds,
            `backend`, `seconds` by stage), each optional; by default those of `<logdir>/summary.json` and
            `<logdir>/evaluation.json` (what `evaluate --json` prints), where there are any.
        episode: An episode that the trained agent drove, for the video.
        episode_about: A sentence on which episode it is, or on why there is none.

    Returns:
        The path of index.html.

    Raises:
        CheckpointError: `logdir` holds no stage of a run, or a checkpoint that cannot be used.
        DataError: `data_dir` has no rollout or a broken one, or a file of scores or settings is no JSON.
    """
    run = read_run(logdir, data_dir, summary, episode)
    folder = Path(out) if out is not None else run.logdir / "report"
    folder.mkdir(parents=True, exist_ok=True)
    parts = [
        result_section(run, folder, episode_about),
        vae_section(run, folder),
        mdrnn_section(run, folder),
        ctrl_section(run, folder),
        data_section(run, folder),
        setup_section(run),
    ]
    html = page.page(_title(run), run.logdir.resolve().name, parts, "Written by world-models. Ha & Schmidhuber, 2018.")
    target = folder / "index.html"
    temporary = folder / ".index.html.part"
    temporary.write_text(html, encoding="utf-8")
    os.replace(temporary, target)
    return target


def _title(run: Run) -> str:
    return f"World model of {run.env_name}" if run.env_name else "World model"
