"""`world-models export web`: a folder that a static host serves, made of what the trained agent really drove."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="the extra `web` is not installed")
pytest.importorskip("onnxscript", reason="the extra `web` is not installed")
pytest.importorskip("onnxruntime", reason="the extra `web` is not installed")

import torch
from PIL import Image

from tests.cli_cases import Refused, snapshot
from tests.small_envs import PICK, STEER
from tests.small_runs import save_controller, save_mdrnn, save_run, save_vae
from tests.web_cases import Session, placeholder_page
from world_models import cli
from world_models.envs.frames import resize_frames
from world_models.envs.registry import make_gym
from world_models.models.load import load_mdrnn, load_vae
from world_models.rollout.driver import Driver, Recipe
from world_models.runs.evaluation import run_recipe
from world_models.types import Episode
from world_models.utils.run_dir import best_path, load_checkpoint, save_checkpoint
from world_models.vision.frames import images_from_frames
from world_models.web import site as site_module
from world_models.web.recordings import sprite_sheet
from world_models.web.site import Site, export_site

STARTS, SEED = 2, 40


def recipe_of(run: Path) -> Recipe:
    return run_recipe(run, None, "auto")


def load(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


Exported = tuple[Path, Path, Path, Site]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """A run of Steer, the smallest page, the site made of both, and what was said of it."""
    folder = tmp_path_factory.mktemp("export")
    run, page = save_run(folder / "run"), placeholder_page(folder / "page")
    save_controller(run, env_name=STEER)
    said = export_site(recipe_of(run), folder / "site", starts=STARTS, seed=SEED, page=page)
    return run, page, folder / "site", said


def test_the_manifest_keeps_the_contract(exported: Exported) -> None:
    _, _, site, _ = exported
    facts = load(site / "model" / "manifest.json")
    assert facts["format"] == 1 and facts["env_id"] == STEER and facts["title"] == "Steer"
    assert facts["fps"] == 50 and facts["max_steps"] == 1000 and facts["temperature"] == 1.0
    sizes = ("latent_size", "hidden_size", "action_size", "gaussians")
    assert [facts[size] for size in sizes] == [4, 6, 2, 2]
    assert facts["has_terminal"] is False and facts["score"] is None
    assert facts["controls"] == {
        "kind": "generic",
        "names": ["action 0", "action 1"],
        "low": [-2.0, -2.0],
        "high": [2.0, 2.0],
        "discrete": False,
    }
    assert len(facts["starts"]) == STARTS
    for index, start in enumerate(facts["starts"]):
        assert (start["recording"], start["sprite"]) == (f"recording_{index}.json", f"recording_{index}.jpg")
        assert start["label"] == f"Episode {start['seed']}"
        assert [len(start[name]) for name in ("z", "h", "c")] == [4, 6, 6]
    listed = {path.name for path in (site / "model").iterdir()} - {"manifest.json"}
    assert set(facts["files"]) == listed
    for name, told in facts["files"].items():
        data = (site / "model" / name).read_bytes()
        assert told == {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def redriven(seed: int, actions: list[list[float]]) -> tuple[np.ndarray, list[float]]:
    """Frames before each step, and rewards, of Gymnasium's own environment given the recorded actions."""
    env = make_gym(STEER)
    frame, _ = env.reset(seed=seed)
    frames, rewards = [], []
    for action in actions:
        frames.append(frame)
        frame, reward, *_ = env.step(np.asarray(action, np.float32))
        rewards.append(float(reward))
    return resize_frames(np.stack(frames)), rewards


