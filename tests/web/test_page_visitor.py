"""Who visits the exported page: by keyboard, thumbs, mouse or gamepad, on a phone, with less motion, out of luck."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx", reason="the extra `web` is not installed")
pytest.importorskip("onnxscript", reason="the extra `web` is not installed")

from tests.chromium import chromium
from tests.small_envs import PICK
from tests.web_page import SIDEWAYS, Opened, Visit, latents, manifest_of, random_run, random_site, served, visit
from world_models.models.load import load_cell
from world_models.web.folder import file_facts, write_json
from world_models.web.graphs import memory_graph
from world_models.web.onnx_files import onnx_bytes

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}
GAMEPAD = """
  window.pad = { connected: true, mapping: "standard", axes: [0, 0],
                 buttons: Array.from({ length: 17 }, () => ({ value: 0 })) };
  navigator.getGamepads = () => [window.pad];
"""


@pytest.fixture(scope="module")
def car(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_site(tmp_path_factory.mktemp("car"), "CarRacing-v3", actions=3)


@pytest.fixture(scope="module")
def opened(car: Path) -> Iterator[Opened]:
    """A browser, and the address of the car's site."""
    with served(car) as address, chromium() as browser:
        yield browser, address


@pytest.fixture
def paused(opened: Opened) -> Iterator[Visit]:
    """A visitor who took the wheel and stopped the time, at the first moment of seed 7."""
    with visit(*opened) as seen:
        start_over(seen)
        yield seen


def start_over(seen: Visit) -> None:
    seen.dream("pause")
    seen.dream("drive", "you")
    seen.dream("begin", 0, 7)


def test_holding_a_key_changes_where_the_dream_goes(paused: Visit) -> None:
    ways = {}
    for key in (None, "ArrowLeft", "ArrowRight", "KeyA"):
        start_over(paused)
        if key:
            paused.page.keyboard.down(key)
        states = paused.walk(12)
        if key:
            paused.page.keyboard.up(key)
        ways[key] = latents(states)
        steering = states[-1]["action"][0]
        assert steering == {None: 0, "ArrowLeft": -1, "ArrowRight": 1, "KeyA": -1}[key]
    assert (ways["ArrowLeft"] == ways["KeyA"]).all()
    for one, other in ((None, "ArrowLeft"), (None, "ArrowRight"), ("ArrowLeft", "ArrowRight")):
        assert np.abs(ways[one] - ways[other]).max() > 0.01


def test_a_steering_key_takes_the_wheel_from_the_agent_and_c_gives_it_back(paused: Visit) -> None:
    for key, driver in (("KeyC", "agent"), ("ArrowUp", "you"), ("KeyC", "agent"), ("KeyC", "you")):
        paused.page.keyboard.press(key)
        assert paused.dream("state")["mode"] == driver
        pressed = paused.page.locator("[data-mode][aria-pressed=true]")
        assert pressed.get_attribute("data-mode") == driver


def test_space_plays_period_steps_and_r_resets(paused: Visit) -> None:
    paused.page.keyboard.press("Space")
    paused.wait_for("dream.state().steps > 5")
    paused.page.keyboard.press("Space")
    assert not paused.dream("state")["playing"]
    paused.page.keyboard.press("KeyR")
    paused.wait_for("dream.state().steps === 0")
    paused.page.keyboard.press("Period")
    paused.wait_for("dream.state().steps === 1")


def test_the_keyboard_alone_reaches_every_control_and_sees_where_it_is(paused: Visit) -> None:
    paused.dream("hold", 0, 1.0)  # so that "Release" can be used
    script = """() => [...document.querySelectorAll("a[href], button, input, summary, canvas[tabindex]")]
      .filter((e) => e.checkVisibility() && !e.disabled).map((e, i) => e.dataset.place = i).length"""
    count = paused.page.evaluate(script)
    assert count > 30
    reached = set()
    for _ in range(count):
        paused.page.keyboard.press("Tab")
        place, name, outline = paused.page.evaluate("""() => {
          const e = document.activeElement, style = getComputedStyle(e);
          const name = e.ariaLabel || e.labels?.[0]?.innerText || e.innerText;
          return [e.dataset.place, name, style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2];
        }""")
        assert outline and name, f"control {place} ({name}) has no visible focus, or no name"
        reached.add(int(place))
    assert reached == set(range(count))


