"""The page in a real browser: it fits both screens, fetches nothing, plays its video, and has its pictures taken.

With the environment variable WORLD_MODELS_SHOTS naming a run's folder (and WORLD_MODELS_SHOTS_DATA its data) the
pictures of docs/images are taken anew of that run:

    WORLD_MODELS_SHOTS=results/quick python -m pytest tests/report/test_page_in_chromium.py
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.chromium import chromium
from tests.doubles import make_rollouts, noise_rollout
from tests.small_runs import save_controller, save_mdrnn, save_vae
from world_models.report import write_report
from world_models.report.episode import FilmedEpisode
from world_models.runs.report import report_run
from world_models.types import Episode, EpisodeResult
from world_models.utils.run_dir import JsonlLog, log_path

torch.set_num_threads(1)
IMAGES = Path(__file__).parents[2] / "docs" / "images"
_VIDEO = (862, 282)  # three panels of CarRacing
SCREENS = {"desktop": (1280, 1600), "phone": (390, 844)}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a small run that has everything, or of the run that the environment names."""
    folder = tmp_path_factory.mktemp("report")
    if named := os.environ.get("WORLD_MODELS_SHOTS"):
        return report_run(named, os.environ.get("WORLD_MODELS_SHOTS_DATA"), folder)
    save_vae(folder)
    save_mdrnn(folder, 3)
    save_controller(folder, 3, "CarRacing-v3")
    for epoch in (1, 2, 3):
        JsonlLog(log_path(folder, "vae")).write({"epoch": epoch, "loss": 9.0 / epoch, "recon": 5.0, "kl": 1.0 * epoch})
        JsonlLog(log_path(folder, "mdrnn")).write({"epoch": epoch, "loss": 2.0 / epoch, "gmm": 3.0, "bce": 0.1})
        line = {"generation": epoch, "episodes": 64 * epoch, "env_steps": 900 * epoch, "mean": 10.0 * epoch}
        JsonlLog(log_path(folder, "ctrl")).write(line | {"eval_mean": 12.0 * epoch, "sigma": 0.1})
    make_rollouts(folder / "data", [12, 15])
    rng = np.random.default_rng(0)
    trained = {"mean": 600.0, "std": 80.0, "episodes": 16, "returns": rng.normal(600, 80, 16).tolist()}
    summary = {"trained": {**trained, "seeds": list(range(16))}, "backend": "gymnasium", "seconds": {"vae": 12.0}}
    result = EpisodeResult(Episode(0, 3), 7.0, 30, "time_limit")
    pictures = rng.integers(0, 255, (30, 84, 96, 3), dtype=np.uint8)
    episode = FilmedEpisode(pictures, noise_rollout(30), result, 50.0)
    return write_report(folder, folder / "data", summary=summary, episode=episode)


@pytest.fixture(params=SCREENS)
def screen(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def page(browser: Any, report: Path, screen: str) -> Iterator[Any]:
    width, height = SCREENS[screen]
    opened = browser.new_page(viewport={"width": width, "height": height}, color_scheme="light")
    opened.said = []
    opened.asked = []
    opened.on("console", lambda message: opened.said.append(message.text))
    opened.on("pageerror", lambda error: opened.said.append(str(error)))
    opened.on("request", lambda request: opened.asked.append(request.url))
    opened.goto(report.as_uri())
    opened.wait_for_load_state("load")
    yield opened
    opened.close()


def test_nothing_is_fetched_and_nothing_is_complained_about(page: Any, report: Path) -> None:
    assert [url for url in page.asked if not url.startswith("data:")] == [report.as_uri()]
    assert page.said == []


def test_the_page_fits_the_screen_and_no_words_run_out_of_their_boxes(page: Any, screen: str) -> None:
    assert page.evaluate("document.documentElement.scrollWidth") <= SCREENS[screen][0]
    outside = page.evaluate(
        """() => [...document.querySelectorAll(".card, .card *, .facts *, td, summary, figcaption, h1, h2, .missing")]
        .filter(e => e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).display !== 'inline')
        .map(e => e.textContent)"""
    )
    assert outside == []


def test_every_picture_is_drawn_and_the_video_can_be_played(page: Any) -> None:
    broken = page.evaluate("[...document.images].filter(i => !i.complete || !i.naturalWidth).map(i => i.alt)")
    assert broken == []
    assert page.evaluate("document.images.length") >= 10
    playable = page.evaluate("document.querySelector('video').canPlayType('video/mp4; codecs=\"avc1.64001f\"')")
    if playable:  # Chromium's own build may have no H.264
        page.wait_for_function("document.querySelector('video').readyState >= 1")
        assert page.evaluate("document.querySelector('video').duration") > 0


def test_the_settings_are_folded_and_unfold(page: Any) -> None:
    folded = page.locator("#setup details")
    assert folded.count() >= 1 and page.locator("#setup table:visible").count() == 0
    folded.first.locator("summary").click()
    assert page.locator("#setup table:visible").count() >= 1


def test_the_controls_of_the_video_leave_its_picture_free(page: Any, screen: str) -> None:
    width, height, natural = page.evaluate(
        """() => { const v = document.querySelector('video'), s = getComputedStyle(v);
        return [v.clientWidth, v.clientHeight, s.objectPosition]; }"""
    )
    if screen == "phone":
        picture = width * _VIDEO[1] / _VIDEO[0]
        assert height - picture >= 70 and natural == "50% 0%", "Chromium's controls are 72 pixels high"


def test_a_dark_screen_gets_a_dark_page_with_dark_charts(page: Any) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    chart = "document.querySelector('.grid picture img').currentSrc.length"
    light = page.evaluate(ground), page.evaluate(chart)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"{ground} !== '{light[0]}'")
    assert sum(map(int, page.evaluate(ground)[4:-1].split(","))) < 150
    page.wait_for_function(f"{chart} !== {light[1]}")


def test_its_picture_is_taken(page: Any, screen: str, tmp_path: Path) -> None:
    """Top of the page; into docs/images where a real run is shown."""
    real = "WORLD_MODELS_SHOTS" in os.environ
    folder = IMAGES if real else tmp_path
    folder.mkdir(parents=True, exist_ok=True)
    taken = tmp_path / "shot.png"
    page.evaluate("document.querySelectorAll('video').forEach(v => { v.controls = false; })")
    page.wait_for_timeout(300)
    page.screenshot(path=taken)
    target = folder / f"report-{screen}.png"
    with Image.open(taken) as shot:
        assert shot.size == SCREENS[screen]
        shot.convert("RGB").quantize(192, dither=Image.Dither.NONE).save(target, optimize=True)
    assert 5_000 < target.stat().st_size < 400_000
