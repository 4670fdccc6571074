"""`world-models watch`: the trained agent on the real game, with what V sees and M dreams beside it."""

from __future__ import annotations

import itertools
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import torch

from world_models.errors import ConfigError
from world_models.models.load import load_cell, load_vae
from world_models.report.episode import frames_per_second, shown
from world_models.report.figures.inner import InnerView, Seen
from world_models.report.figures.panels import compose, panels_of
from world_models.report.video import VideoWriter, check_target, find_ffmpeg
from world_models.report.window import KEYS, NoScreen, Quit, Restart, Window, has_screen
from world_models.rollout.driver import Driver, Recipe
from world_models.rollout.loop import Transition
from world_models.types import Episode, EpisodeResult, UInt8Array

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Watch:
    """What to watch.

    Attributes:
        recipe: The trained run's (policy "agent"), see `rollout.driver.Recipe`.
        seed: Of the first episode; the next ones follow.
        temperature: Of the dream: more is less certain.
        dream_steps: Steps that a dream goes on alone before it starts from reality again; 0: no dream.
        out: A video file in place of a window; None: a window where there is a screen.
    """

    recipe: Recipe
    seed: int = 0
    temperature: float = 1.0
    dream_steps: int = 50
    out: str | Path | None = None

    def check(self) -> None:
        """Raises ConfigError for what cannot work."""
        if not 0 < self.temperature < float("inf"):
            raise ConfigError(f"temperature={self.temperature!r} cannot work: give a finite number above 0.")
        for name, value, least in (("seed", self.seed, 0), ("dream_steps", self.dream_steps, 0)):
            if value < least:
                raise ConfigError(f"{name}={value!r} cannot work: give a whole number of at least {least}.")
        if self.recipe.time_limit < 1:
            raise ConfigError(f"time_limit={self.recipe.time_limit!r} cannot work: give at least 1 step.")
        if self.out is not None and Path(self.out).suffix.lower() != ".mp4":
            raise ConfigError(f"out={str(self.out)!r} is no .mp4 file: videos are H.264 in MP4, name it so.")


def watch(asked: Watch) -> list[EpisodeResult]:
    """Shows episodes in a window until the viewer quits, or writes one to a video file and says where.

    Where nobody could see a window the video is written into the current folder.

    Returns:
        The episodes that came to their end.

    Raises:
        CheckpointError: the run lacks a stage.
        ConfigError: a setting that cannot work, or the video's folder cannot be written.
        MissingDependencyError: pygame, or for a video ffmpeg, is missing.
    """
    asked.check()
    driver = Driver(replace(asked.recipe, num_lanes=1))
    try:
        if asked.out is not None:
            check_target(Path(asked.out))
            return _to_file(asked, driver, Path(asked.out))
        try:
            return _in_window(asked, driver)
        except NoScreen as error:
            where = Path(f"watch_seed_{asked.seed}.mp4")
            check_target(where)
            _LOG.warning("No window can be seen here (%s): a video is written, %s.", error, where)
            return _to_file(asked, driver, where)
    finally:
        driver.close()


def _in_window(asked: Watch, driver: Driver) -> list[EpisodeResult]:
    if not has_screen():
        raise NoScreen("neither DISPLAY, WAYLAND_DISPLAY nor SDL_VIDEODRIVER names a screen")
    results: list[EpisodeResult] = []
    title = f"{driver.lanes.spec.env_id}: {KEYS}"
    with Window(title, frames_per_second(asked.recipe.env_name)) as window:
        for seed in itertools.count(asked.seed):
            try:
                results.append(_episode(asked, driver, seed, window))
            except Restart:
                continue
            except Quit:
                return results
    return results  # pragma: no cover (seeds never end)


def _to_file(asked: Watch, driver: Driver, where: Path) -> list[EpisodeResult]:
    find_ffmpeg()
    with VideoWriter(where, frames_per_second(asked.recipe.env_name)) as video:
        result = _episode(asked, driver, asked.seed, _File(video))
    print(f"Seed {asked.seed}: return {result.episode_return:.1f} in {result.steps} steps. Video: {where.absolute()}")
    return [result]


def _episode(asked: Watch, driver: Driver, seed: int, screen: _Screen) -> EpisodeResult:
    viewer = _Viewer(asked, driver.lanes.spec.rows, seed, screen)
    (result,) = driver.evaluate([Episode(0, seed)], listeners=[viewer])
    viewer.show(f"{result.ended_by.replace('_', ' ')} after {result.steps} steps", hold=True)
    return result


class _Screen(Protocol):
    def show(self, picture: UInt8Array, hold: bool = False) -> None: ...


class _File:
    """A screen that is a video file."""

    def __init__(self, video: VideoWriter) -> None:
        self.video = video

    def show(self, picture: UInt8Array, hold: bool = False) -> None:
        self.video.write(picture)


class _Viewer:
    """A listener that shows every moment of one episode."""

    def __init__(self, asked: Watch, rows: int | None, seed: int, screen: _Screen) -> None:
        logdir = asked.recipe.logdir or ""
        vae, cell = load_vae(logdir), load_cell(logdir)
        self.inner = InnerView(vae, cell, asked.temperature, asked.dream_steps, seed)
        self.rows, self.seed, self.screen = rows, seed, screen
        self.temperature = asked.temperature
        self.steps, self.sum = 0, 0.0
        self.panels: list[tuple[str, UInt8Array]] = []

    def transition(self, transition: Transition) -> None:
        seen: Seen = self.inner.see(transition.frames[0])
        self.panels = panels_of(shown(transition.native_frames[0], self.rows), seen)
        self.show(f"step {self.steps}")
        self.inner.act(torch.from_numpy(transition.actions[0]))
        self.steps += 1
        self.sum += float(transition.step.rewards[0])

    def ended(self, lane: int, result: EpisodeResult) -> None:
        """The result comes back from the driver."""

    def show(self, words: str, hold: bool = False) -> None:
        """The last moment's panels above seed, these words, the return, and the dream's temperature."""
        foot = [f"seed {self.seed}", words, f"return {self.sum:.1f}", f"temperature {self.temperature:g}"]
        self.screen.show(compose(self.panels, foot), hold)