def test_focused_controls_work_by_keys_and_keep_their_own_keys(paused: Visit) -> None:
    page = paused.page
    page.locator("#temperature").focus()
    page.keyboard.press("ArrowLeft")
    assert paused.dream("state")["temperature"] == pytest.approx(0.95)
    page.locator("[data-direction=left]").focus()
    page.keyboard.down("Space")
    assert paused.walk(5)[-1]["action"][0] == -1
    page.keyboard.up("Space")
    assert paused.walk(5)[-1]["action"][0] == 0
    page.locator("#seed").fill("12")
    page.keyboard.press("Enter")
    paused.wait_for("dream.state().seed === 12 && dream.state().steps === 0")
    page.locator("#seed").press("c")  # a letter in a field is no command
    assert paused.dream("state")["mode"] == "you"


def test_keys_can_be_kept_to_the_dream(paused: Visit) -> None:
    paused.page.get_by_label("Keys work anywhere on the page").uncheck()
    paused.page.keyboard.press("KeyC")
    assert paused.dream("state")["mode"] == "you"
    paused.page.locator("#dream").focus()
    paused.page.keyboard.press("KeyC")
    assert paused.dream("state")["mode"] == "agent"


def test_a_pulled_latent_changes_the_picture_and_stays_until_it_is_released(paused: Visit) -> None:
    before = paused.dream("picture")
    slider = paused.page.locator("[data-latent='2']")
    top = float(slider.get_attribute("max") or "nan")
    slider.press("End")
    assert paused.dream("state")["held"] == [2]
    paused.wait_for("document.querySelector('#release').disabled === false")
    assert np.abs(np.subtract(paused.dream("picture"), before)).max() > 5
    assert all(state["z"][2] == pytest.approx(top, abs=1e-5) for state in paused.walk(4))
    assert (slider.get_attribute("aria-label") or "").endswith(", held")
    paused.page.get_by_role("button", name="Release").click()
    assert paused.dream("state")["held"] == []
    assert paused.walk(1)[0]["z"][2] != pytest.approx(top, abs=1e-3)


def test_two_thumbs_steer_and_give_gas(opened: Opened) -> None:
    with visit(*opened, **PHONE) as seen:
        start_over(seen)
        seen.page.locator("#pad").scroll_into_view_if_needed()
        boxes = [seen.page.locator(f"[data-direction={way}]").bounding_box() for way in ("right", "up")]
        assert all(box and min(box["width"], box["height"]) >= 44 for box in boxes)  # of a thumb's size
        points = [{"x": b["x"] + b["width"] / 2, "y": b["y"] + b["height"] / 2, "id": k} for k, b in enumerate(boxes)]
        touch = seen.page.context.new_cdp_session(seen.page)
        touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": points})
        assert seen.walk(6)[-1]["action"] == [1, 1, 0]
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        assert seen.walk(6)[-1]["action"] == [0, 0, 0]


def test_a_gamepad_drives(opened: Opened) -> None:
    with visit(*opened, script=GAMEPAD) as seen:
        start_over(seen)
        frames = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
        seen.page.evaluate("pad.axes[0] = -0.5; pad.buttons[7].value = 0.6")
        seen.page.evaluate(frames)
        np.testing.assert_allclose(seen.walk(6)[-1]["action"], [-0.5, 0.6, 0], atol=1e-6)
        seen.page.evaluate("pad.axes[0] = 0.05; pad.buttons[7].value = 0; pad.buttons[3].value = 1")
        seen.page.evaluate(frames)
        assert seen.dream("state")["mode"] == "agent"  # Y hands over, and a stick hardly off its middle is at rest


@pytest.mark.parametrize("width", [320, 390, 820, 1280])
@pytest.mark.parametrize("beside", [False, True])
def test_no_width_scrolls_sideways(opened: Opened, width: int, beside: bool) -> None:
    with visit(*opened, viewport={"width": width, "height": 844}) as seen:
        seen.page.get_by_label("Show the real recording beside it").set_checked(beside)
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= width


