"""What the exported page says to whom, where it stands, and what it keeps out of the way."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

pytest.importorskip("onnx", reason="the extra `web` is not installed")
pytest.importorskip("onnxscript", reason="the extra `web` is not installed")

from tests.chromium import chromium
from tests.web_page import LATENTS, Opened, random_site, served, visit

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}
DESK = {"viewport": {"width": 1280, "height": 800}, "reduced_motion": "reduce"}


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    site = random_site(tmp_path_factory.mktemp("car"), "CarRacing-v3", actions=3)
    with served(site) as address, chromium() as browser:
        yield browser, address


def test_a_phone_is_told_of_touch_and_of_no_keys(opened: Opened) -> None:
    with visit(*opened, **PHONE, reduced_motion="reduce") as seen:
        said = []
        for mode in ("you", "agent", "you"):
            seen.dream("drive", mode)
            said.append(seen.page.locator("#status").inner_text())
        everything = " ".join([*said, seen.page.locator("body").inner_text()])
        assert "By touch" in everything and "Hold the buttons below to take the wheel" in everything
        for word in ("Keys", "Arrow keys", "Press C", "Space"):
            assert word not in everything


def test_a_desk_is_told_of_keys_and_not_of_touch(opened: Opened) -> None:
    with visit(*opened, **DESK) as seen:
        seen.dream("drive", "you")
        everything = seen.page.locator("body").inner_text()
        assert "Press C" in everything and "Keys work anywhere" in everything and "By touch" not in everything


def test_a_phones_sliders_are_folded_and_its_page_is_short(opened: Opened) -> None:
    with visit(*opened, **PHONE, reduced_motion="reduce") as seen:
        sliders = seen.page.locator("#sliders")
        assert not sliders.is_visible()
        assert seen.page.evaluate("document.documentElement.scrollHeight") < 3100
        seen.page.locator("#latents summary").click()
        assert sliders.is_visible()
    with visit(*opened, **DESK) as seen:
        assert seen.page.locator("#sliders").is_visible()


def test_the_sliders_say_what_they_draw_and_those_that_draw_most_come_first(opened: Opened) -> None:
    with visit(*opened, **DESK) as seen:
        effects = seen.page.evaluate("fetch('model/manifest.json').then((r) => r.json())")["latent_effects"]
        order = [
            int(k)
            for k in seen.page.evaluate("[...document.querySelectorAll('[data-latent]')].map((e) => e.dataset.latent)")
        ]
        moved = [effects[k]["moved"] for k in order]
        assert len(order) == LATENTS and moved == sorted(moved, reverse=True)
        slider = seen.page.locator("[data-latent='2']")
        slider.focus()
        says = f"Latent 3: {effects[2]['says']}"
        assert slider.get_attribute("aria-label") == says
        assert seen.page.locator("#latent-says").inner_text() == f"{says}."


def test_return_futures_memory_and_seed_are_explained_where_they_stand(opened: Opened) -> None:
    with visit(*opened, **DESK) as seen:
        console = seen.page.locator("#console").inner_text()
        for words in (
            "the rewards that M predicts",
            "M proposes 3 next moments",
            "a row for each of 16",
            "all chance is drawn",
        ):
            assert words in console.replace("\n", " ")


def test_an_agent_that_steers_left_and_right_by_turns_has_a_steady_bar(opened: Opened) -> None:
    with visit(*opened, **DESK) as seen:
        seen.dream("drive", "you")
        shown = []
        for step in range(60):
            seen.dream("step", [1 if step % 2 else -1, 0.5, 0], 0.5, [0] * LATENTS)
            shown.append(float(seen.page.locator("#actions output").first.inner_text().replace("−", "-")))
        assert np.abs(shown[30:]).max() <= 0.05, "the mean of 25 steps"
        assert seen.page.locator("#actions output").nth(1).inner_text() == "0.50"
        seen.dream("reset")
        seen.dream("step", [1, 0, 0], 0.5, [0] * LATENTS)
        assert seen.page.locator("#actions output").first.inner_text() == "1.00", "nothing of before"
        assert "mean of the last half second" in seen.page.locator("#console").inner_text()


def test_no_recording_stands_beside_you_drive(opened: Opened) -> None:
    with visit(*opened, **DESK) as seen:
        real, switch = seen.page.locator("#real"), seen.page.get_by_label("Show the real recording beside it")
        switch.check()
        assert real.is_visible()
        seen.page.keyboard.press("ArrowLeft")
        assert seen.dream("state")["mode"] == "you" and not real.is_visible() and not switch.is_visible()
        seen.page.keyboard.press("KeyC")
        assert real.is_visible() and switch.is_visible(), "the agent has it again, as was wished"
        seen.page.get_by_role("button", name="You drive").click()
        seen.page.get_by_role("button", name="Replay real").click()
        assert real.is_visible()


def test_starts_are_told_apart_by_name(opened: Opened) -> None:
    with visit(*opened, **DESK) as seen:
        names = seen.page.locator("[data-start]").all_inner_texts()
        assert len(set(names)) == len(names) and not any("Track" in name for name in names)
        about = seen.page.locator("[data-start]").first.get_attribute("title") or ""
        assert about.startswith("Track 1000") and "from step 10" in about