def test_a_recording_is_what_happens_when_its_actions_are_taken_again(
    exported: Exported,
) -> None:
    run, _, site, _ = exported
    for start in load(site / "model" / "manifest.json")["starts"]:
        recording = load(site / "model" / start["recording"])
        assert recording["columns"] == 25 and recording["frames"] == len(recording["actions"])
        frames, rewards = redriven(start["seed"], recording["actions"])
        assert np.allclose(recording["rewards"], rewards, atol=1e-3)
        with torch.no_grad():
            means = load_vae(run).encoder(images_from_frames(frames))[0].numpy()
        assert np.allclose(recording["latents"], means, atol=2e-3)  # a rounded action can turn a pixel by one
        sheet = np.asarray(Image.open(site / "model" / start["sprite"]))
        assert sheet.shape == (64, 25 * 64, 3)
        for t, frame in enumerate(frames):
            tile = sheet[:, 64 * t : 64 * (t + 1)].astype(float)
            assert abs(tile.mean() - frame.mean()) < 2, t
        assert sheet[:, 64 * len(frames) :].max() == 0


def test_the_dream_begins_where_m_stands_after_the_warm_up(exported: Exported) -> None:
    run, _, site, _ = exported
    rnn = load_mdrnn(run).rnn  # the sequence model, which the export does not use
    for number, start in enumerate(load(site / "model" / "manifest.json")["starts"]):
        recording = load(site / "model" / start["recording"])
        steps, half = start["warm_up"], recording["frames"] // 2
        assert steps == half or (number and half < steps <= 0.6 * recording["frames"]), "shorter than two warm-ups"
        assert start["z"] == recording["latents"][steps]
        before = [torch.tensor(recording[name][:steps]) for name in ("actions", "latents")]
        with torch.no_grad():
            _, (h, c) = rnn(torch.cat(before, -1)[:, None])
        assert np.allclose(start["h"], h.flatten(), atol=1e-6) and np.abs(start["h"]).max() > 1e-3
        assert np.allclose(start["c"], c.flatten(), atol=1e-6)


def test_the_sliders_range_is_that_of_the_recorded_latents(exported: Exported) -> None:
    _, _, site, _ = exported
    facts = load(site / "model" / "manifest.json")
    latents = np.concatenate([load(site / "model" / start["recording"])["latents"] for start in facts["starts"]])
    assert np.allclose(facts["latent_mean"], latents.mean(0), atol=1e-4)
    assert np.allclose(facts["latent_std"], latents.std(0), atol=1e-4)
    assert [set(effect) for effect in facts["latent_effects"]] == [{"moved", "says"}] * 4


def test_the_best_of_three_times_as_many_episodes_are_taken(exported: Exported) -> None:
    run, _, site, _ = exported
    driver = Driver(recipe_of(run))
    results = driver.evaluate([Episode(0, SEED + i) for i in range(3 * STARTS)])
    driver.close()
    best = sorted(results, key=lambda result: -result.episode_return)[:STARTS]
    assert [start["seed"] for start in load(site / "model" / "manifest.json")["starts"]] == sorted(
        result.episode.seed for result in best
    )


def test_the_graphs_dream_on_from_a_start_of_the_manifest(exported: Exported) -> None:
    _, _, site, _ = exported
    graphs = {name: Session((site / "model" / f"{name}.onnx").read_bytes()) for name in ("memory", "controller")}
    start = load(site / "model" / "manifest.json")["starts"][0]
    state = {name: torch.tensor([start[name]]) for name in ("z", "h", "c")}
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        action = graphs["controller"](state)["action"]
        chances = {"pick": torch.rand(1, generator=generator), "noise": torch.randn(1, 4, generator=generator)}
        out = graphs["memory"]({"action": action, **state, "temperature": torch.ones(1, 1), **chances})
        state = {name: out[f"next_{name}"] for name in ("z", "h", "c")}
        assert all(torch.isfinite(value).all() for value in out.values())


def test_only_v_is_stored_in_halves(exported: Exported, tmp_path: Path) -> None:
    run, _, site, _ = exported
    assert cli.main(["export", "onnx", "--logdir", str(run), "--out", str(tmp_path / "graphs")]) == 0
    sizes = {
        name: (site / "model" / name).stat().st_size / (tmp_path / "graphs" / name).stat().st_size
        for name in ("encoder.onnx", "decoder.onnx", "memory.onnx", "controller.onnx")
    }
    assert sizes["encoder.onnx"] < 0.55 and sizes["decoder.onnx"] < 0.55
    assert sizes["memory.onnx"] == sizes["controller.onnx"] == 1


