"""The exported page in Chromium: it dreams what PyTorch dreams, and asks nobody else for anything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx", reason="the extra `web` is not installed")
pytest.importorskip("onnxscript", reason="the extra `web` is not installed")

import json

import torch
from PIL import Image

from tests.chromium import chromium
from tests.web.screenshots import take
from tests.web_page import (
    LATENTS,
    SEED,
    STEPS,
    WARM_UP,
    Opened,
    Visit,
    latents,
    manifest_of,
    random_site,
    served,
    visit,
)
from world_models.envs.actions import ActionAdapter
from world_models.envs.registry import env_spec, make_gym
from world_models.models.load import load_cell, load_controller, load_vae
from world_models.models.sampling import sample_mixture
from world_models.types import Mixture

CAR = "CarRacing-v3"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random run of CarRacing in `run`, its site in `site`."""
    folder = tmp_path_factory.mktemp("page")
    random_site(folder, CAR, actions=3)
    return folder


@pytest.fixture(scope="module")
def opened(folder: Path) -> Iterator[Opened]:
    """A browser, and the address of the site."""
    with served(folder / "site") as address, chromium() as browser:
        yield browser, address


@pytest.fixture(scope="module")
def visitor(opened: Opened) -> Iterator[Visit]:
    with visit(*opened) as seen:
        yield seen


@pytest.fixture
def paused(visitor: Visit) -> Visit:
    """At the first start's first moment with seed 7, nothing held, time stopped, the visitor at the wheel."""
    visitor.dream("pause")
    visitor.dream("setTemperature", 1.0)
    visitor.dream("drive", "you")
    visitor.dream("begin", 0, 7)
    return visitor


def test_it_loads_without_an_error_and_asks_no_other_host(opened: Opened) -> None:
    address = opened[1]
    with visit(*opened) as seen:
        seen.page.get_by_label("Show the real recording beside it").check()
        seen.page.locator("[data-start='1']").click()
        seen.wait_for("dream.state().start === 1 && dream.state().steps > 3")
        assert seen.errors == []
        elsewhere = [url for url in seen.requests if not url.startswith((address, "data:"))]
        assert elsewhere == []
        assert address + "model/memory.onnx" in seen.requests
        assert address + "model/recording_1.jpg" in seen.requests


def test_a_hundred_steps_with_given_noise_are_pytorchs(folder: Path, paused: Visit) -> None:
    rng = np.random.default_rng(0)
    actions = rng.uniform([-1, 0, 0], [1, 1, 1], (100, 3)).astype(np.float32)
    picks = rng.random(100, dtype=np.float32)
    noise = rng.standard_normal((100, LATENTS), dtype=np.float32)
    script = """async ([actions, picks, noise]) => {
      const states = [];
      for (let t = 0; t < actions.length; t += 1) states.push(await dream.step(actions[t], picks[t], noise[t]));
      return states;
    }"""
    states = paused.page.evaluate(script, [actions.tolist(), picks.tolist(), noise.tolist()])
    start = manifest_of(folder / "site")["starts"][0]
    cell, z, h, c = load_cell(folder / "run"), *(torch.tensor([start[name]]) for name in ("z", "h", "c"))
    for t, state in enumerate(states):
        with torch.no_grad():
            *mixture, reward, _, (h, c) = cell(torch.from_numpy(actions[t : t + 1]), z, (h, c))
            z, picked = sample_mixture(
                Mixture(*mixture), 1.0, torch.tensor(picks[t : t + 1]), torch.tensor(noise[t])[None]
            )
        assert np.abs(np.array(state["z"]) - z.numpy()[0]).max() < 1e-4, t
        assert np.abs(np.array(state["h"]) - h.numpy()[0]).max() < 1e-4, t
        assert state["component"] == int(picked) and abs(state["reward"] - float(reward)) < 1e-4
    assert states[-1]["steps"] == 100
    assert states[-1]["return"] == pytest.approx(sum(state["reward"] for state in states), abs=1e-3)


def test_the_picture_is_vs_of_the_dreams_latent(folder: Path, paused: Visit) -> None:
    (state,) = paused.walk(1)
    shown = np.array(paused.dream("picture")).reshape(64, 64, 4)[..., :3]
    with torch.no_grad():
        painted = load_vae(folder / "run").decoder(torch.tensor([state["z"]]))[0].permute(1, 2, 0).numpy() * 255
    assert painted.std() > 5  # else any grey would do
    assert np.abs(shown - painted).max() < 3  # weights of 16 bits, and rounding


def test_the_agents_actions_are_pytorchs(folder: Path, paused: Visit) -> None:
    paused.dream("drive", "agent")
    controller, _ = load_controller(folder / "run")
    adapter = ActionAdapter(make_gym(CAR).action_space, env_spec(CAR).squash)
    before = paused.dream("state")
    for state in paused.walk(20):
        with torch.no_grad():
            wanted = adapter.from_raw(controller(torch.tensor([before["h"]]), torch.tensor([before["z"]])))
        assert np.abs(np.array(state["action"]) - wanted.numpy()[0]).max() < 1e-5
        before = state