def test_less_motion_starts_paused(opened: Opened) -> None:
    with visit(*opened, reduced_motion="reduce") as seen:
        seen.page.wait_for_timeout(300)
        state = seen.dream("state")
        assert not state["playing"] and state["steps"] == 0
        assert "less motion" in seen.page.locator("#status").inner_text()
        seen.page.get_by_role("button", name="Play", exact=True).click()
        seen.wait_for("dream.state().steps > 3")
    with visit(*opened, reduced_motion="no-preference") as seen:
        seen.wait_for("dream.state().steps > 3")


def test_a_missing_network_is_said_in_a_sentence(car: Path, opened: Opened, tmp_path: Path) -> None:
    broken = shutil.copytree(car, tmp_path / "broken")
    (broken / "model" / "memory.onnx").unlink()
    with served(broken) as address, visit(opened[0], address, ready=False) as seen:
        alert = seen.page.get_by_role("alert")
        alert.wait_for()
        assert "memory.onnx is missing (HTTP 404)" in alert.inner_text()


def test_a_missing_script_is_said_in_a_sentence(car: Path, opened: Opened, tmp_path: Path) -> None:
    broken = shutil.copytree(car, tmp_path / "broken")
    (broken / "js" / "dream.js").unlink()
    with served(broken) as address, visit(opened[0], address, ready=False) as seen:
        alert = seen.page.get_by_role("alert")
        alert.wait_for()
        assert "incomplete" in alert.inner_text()


def test_a_browser_without_webassembly_is_told(opened: Opened) -> None:
    with visit(*opened, ready=False, script="delete window.WebAssembly") as seen:
        alert = seen.page.get_by_role("alert")
        alert.wait_for()
        assert "no WebAssembly" in alert.inner_text()


def test_a_page_opened_as_a_file_says_how_to_serve_it(car: Path, opened: Opened) -> None:
    with visit(opened[0], (car / "index.html").as_uri(), ready=False) as seen:
        alert = seen.page.get_by_role("alert")
        alert.wait_for()
        assert "python -m http.server" in alert.inner_text()


@pytest.fixture(scope="module")
def sideways(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of an M that expects the end at once."""
    return random_site(tmp_path_factory.mktemp("sideways"), SIDEWAYS, actions=1, terminal_bias=9.0)


def test_sideways_dreams_end_when_m_expects_it(opened: Opened, sideways: Path) -> None:
    with served(sideways) as address, visit(opened[0], address, reduced_motion="reduce") as seen:
        assert seen.page.locator("h1").inner_text() == "Dodge inside a dream"
        assert seen.page.locator("[data-direction]").count() == 2
        seen.page.keyboard.down("ArrowRight")
        (state,) = seen.walk(1)
        seen.page.keyboard.up("ArrowRight")
        assert state["over"] and state["terminal"] > 0.5 and state["action"] == [1]
        assert "You were hit after 1 step." in seen.page.locator("#overlay").inner_text()
        assert seen.walk(3)[-1]["steps"] == 1  # nothing comes after the end
        seen.page.get_by_role("button", name="Again").click()
        seen.wait_for("dream.state().steps === 1 && dream.state().over")


def test_sideways_dreams_go_on_while_m_expects_that(opened: Opened, sideways: Path, tmp_path: Path) -> None:
    calm = shutil.copytree(sideways, tmp_path / "calm")
    cell = load_cell(random_run(tmp_path / "run", SIDEWAYS, 1, terminal_bias=-9.0))
    graph, manifest = calm / "model" / "memory.onnx", manifest_of(calm)
    graph.write_bytes(onnx_bytes(memory_graph(cell)))
    manifest["files"] |= file_facts([graph])
    write_json(calm / "model" / "manifest.json", manifest)
    with served(calm) as address, visit(opened[0], address, reduced_motion="reduce") as seen:
        assert not seen.walk(30)[-1]["over"]
        assert seen.page.locator("#danger").inner_text() == "0 %"


def test_an_environment_with_other_actions_gets_a_button_each(opened: Opened, tmp_path: Path) -> None:
    site = random_site(tmp_path, PICK, actions=3)
    with served(site) as address, visit(opened[0], address, reduced_motion="reduce") as seen:
        seen.page.get_by_role("button", name="action 1").click()
        assert seen.dream("state")["mode"] == "you"
        assert seen.walk(1)[0]["action"] == [0, 1, 0]
        seen.page.keyboard.down("ArrowRight")  # goes on to the next, once
        assert [state["action"] for state in seen.walk(2)] == [[0, 0, 1]] * 2