def test_the_same_run_and_seed_give_the_same_bytes(exported: Exported, tmp_path: Path) -> None:
    run, page, site, _ = exported
    export_site(recipe_of(run), tmp_path / "again", starts=STARTS, seed=SEED, page=page)
    files = {path.relative_to(site): path.read_bytes() for path in site.rglob("*") if path.is_file()}
    again = tmp_path / "again"
    assert files == {path.relative_to(again): path.read_bytes() for path in again.rglob("*") if path.is_file()}


def test_the_page_and_the_runtime_are_copied_whole(exported: Exported) -> None:
    _, page, site, said = exported
    for name in ("index.html", "js/main.js"):
        assert (site / name).read_bytes() == (page / name).read_bytes()
    readme = (Path(site_module.__file__).parent / "vendor" / "README.md").read_text("utf-8")
    told = re.findall(r"`(\S+)\.xz` \| `\S+` \| ([\d,]+) \| `([0-9a-f]{64})`", readme)
    assert len(told) == 3
    for name, size, digest in told:
        data = (site / "vendor" / "ort" / name).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (int(size.replace(",", "")), digest)
    assert "MIT License" in (site / "vendor" / "ort" / "LICENSE").read_text("utf-8")
    assert "NOTICES" in (site / "vendor" / "ort" / "ThirdPartyNotices.txt").read_text("utf-8")
    contents = [path.read_bytes() for path in site.rglob("*") if path.is_file()]
    assert said.total == sum(map(len, contents))
    assert said.compressed == pytest.approx(sum(len(gzip.compress(content, 6)) for content in contents), rel=1e-3)
    assert said.compressed < 8_000_000, "what the runtime and a small V leave of 15 MB"