def test_same_seed_and_actions_are_the_same_dream(paused: Visit) -> None:
    first = latents(paused.walk(10))
    paused.dream("begin", 0, 7)
    assert (latents(paused.walk(10)) == first).all()
    paused.dream("begin", 0, 8)
    assert np.abs(latents(paused.walk(10)) - first).max() > 0.1


def test_temperature_widens_the_dream_as_the_paper_says(paused: Visit) -> None:
    spread = {}
    for temperature in (0.1, 2.0):
        paused.page.locator("#temperature").fill(str(temperature))
        ends = []
        for noise in (1.0, 0.0):
            paused.dream("begin", 0, 7)
            ends.append(paused.dream("step", [0, 0, 0], 0.0, [noise] * LATENTS)["z"])
        spread[temperature] = np.subtract(*ends)
    # Variances are multiplied by the temperature.
    np.testing.assert_allclose(spread[2.0] / spread[0.1], np.sqrt(2.0 / 0.1), rtol=1e-3)
    assert paused.page.locator("#temperature-value").inner_text() == "2.00"


def test_the_recording_runs_beside_the_dream_with_its_own_actions(folder: Path, paused: Visit) -> None:
    start = manifest_of(folder / "site")["starts"][0]
    model = folder / "site" / "model"
    recording = json.loads((model / start["recording"]).read_text("utf-8"))
    paused.page.get_by_role("button", name="Replay real").click()
    states = paused.walk(5)
    paused.wait_for("document.querySelector('#real').offsetWidth > 0")
    for n, state in enumerate(states):
        np.testing.assert_allclose(state["action"], recording["actions"][start["warm_up"] + n], atol=1e-6)
    shown = paused.page.evaluate(
        "[...document.querySelector('#real').getContext('2d').getImageData(0, 0, 64, 64).data]"
    )
    row, column = divmod(start["warm_up"] + 5, recording["columns"])
    corner = (64 * column, 64 * row)
    sheet = Image.open(model / start["sprite"]).convert("RGB")
    tile = np.array(sheet.crop((*corner, corner[0] + 64, corner[1] + 64)))
    assert np.abs(np.array(shown).reshape(64, 64, 4)[..., :3] - tile).mean() < 1.5  # two decoders of one JPEG


def test_a_replay_ends_with_its_recording_and_says_so(paused: Visit) -> None:
    paused.dream("drive", "replay")
    states = paused.walk(STEPS - WARM_UP + 3)
    assert states[-1]["steps"] == STEPS - WARM_UP
    assert f"no more actions after {STEPS - WARM_UP} steps" in paused.page.locator("#status").inner_text()


def test_the_page_keeps_the_manifests_promises(folder: Path, paused: Visit) -> None:
    starts = manifest_of(folder / "site")["starts"]
    assert [start["seed"] >= SEED for start in starts] == [True, True]
    assert paused.page.locator("[data-start]").all_inner_texts() == [start["label"] for start in starts]
    assert paused.page.locator("#sliders input").count() == LATENTS
    assert paused.page.locator("h1").inner_text() == "Drive inside a dream"


def test_the_noise_is_xoshiros_and_normal(visitor: Visit) -> None:
    script = """async () => {
      const { Noise } = await import("/js/noise.js");
      const known = new Noise(0);
      known.state = Uint32Array.of(1, 2, 3, 4);
      const bits = Array.from({ length: 4 }, () => known.bits());
      const noise = new Noise(5);
      const draws = Array.from({ length: 2000 }, () => noise.draw(8));
      return [bits, draws.map((draw) => draw.pick), draws.flatMap((draw) => [...draw.noise])];
    }"""
    bits, picks, normal = visitor.page.evaluate(script)
    assert bits == [11520, 0, 5927040, 70819200]  # of the generator's published code, from the state 1, 2, 3, 4
    assert min(picks) >= 0 and max(picks) < 1 and abs(np.mean(picks) - 0.5) < 0.03
    assert abs(np.mean(normal)) < 0.03 and abs(np.std(normal) - 1) < 0.03
    assert abs(np.mean(np.abs(normal) > 1.96) - 0.05) < 0.01


@pytest.mark.long
def test_its_pictures_are_taken_at_both_widths_and_in_both_colours(opened: Opened, tmp_path: Path) -> None:
    taken = {path.stem: Image.open(path).convert("RGB") for path in take(*opened, tmp_path, steps=3)}
    assert {name: picture.size for name, picture in taken.items()} == {
        "page-desktop": (1280, 800),
        "page-replay-dark": (1280, 800),
        "page-phone": (780, 1688),
        "page-phone-dark": (780, 1688),
    }
    corner = {name: sum(picture.getpixel((2, 2))) / 3 for name, picture in taken.items()}
    assert min(corner["page-desktop"], corner["page-phone"]) > 200
    assert max(corner["page-replay-dark"], corner["page-phone-dark"]) < 60
    # The dream is drawn: its picture has many colours, an empty box would have one.
    assert all(len(picture.resize((80, 80)).getcolors(6400)) > 200 for picture in taken.values())
