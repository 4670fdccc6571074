"""The result: scores, their spread over the tracks, an episode to watch, rounds, times."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from world_models.errors import MissingDependencyError
from world_models.report import page, video
from world_models.report.figures import pictures, plots
from world_models.report.figures.curves import rounds_chart
from world_models.report.figures.inner import InnerView, inner_views
from world_models.report.figures.panels import compose, panels_of
from world_models.report.run import Run
from world_models.report.sections.common import charts, duration, part, text
from world_models.types import UInt8Array

_STAGES = {"collect": "collect", "vae": "V", "mdrnn": "M", "rnn": "M", "ctrl": "C"}
_WHO = (("trained", "trained agent"), ("random", "random policy"))
# Table 2 of Ha & Schmidhuber (2018, NeurIPS), in ViZDoom's own game.
_PUBLISHED_RANDOM = {"TakeCover": {"mean": 210.0, "std": 108.0, "source": "published, Ha & Schmidhuber 2018"}}
_GOOD = "Good: one heap, far to the right. A tail to the left is episodes that failed."
_INSIDE = " What M expected is its one-step prediction of each moment. Good: it is what is there."
_POSTER = 1 / 3  # of the episode: past its opening, where the camera may still be moving in


def result_section(run: Run, folder: Path, about: str = "") -> page.Section:
    """The scores, the video of an episode (and a sentence about it), the rounds, and what each stage took."""
    scores = with_published_random(run.summary, run.env_name or "")
    pieces = [*_scores(scores), *_spread(scores, folder), _episode(run, folder, about)]
    pieces += [*_rounds(run, folder), *_times(run.summary)]
    return page.Section("result", "Result", "How the trained agent does where it never trained.", tuple(pieces))


def with_published_random(summary: Mapping[str, Any], env_name: str) -> Mapping[str, Any]:
    """The scores with a published random policy's, where none was scored and one is known."""
    known = next((score for game, score in _PUBLISHED_RANDOM.items() if game in env_name), None)
    return summary if known is None or part(summary, "random") else {**summary, "random": known}


def _scores(summary: Mapping[str, Any]) -> list[str]:
    trained, random = part(summary, "trained"), part(summary, "random")
    if "mean" not in trained and "mean" not in random:
        return [page.note("Not evaluated yet: this report knows of no scores (summary.json).")]
    shown = [(name, _score(scores), _source(scores)) for key, name in _WHO if "mean" in (scores := part(summary, key))]
    if "mean" in trained and "mean" in random:
        shown.append(("difference", f"{trained['mean'] - random['mean']:+.0f}", "trained less random"))
    if "backend" in summary:
        shown.append(("scored on", text(summary["backend"]), "mean return ± standard deviation"))
    good = "Good: far above a policy that acts at random, and as even as the task allows."
    return [page.cards(shown), page.caption(good)]


def _source(scores: Mapping[str, Any]) -> str:
    """How many episodes, and who scored them where it was not the evaluation."""
    episodes = f"{text(scores['episodes'])} episodes" if "episodes" in scores else ""
    return ", ".join(filter(None, (episodes, str(scores.get("source", "")))))


def _score(scores: Mapping[str, Any]) -> str:
    deviation = f" ± {scores['std']:.0f}" if isinstance(scores.get("std"), int | float) else ""
    return f"{scores['mean']:.0f}{deviation}"


def _spread(summary: Mapping[str, Any], folder: Path) -> list[str]:
    """The histogram over tracks, and each track's return."""
    groups = tuple((name, tuple(map(float, part(summary, key).get("returns", ())))) for key, name in _WHO)
    kept = tuple(group for group in groups if group[1])
    if not kept:
        return []
    title = "Returns of the scored episodes" + ("" if len(kept) == 1 else ": agent and random policy")
    pieces = [charts(folder, [plots.Histogram("scores", title, "return", kept, good=_GOOD)], "Score")]
    trained = part(summary, "trained")
    if trained.get("seeds") and trained.get("returns"):
        ranked = sorted(zip(trained["returns"], trained["seeds"], strict=False))
        (low, low_seed), (high, high_seed) = ranked[0], ranked[-1]
        words = f"The agent's worst episode: seed {low_seed}, {low:.0f}. The best: seed {high_seed}, {high:.0f}."
        pieces.append(page.note(words))
    return pieces


def _episode(run: Run, folder: Path, about: str) -> str:
    episode = run.episode
    if episode is None:
        return page.note(about or "No episode was recorded for this report.")
    at, posters = int(len(episode.pictures) * _POSTER), []

    def moments() -> Iterator[UInt8Array]:
        for number, picture in enumerate(_moments(run)):
            if number == at:
                posters.append(picture)
            yield picture

    try:
        path = video.write_video(folder / "episode.mp4", moments(), episode.fps)
    except MissingDependencyError as error:
        return page.note(f"No video: {error}")
    inside = _INSIDE if run.vae and run.mdrnn else ""
    words = f"One episode, {len(episode.pictures)} frames. {about}".strip()
    return page.video(path.read_bytes(), pictures.png(Image.fromarray(posters[0])), words + inside)


def _moments(run: Run) -> Iterator[UInt8Array]:
    """The pictures of the video: each moment beside what V and M make of it."""
    episode = run.episode
    assert episode is not None
    if run.vae is None:
        yield from (compose(panels_of(picture, None)) for picture in episode.pictures)
        return
    fits = run.mdrnn is not None and run.mdrnn.latents == run.vae.latent_size
    view = InnerView(run.vae, run.mdrnn if fits else None)
    for picture, seen in zip(episode.pictures, inner_views(view, episode.rollout), strict=True):
        yield compose(panels_of(picture, seen))


def _rounds(run: Run, folder: Path) -> list[str]:
    """An iterative run's rounds as a table, and their curves."""
    if not run.rounds:
        return []
    # Of equal rounds the later one's files are the run's, see `runs.rounds`.
    returns = [float(each.get("best_return") or float("-inf")) for each, _ in run.rounds]
    used = max(range(len(returns)), key=lambda row: (returns[row], row))
    rows = [
        (
            f"{text(each.get('round'))}{' (used)' if row == used else ''}",
            text(each.get("best_return")),
            text(each.get("env_steps")),
            text(each.get("episodes")),
            duration(float(each.get("wall_seconds") or 0.0)),
        )
        for row, (each, _) in enumerate(run.rounds)
    ]
    head = ("round", "best return on other seeds", "steps of evolution", "episodes", "time")
    chart = rounds_chart([log for _, log in run.rounds])
    return [page.subheading("Rounds"), page.table(head, rows), *([charts(folder, chart, "Rounds")] if chart else [])]


def _times(summary: Mapping[str, Any]) -> list[str]:
    seconds = {name: value for name, value in part(summary, "seconds").items() if isinstance(value, int | float)}
    if not seconds:
        return []
    rows = [(_STAGES.get(name, name), duration(value)) for name, value in seconds.items()]
    return [page.subheading("Time"), page.table(("stage", "time"), rows)]