def test_a_sheet_has_its_tiles_row_by_row_and_clean_at_their_edges() -> None:
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 256, (60, 3))
    frames = np.broadcast_to(colours[:, None, None], (60, 64, 64, 3)).astype(np.uint8)
    sheet = np.asarray(Image.open(io.BytesIO(sprite_sheet(frames)))).astype(int)
    assert sheet.shape == (3 * 64, 25 * 64, 3)
    for t, colour in enumerate(colours):
        top, left = 64 * (t // 25), 64 * (t % 25)
        assert np.abs(sheet[top : top + 64, left : left + 64] - colour).max() <= 4, t


@pytest.fixture
def no_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves out what takes seconds, and is tested above: the graphs' contents and the runtime."""
    monkeypatch.setattr(site_module, "onnx_bytes", lambda graph, half_weights: graph.name.encode())
    monkeypatch.setattr(site_module, "unpack_runtime", lambda target: target.mkdir(parents=True))


def small_export(run: Path, out: Path, page: Path, **changes: Any) -> Any:
    export_site(recipe_of(run), out, starts=1, seed=SEED, page=page, **changes)
    return load(out / "model" / "manifest.json")


@pytest.mark.usefixtures("no_graphs")
def test_discrete_actions_are_one_hot_rows(tmp_path: Path) -> None:
    run, page = tmp_path / "run", placeholder_page(tmp_path / "page")
    save_vae(run)
    save_mdrnn(run, actions=3)
    save_controller(run, actions=3, env_name=PICK, hidden_layers=(5,))
    facts = small_export(run, tmp_path / "site", page, warm_up=2)
    assert facts["controls"]["discrete"] is True and facts["controls"]["high"] == [1, 1, 1]
    rows = np.array(load(tmp_path / "site" / "model" / "recording_0.json")["actions"])
    assert rows.shape == (5, 3) and (rows.sum(1) == 1).all() and set(rows.flatten()) == {0, 1}
    assert facts["starts"][0]["warm_up"] == 2


@pytest.mark.usefixtures("no_graphs")
def test_the_score_and_the_terminals_are_the_runs_own(tmp_path: Path) -> None:
    run, page = save_run(tmp_path / "run"), placeholder_page(tmp_path / "page")
    save_controller(run, env_name=STEER)
    for stage, facts in (("ctrl", {"return_mean": 12.5}), ("mdrnn", {"terminal_trained": True})):
        path = best_path(run, stage)
        save_checkpoint(path, load_checkpoint(path) | facts)
    told = small_export(run, tmp_path / "site", page)
    assert told["score"] == {"mean": 12.5, "std": None, "episodes": None}
    assert told["has_terminal"] is True
    evaluated = {"mean": 11.0, "std": 2.0, "episodes": 16, "returns": [11.0]}
    (run / "summary.json").write_text(json.dumps({"trained": evaluated}), "utf-8")
    told = small_export(run, tmp_path / "site", page)
    assert told["score"] == {"mean": 11.0, "std": 2.0, "episodes": 16}
    (run / "evaluation.json").write_text(json.dumps(evaluated | {"mean": 9.0, "episodes": 100}), "utf-8")
    told = small_export(run, tmp_path / "site", page)
    assert told["score"] == {"mean": 9.0, "std": 2.0, "episodes": 100}


@pytest.mark.usefixtures("no_graphs")
def test_what_fails_half_way_leaves_the_former_page_as_it_was(
    exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, page, site, _ = exported
    shutil.copytree(site, tmp_path / "site")
    before = snapshot(tmp_path)

    def full_disk(frames: np.ndarray) -> bytes:
        raise OSError("No space left on device")

    monkeypatch.setattr(site_module, "sprite_sheet", full_disk)
    with pytest.raises(OSError, match="No space"):
        small_export(run, tmp_path / "site", page)
    assert snapshot(tmp_path) == before


@pytest.mark.usefixtures("no_graphs")
def test_the_command_says_where_the_page_is_and_how_to_look_at_it(
    exported: Exported,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run, page, site, _ = exported
    monkeypatch.setattr(site_module, "page_files", lambda: page)
    out = tmp_path / "deep" / "site"
    flags = ["--starts", str(STARTS), "--seed", str(SEED)]
    assert cli.main(["export", "web", "--logdir", str(run), "--out", str(out), *flags]) == 0
    said = capsys.readouterr().out
    assert f"{out}: " in said and "gzip" in said
    last = said.splitlines()[-1]
    assert f"python -m http.server -d {out}" in last and "http://localhost:8000" in last
    starts = [load(folder / "model" / "manifest.json")["starts"] for folder in (out, site)]
    assert starts[0] == starts[1]


@pytest.mark.usefixtures("no_graphs")
def test_what_cannot_be_a_page_is_refused(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    command = ("export", "web", "--logdir", "run", "--out", "site")
    page = placeholder_page(Path("page"))
    refused(*command, says=("run", "ctrl", "train"))
    save_controller(save_run(Path("run")), env_name=STEER)
    for flag, value in (("--starts", "0"), ("--seed", "-1")):
        refused(*command, flag, value, says=(flag[2:], value))
    monkeypatch.setattr(site_module, "page_files", lambda: page)
    refused(*command, "--env", "CarRacing-v3", says=("2 actions", "CarRacing-v3 has 3"))
    monkeypatch.setattr(site_module, "page_files", lambda: Path("no page"))
    refused(*command, says=("index.html", "no page", "install"))
    Path("site").mkdir()
    Path("site", "index.html").write_text("my own page")
    refused(*command, says=("site", "former export", "--out"))
    Path("site", "index.html").unlink()
    best_path("run", "mdrnn").unlink()
    monkeypatch.setattr(site_module, "page_files", lambda: page)
    refused(*command, says=("run/mdrnn/best.tar", "--stage rnn"))
