"""Watching: every moment of the real episode, with V and M beside it, in a window or in a file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import pygame
import pytest
import torch

from tests.small_envs import PICK, STEER
from tests.small_runs import save_controller, save_mdrnn, save_vae
from world_models import cli
from world_models.errors import ConfigError, MissingDependencyError
from world_models.report import watch as watching
from world_models.report import window as windows
from world_models.report.watch import Watch, watch
from world_models.report.window import NoScreen, Quit, Restart, Window, has_screen
from world_models.rollout.driver import Driver, Recipe
from world_models.types import Episode, UInt8Array

torch.set_num_threads(1)
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # imageio-ffmpeg's reader leaves its pipes open


def recipe(folder: Path, env_name: str = STEER, actions: int = 2) -> Recipe:
    save_vae(folder)
    save_mdrnn(folder, actions)
    save_controller(folder, actions, env_name)
    return Recipe(env_name, "gymnasium", logdir=str(folder), trained=True, time_limit=100)


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The caller's folder, which is not the run's."""
    folder = tmp_path / "beside"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def expected(drives: Recipe, seed: int) -> tuple[float, int]:
    (result,) = Driver(drives).evaluate([Episode(0, seed)])
    return result.episode_return, result.steps


def pictures(path: Path) -> list[UInt8Array]:
    reader = imageio_ffmpeg.read_frames(path)
    width, height = next(reader)["size"]
    return [np.frombuffer(frame, np.uint8).reshape(height, width, 3) for frame in reader]


@pytest.mark.parametrize(("env_name", "actions"), [(STEER, 2), (PICK, 3)], ids=["box", "discrete"])
def test_without_a_screen_a_video_has_every_moment_and_says_where_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], beside: Path, env_name: str, actions: int
) -> None:
    drives = recipe(tmp_path, env_name, actions)

    (result,) = watch(Watch(drives, seed=5))

    path = beside / "watch_seed_5.mp4"
    assert not list(tmp_path.glob("*.mp4")), "a run's folder is left as it is"
    assert str(path) in capsys.readouterr().out
    assert (result.episode_return, result.steps) == expected(drives, 5)
    frames = pictures(path)
    assert len(frames) == result.steps + 1, "one picture a step, and the end held"
    width = 288 if env_name == STEER else 240
    assert frames[0].shape[1] == 10 + 4 * (width + 10), "four panels"


def test_the_video_shows_the_real_frames_in_its_first_panel(tmp_path: Path) -> None:
    drives = recipe(tmp_path)
    natives: list[UInt8Array] = []

    class Eye:
        def transition(self, transition: Any) -> None:
            natives.append(transition.native_frames[0].copy())

        def ended(self, lane: int, result: Any) -> None:
            pass

    Driver(drives).evaluate([Episode(0, 5)], listeners=[Eye()])
    watch(Watch(drives, seed=5, out=tmp_path / "out" / "w.mp4"))

    shown = pictures(tmp_path / "out" / "w.mp4")
    for native, picture in zip(natives, shown, strict=False):
        panel, other = picture[35 : 32 + 240 : 6, 13 : 10 + 288 : 6], picture[35 : 32 + 240 : 6, 311 : 308 + 288 : 6]
        assert np.corrcoef(panel.ravel(), native.ravel())[0, 1] > 0.8
        assert np.corrcoef(other.ravel(), native.ravel())[0, 1] < 0.8


class FakeWindow:
    """A window whose viewer does as `script` says at each picture: None, Restart or Quit."""

    script: list[type[Exception] | None]
    shown: list[bool]

    def __init__(self, title: str, fps: float) -> None:
        self.title = title

    def __enter__(self) -> FakeWindow:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, picture: UInt8Array, hold: bool = False) -> None:
        type(self).shown.append(hold)
        wish = type(self).script.pop(0) if type(self).script else Quit
        if wish is not None:
            raise wish


@pytest.fixture
def window(monkeypatch: pytest.MonkeyPatch) -> type[FakeWindow]:
    FakeWindow.shown = []
    monkeypatch.setattr(watching, "has_screen", lambda: True)
    monkeypatch.setattr(watching, "Window", FakeWindow)
    return FakeWindow


def test_in_a_window_episodes_follow_until_the_viewer_quits(tmp_path: Path, window: type[FakeWindow]) -> None:
    drives = recipe(tmp_path)
    first, second = expected(drives, 5), expected(drives, 6)
    window.script = [None] * (first[1] + 1 + second[1] + 1)

    results = watch(Watch(drives, seed=5))

    assert [(each.episode_return, each.steps) for each in results] == [first, second]
    assert [number for number, hold in enumerate(window.shown) if hold] == [first[1], first[1] + 1 + second[1]]
    assert not list(tmp_path.glob("*.mp4"))


def test_restart_goes_on_to_the_next_seed_from_its_first_step(tmp_path: Path, window: type[FakeWindow]) -> None:
    drives = recipe(tmp_path)
    window.script = [None, None, Restart, *[None] * (expected(drives, 6)[1] + 1), Quit]

    (result,) = watch(Watch(drives, seed=5))

    assert result.episode.seed == 6 and result.episode_return == expected(drives, 6)[0]


