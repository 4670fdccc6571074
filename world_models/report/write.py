"""`write_report`: a run's folder -> a folder of pictures and one page that needs no other file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from world_models.report import page, sections
from world_models.report.run import Run, read_run
from world_models.types import UInt8Array


def write_report(
    logdir: str | os.PathLike[str],
    data_dir: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] | None = None,
    summary: Mapping[str, Any] | None = None,
    episode_frames: UInt8Array | None = None,
    reconstructions: UInt8Array | None = None,
    episode_about: str = "",
) -> Path:
    """Writes the report of a run: index.html, whole in itself, and its pictures and video as files beside it.

    Stages that are missing, or still training, leave a sentence in their place.

    Args:
        logdir: The run's folder, of which any of vae/, mdrnn/, ctrl/ may be missing.
        data_dir: Rollouts to show V and M on; None leaves reconstructions and dream out.
        out: The report's folder; `<logdir>/report` by default.
        summary: Figures of the evaluation (`trained.mean`, `trained.std`, `trained.episodes`, `random.mean`,
            `backend`, `seconds` by stage), each optional; by default those of
            `<logdir>/summary.json`, where there is one.
        episode_frames: Native frames (T, H, W, 3) uint8 of one episode, for the video.
        reconstructions: V's picture (T, h, w, 3) uint8 of each; made here where it is None and V is there.
        episode_about: A sentence on which episode it is, for the caption.

    Returns:
        The path of index.html.

    Raises:
        CheckpointError: `logdir` holds no stage of a run, or a checkpoint that cannot be used.
        DataError: `data_dir` has no rollout or a broken one, or the frames are not frames.
    """
    run = read_run(logdir, data_dir, summary)
    folder = Path(out) if out is not None else run.logdir / "report"
    folder.mkdir(parents=True, exist_ok=True)
    parts = [
        sections.result_section(run, folder, episode_frames, reconstructions, episode_about),
        sections.vae_section(run, folder),
        sections.mdrnn_section(run, folder),
        sections.ctrl_section(run, folder),
    ]
    html = page.page(_title(run), str(run.logdir), parts, "Written by world-models. Ha & Schmidhuber, 2018.")
    target = folder / "index.html"
    temporary = folder / ".index.html.part"
    temporary.write_text(html, encoding="utf-8")
    os.replace(temporary, target)
    return target


def _title(run: Run) -> str:
    return f"World model of {run.env_name}" if run.env_name else "World model"
