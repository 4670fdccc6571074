"""The sections of the page: the result, V, M, C. Each says what its pictures show, or what is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from world_models.envs.frames import resize_frames
from world_models.envs.registry import env_spec
from world_models.errors import CheckpointError, DataError, EnvironmentNameError, MissingDependencyError
from world_models.report import curves, page, pictures, video
from world_models.report.dream import dream_beside, reconstruct
from world_models.report.run import Run
from world_models.types import FRAME_SIZE, UInt8Array

_STAGES = {"collect": "collect", "vae": "V", "mdrnn": "M", "rnn": "M", "ctrl": "C"}


def result_section(
    run: Run, folder: Path, frames: UInt8Array | None, reconstructions: UInt8Array | None, about: str = ""
) -> page.Section:
    """The scores, the video of an episode (and a sentence about it), and what each stage took."""
    pieces = [*_scores(run.summary), _episode(run, folder, frames, reconstructions, about), *_times(run.summary)]
    return page.Section("result", "Result", "How the trained agent does where it never trained.", tuple(pieces))


def _scores(summary: Mapping[str, Any]) -> list[str]:
    trained, random = _part(summary, "trained"), _part(summary, "random")
    if "mean" not in trained and "mean" not in random:
        return [page.note("Not evaluated yet: this report knows of no scores (summary.json).")]
    shown = [
        (name, _score(part), f"{_text(part['episodes'])} episodes" if "episodes" in part else "")
        for name, part in (("trained agent", trained), ("random policy", random))
        if "mean" in part
    ]
    if "mean" in trained and "mean" in random:
        shown.append(("difference", f"{trained['mean'] - random['mean']:+.0f}", "trained less random"))
    if "backend" in summary:
        shown.append(("scored on", _text(summary["backend"]), "mean return ± standard deviation"))
    return [page.cards(shown)]


def _score(part: Mapping[str, Any]) -> str:
    spread = f" ± {part['std']:.0f}" if isinstance(part.get("std"), int | float) else ""
    return f"{part['mean']:.0f}{spread}"


def _times(summary: Mapping[str, Any]) -> list[str]:
    seconds = {name: value for name, value in _part(summary, "seconds").items() if isinstance(value, int | float)}
    if not seconds:
        return []
    rows = [(_STAGES.get(name, name), duration(value)) for name, value in seconds.items()]
    return [page.table(("stage", "time"), rows)]


def _episode(run: Run, folder: Path, frames: UInt8Array | None, reconstructions: UInt8Array | None, about: str) -> str:
    if frames is None or not len(frames):
        return page.note("No episode was recorded for this report.")
    seen = frames[:, : _rows(run, frames)]
    if reconstructions is None and run.vae is not None:
        reconstructions = reconstruct(run.vae, resize_frames(seen))
    tracks = [seen] if reconstructions is None else [seen, reconstructions]
    try:
        path = video.write_video(folder / "episode.mp4", video.side_by_side(tracks))
    except MissingDependencyError as error:
        return page.note(f"No video: {error}")
    third = len(frames) // 3  # past the opening, where the camera may still be moving in
    poster = next(video.side_by_side([track[third : third + 1] for track in tracks]))
    beside = "" if reconstructions is None else " Left, what the agent is shown; right, what V keeps of it."
    return page.video(
        path.read_bytes(),
        pictures.png(Image.fromarray(poster)),
        " ".join(filter(None, (f"One episode, {len(frames)} frames.", about, beside.strip()))),
    )


def _rows(run: Run, frames: UInt8Array) -> int | None:
    """How many rows of these native frames the agent sees; None for all, as for frames of the stored size."""
    if run.env_name is None or frames.shape[1:3] == (FRAME_SIZE, FRAME_SIZE):
        return None
    try:
        return env_spec(run.env_name).rows
    except EnvironmentNameError:  # an id that only the training process had registered
        return None


def vae_section(run: Run, folder: Path) -> page.Section:
    """V: originals over reconstructions, and its curves."""
    pieces = [_vae_facts(run.logs["vae"])]
    if run.vae is None:
        pieces.append(page.note("V is not trained in this run yet."))
    elif run.rollout is None:
        pieces.append(page.note("No reconstructions: the report was made without a data folder."))
    else:
        rows = pictures.evenly(len(run.rollout), 10)
        originals = run.rollout.observations[rows]
        made = pictures.png(pictures.reconstruction_sheet(originals, reconstruct(run.vae, originals)))
        caption = f"{len(rows)} frames of {run.rollout_file}, evenly spread, and what V's latents keep of each."
        pieces.append(_wide(folder, "reconstructions", made, "Original frames over reconstructions", caption))
    pieces.append(_charts(folder, curves.vae_charts(run.logs["vae"]), "V"))
    return page.Section("v", "V: what it sees", "V squeezes each frame into a few numbers, the latents.", tuple(pieces))


def mdrnn_section(run: Run, folder: Path) -> page.Section:
    """M: a dream beside reality, and its curves."""
    pieces = [_mdrnn_facts(run.logs["mdrnn"])]
    if run.vae is None or run.mdrnn is None:
        missing = "M" if run.mdrnn is None else "V"
        pieces.append(page.note(f"No dream: {missing} is not trained in this run yet."))
    elif run.rollout is None:
        pieces.append(page.note("No dream: the report was made without a data folder."))
    else:
        pieces.append(_dream(run, folder))
    pieces.append(_charts(folder, curves.mdrnn_charts(run.logs["mdrnn"]), "M"))
    return page.Section("m", "M: what it expects", "M predicts the next latents from what was done.", tuple(pieces))


def _dream(run: Run, folder: Path) -> str:
    assert run.vae is not None and run.mdrnn is not None and run.rollout is not None
    try:
        dream = dream_beside(run.vae, run.mdrnn, run.rollout)
    except (CheckpointError, DataError) as error:
        return page.note(f"No dream: {error}")
    made = pictures.png(pictures.dream_sheet(dream))
    caption = (
        f"M watched {dream.warm_up} frames of {run.rollout_file}, then went on without looking: it was told "
        "the actions alone, and each of its guesses (temperature 1) was its next input."
    )
    return _wide(folder, "dream", made, "Reality over the dream, step by step", caption)


def ctrl_section(run: Run, folder: Path) -> page.Section:
    """C: its curves, beside the published run where the environment is the same."""
    log = run.logs["ctrl"]
    reference = curves.carracing_reference() if (run.env_name or "").startswith("CarRacing") else None
    pieces = [_ctrl_facts(log), _charts(folder, curves.ctrl_charts(log, reference), "C")]
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


def _charts(folder: Path, charts: Sequence[curves.Chart], who: str) -> str:
    if not charts:
        return page.note(f"{who} has no learning curve in this run yet.")
    figures = []
    for chart in charts:
        light = curves.draw(chart, curves.LIGHT)
        (folder / f"{chart.name}.png").write_bytes(light)
        figures.append(page.picture(light, f"{who}: {chart.title}", dark=curves.draw(chart, curves.DARK)))
    return page.grid(figures)


def _wide(folder: Path, name: str, made: bytes, alt: str, caption: str) -> str:
    (folder / f"{name}.png").write_bytes(made)
    return page.picture(made, alt, caption, wide=True)


def _vae_facts(log: Sequence[curves.LogLine]) -> str:
    return page.facts(
        _named(
            {
                "epochs": _last(log, "epoch"),
                "best held-out loss": _least(log, "test_loss"),
                "latents in use": _last(log, "active_latents"),
            }
        )
    )


def _mdrnn_facts(log: Sequence[curves.LogLine]) -> str:
    return page.facts(_named({"epochs": _last(log, "epoch"), "best held-out loss": _least(log, "test_loss")}))


def _ctrl_facts(log: Sequence[curves.LogLine]) -> str:
    values = _named(
        {
            "generations": _last(log, "generation"),
            "episodes": _last(log, "episodes"),
            "steps": _last(log, "env_steps"),
            "best return on other seeds": _most(log, "eval_mean"),
        }
    )
    seconds = _last(log, "seconds")
    return page.facts(values if seconds is None else values | {"time": duration(seconds)})


def _named(values: Mapping[str, float | None]) -> dict[str, str]:
    return {name: _text(value) for name, value in values.items() if value is not None}


def _values(log: Sequence[curves.LogLine], key: str) -> list[float]:
    found = curves.line([{"row": row, key: entry.get(key)} for row, entry in enumerate(log)], "row", key, key)
    return list(found.y) if found else []


def _last(log: Sequence[curves.LogLine], key: str) -> float | None:
    return next(iter(_values(log, key)[::-1]), None)


def _least(log: Sequence[curves.LogLine], key: str) -> float | None:
    return min(_values(log, key), default=None)


def _most(log: Sequence[curves.LogLine], key: str) -> float | None:
    return max(_values(log, key), default=None)


def _text(value: Any) -> str:
    if isinstance(value, int | float):
        return f"{value:,.0f}" if float(value).is_integer() or abs(value) >= 1000 else f"{value:.4g}"
    return str(value)


def _part(summary: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    part = summary.get(key)
    return part if isinstance(part, Mapping) else {}


def duration(seconds: float) -> str:
    """Seconds in words: 42 s, 3 min 20 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