def test_where_no_window_opens_a_video_is_written(
    tmp_path: Path, beside: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(FakeWindow):
        def __enter__(self) -> FakeWindow:
            raise NoScreen("no video device")

    monkeypatch.setattr(watching, "has_screen", lambda: True)
    monkeypatch.setattr(watching, "Window", Broken)
    watch(Watch(recipe(tmp_path), seed=5))
    assert (beside / "watch_seed_5.mp4").is_file()
    assert "No window can be seen here (no video device): a video is written, watch_seed_5.mp4." in caplog.text


DEAD = [
    {"DISPLAY": ":99"},
    {"WAYLAND_DISPLAY": "wayland-99"},
    {"DISPLAY": ":99", "SDL_VIDEODRIVER": "x11"},
    {"DISPLAY": ":99", "SDL_VIDEODRIVER": "nonsense"},
    {"SDL_VIDEODRIVER": "offscreen"},
    {"SDL_VIDEODRIVER": "evdev"},
    {"SDL_VIDEODRIVER": "dummy"},
    {},
]
LOOK = """
import json, os, sys
from world_models.report.window import _DISPLAYS, NoScreen, Window, has_screen
for names in json.loads(sys.argv[1]):
    for name in _DISPLAYS:
        os.environ.pop(name, None)
    os.environ.update(names)
    try:
        print("seen" if has_screen() and Window("test", 50) else "unseen")
    except NoScreen:
        print("unseen")
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux names its display by variables")
def test_a_dead_display_is_found_out_when_the_window_opens() -> None:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", LOOK, json.dumps(DEAD)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    said = [line for line in done.stdout.splitlines() if "seen" in line]
    assert said == ["unseen"] * len(DEAD), done.stderr


@pytest.mark.parametrize("driver", windows.UNSEEN)
def test_a_driver_that_draws_for_nobody_is_no_screen(
    tmp_path: Path, beside: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, driver: str
) -> None:
    monkeypatch.setattr(watching, "has_screen", lambda: True)
    monkeypatch.setattr(pygame.display, "get_driver", lambda: driver)
    monkeypatch.setenv("DISPLAY", ":99")
    watch(Watch(recipe(tmp_path), seed=5))
    assert (beside / "watch_seed_5.mp4").is_file()
    assert "DISPLAY=:99" in caplog.text and f"SDL draws {driver}" in caplog.text


@pytest.mark.parametrize("out", [None, "w.mp4", "file/w.mp4"])
def test_a_folder_that_cannot_be_written_is_said_before_anything_is_driven(
    tmp_path: Path, beside: Path, monkeypatch: pytest.MonkeyPatch, out: str | None
) -> None:
    (beside / "file").write_text("in the way")
    for name in ("watch_seed_5.mp4", "w.mp4"):
        (beside / name).mkdir()
    driven: list[object] = []
    monkeypatch.setattr(watching.Driver, "evaluate", lambda *args, **more: driven.append(args))
    with pytest.raises(ConfigError, match=r"beside.*\.mp4 cannot be written .*--out"):
        watch(Watch(recipe(tmp_path), seed=5, out=out))
    assert not driven


@pytest.mark.parametrize(
    ("names", "screen"),
    [
        ({}, False),
        ({"SDL_VIDEODRIVER": "dummy"}, False),
        ({"SDL_VIDEODRIVER": "dummy", "DISPLAY": ":0"}, False),
        ({"DISPLAY": ":0"}, True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, True),
        ({"SDL_VIDEODRIVER": "kmsdrm"}, True),
    ],
)
def test_a_screen_is_where_somebody_can_see_it(
    monkeypatch: pytest.MonkeyPatch, names: dict[str, str], screen: bool
) -> None:
    monkeypatch.setattr(windows.sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    assert has_screen() is screen


def press(*keys: int) -> None:
    for key in keys:
        pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=key))


def test_the_window_shows_its_picture_and_hears_its_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "UNSEEN", ())  # the tests' driver is one
    picture = np.zeros((64, 96, 3), np.uint8)
    picture[:, :48] = (200, 30, 60)
    with Window("test", fps=1000) as window:
        window.show(picture)
        surface = pygame.display.get_surface()
        assert surface.get_size() == (96, 64)
        assert tuple(surface.get_at((10, 10)))[:3] == (200, 30, 60) and tuple(surface.get_at((90, 10)))[:3] == (0, 0, 0)

        press(pygame.K_s)
        window.show(picture)  # one step: it comes back at once
        press(pygame.K_SPACE)
        window.show(picture)  # and was paused until space went on
        press(pygame.K_r)
        with pytest.raises(Restart):
            window.show(picture)
        press(pygame.K_q)
        with pytest.raises(Quit):
            window.show(picture, hold=True)
        pygame.event.post(pygame.event.Event(pygame.QUIT))
        with pytest.raises(Quit):
            window.show(picture)


def test_a_missing_pygame_is_named_with_the_other_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(windows.sys.modules, "pygame", None)
    with pytest.raises(MissingDependencyError, match="pip install pygame, or name a file"):
        Window("test", 50)


@pytest.mark.parametrize(
    ("changes", "says"),
    [({"temperature": 0.0}, "temperature=0.0"), ({"seed": -1}, "seed=-1"), ({"out": "w.gif"}, r"w\.gif")],
)
def test_what_cannot_work_is_refused_with_its_value(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        watch(Watch(Recipe(STEER, logdir=str(tmp_path)), **changes))


def test_the_command_writes_the_video_of_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe(tmp_path)
    out = tmp_path / "w.mp4"

    assert cli.main(["watch", "--logdir", str(tmp_path), "--seed", "5", "--out", str(out), "--dream_steps", "0"]) == 0

    assert f"Video: {out}" in capsys.readouterr().out
    assert pictures(out)[0].shape[1] == 10 + 3 * 298, "three panels: no dream was asked for"


def test_the_command_refuses_a_run_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["watch", "--logdir", str(tmp_path)]) == 2
    assert "ctrl/best.tar" in capsys.readouterr().err
