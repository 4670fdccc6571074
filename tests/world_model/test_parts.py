"""The façade: loading, V, M, and saving."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.dreams import random_cell
from tests.small_envs import STEER
from tests.small_runs import GAUSSIANS, HIDDENS, LATENTS, save_run
from tests.world_model_values import AXES, KINDS, ROOT, noise, number, pictures
from world_models import cli
from world_models.datasets.dream_starts import starts_path
from world_models.errors import ActionSpaceError, CheckpointError, ConfigError, ObservationError
from world_models.models.load import load_cell, load_vae
from world_models.utils.run_dir import STAGES, best_path, load_checkpoint
from world_models.vision.frames import frames_from_images
from world_models.vision.latents import encode
from world_models.vision.resize import resize_frames
from world_models.world_model import WorldModel, load


def test_importing_the_package_imports_no_pytorch_until_a_name_is_used():
    program = (
        "import sys, world_models\n"
        "assert 'torch' not in sys.modules and {'load', 'WorldModel'} <= set(world_models.__all__)\n"
        "from world_models import WorldModel\n"
        "assert world_models.load.__module__ == WorldModel.__module__ == 'world_models.world_model'\n"
        "assert 'torch' in sys.modules\n"
        "try:\n    world_models.lod\nexcept AttributeError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "module 'world_models' has no attribute 'lod'\n", done.stderr


@pytest.mark.parametrize(("name", "sizes"), [("carracing", (32, 256, 3)), ("takecover", (64, 512, 1))])
def test_the_clones_agents_are_loaded_by_their_names(name: str, sizes: tuple[int, ...]):
    model = load(name)
    assert (model.cell.latents, model.cell.hiddens, model.cell.actions) == sizes
    assert (
        model.controller is not None
        and model.env_name == load_checkpoint(ROOT / "checkpoints" / name / "ctrl" / "best.tar")["env_name"]
    )
    seen = model.encode(pictures(2, 64, 64, 3))
    assert len(model.dream(seen, np.zeros((5, 2, sizes[2])), terminal="never")) == 5


def test_a_folder_goes_before_an_agent_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    save_run(tmp_path / "carracing")
    monkeypatch.chdir(tmp_path)
    assert load("carracing").cell.latents == LATENTS


def test_an_unknown_name_is_told_what_there_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    with pytest.raises(
        CheckpointError, match="no folder 'mario', and the trained agents here are carracing, takecover"
    ):
        load("mario")
    monkeypatch.setattr("world_models.utils.shipped.SHIPPED", tmp_path)
    with pytest.raises(CheckpointError, match="no folder 'carracing', and no trained agents lie here"):
        load("carracing")
    with pytest.raises(CheckpointError, match=r"vae/best\.tar does not exist: train that stage first"):
        load(tmp_path)


def test_parts_that_do_not_fit_are_refused(tmp_path: Path, model: WorldModel):
    from tests.small_runs import save_mdrnn

    with pytest.raises(CheckpointError, match=f"V has {LATENTS} latents and M {LATENTS + 1}"):
        WorldModel(model.vae, save_mdrnn(tmp_path, latents=LATENTS + 1))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("axes", AXES, ids=str)
def test_frames_are_encoded_and_decoded_with_any_leading_axes(
    model: WorldModel, logdir: Path, axes: tuple[int, ...], kind: Callable
):
    frames = pictures(*axes, 64, 64, 3)
    vae = load_vae(logdir)
    mu, _ = encode(vae, torch.from_numpy(frames))
    z, drawn, again = (model.encode(kind(frames), *seed) for seed in ((), (5,), (5,)))
    assert type(z) is type(drawn) is type(kind(frames)) and z.shape == (*axes, LATENTS)
    np.testing.assert_array_equal(number(z), mu.numpy())
    assert (number(drawn) == number(again)).all() and not (number(drawn) == number(z)).any()
    seen = model.decode(z)
    assert type(seen) is type(z) and seen.shape == frames.shape and number(seen).dtype == np.uint8
    with torch.no_grad():
        expected = frames_from_images(vae.decoder(mu.reshape(-1, LATENTS)))
    np.testing.assert_array_equal(number(seen).reshape(expected.shape), expected)


def test_native_pictures_are_cut_and_resized_as_for_driving():
    model, native = load("carracing"), pictures(2, 96, 96, 3)
    np.testing.assert_array_equal(model.encode(native), model.encode(resize_frames(native, rows=84)))


@pytest.mark.parametrize(
    "frames", [noise(64, 64, 3), pictures(64, 64), pictures(64, 64, 4)], ids=["float", "gray", "4"]
)
def test_what_is_no_picture_is_refused(model: WorldModel, frames: np.ndarray):
    with pytest.raises(ObservationError, match="give uint8 pictures"):
        model.encode(frames)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("axes", AXES, ids=str)
def test_a_step_is_ms_with_any_leading_axes(model: WorldModel, logdir: Path, axes: tuple[int, ...], kind: Callable):
    z, action = kind(noise(*axes, LATENTS)), kind(noise(*axes, 2, seed=1))
    state = tuple(kind(noise(*axes, HIDDENS, seed=seed)) for seed in (2, 3))
    told = model.step(z, action, state)
    rows = [torch.as_tensor(each).reshape(-1, each.shape[-1]) for each in (action, z, *state)]
    with torch.no_grad():
        *expected, hidden = load_cell(logdir)(rows[0], rows[1], (rows[2], rows[3]))
    shapes = [(GAUSSIANS, LATENTS), (GAUSSIANS, LATENTS), (GAUSSIANS,), (), ()]
    expected[4] = expected[4].sigmoid()
    for mine, theirs, shape in zip(told[:5], expected, shapes, strict=True):
        assert type(mine) is type(z) and mine.shape == (*axes, *shape)
        np.testing.assert_array_equal(number(mine).reshape(theirs.shape), theirs.numpy())
    for mine, theirs in zip(told.state, hidden, strict=True):
        assert mine.shape == (*axes, HIDDENS)
        np.testing.assert_array_equal(number(mine).reshape(theirs.shape), theirs.numpy())
    assert told.sample(seed=1).shape == z.shape


def test_the_state_is_handed_on_and_begins_with_zeros(model: WorldModel):
    z, actions = noise(6, LATENTS), noise(6, 2, seed=1)
    with torch.no_grad():
        mus, *_, rewards, _ = model.mdrnn(torch.from_numpy(actions)[:, None], torch.from_numpy(z)[:, None])
    state = None
    for t in range(6):
        told = model.step(z[t], actions[t], state)
        np.testing.assert_allclose(told.mus, mus[t, 0], atol=1e-6)
        assert told.reward == pytest.approx(float(rewards[t, 0]), abs=1e-6)
        state = told.state


def test_one_action_goes_with_many_latents(model: WorldModel):
    z, action = noise(4, LATENTS), noise(2)
    many, single = model.step(z, action), model.step(z[2], action)
    np.testing.assert_allclose(many.mus[2], single.mus, atol=1e-6)
    with pytest.raises(ConfigError, match=r"The shapes \(3, 2\), \(4, 4\).* do not fit together"):
        model.step(z, noise(3, 2))
    with pytest.raises(ActionSpaceError, match="no action of"):
        model.step(z, noise(4, 3))


def test_draws_come_from_the_mixture_and_their_seed(model: WorldModel):
    told = model.step(noise(500, LATENTS) * 0, noise(500, 2) * 0)
    first, again, other = (told.sample(seed=seed) for seed in (1, 1, 2))
    assert (first == again).all() and not (first == other).any()
    weights = np.exp(told.logpi)[..., None]
    np.testing.assert_allclose(first.mean(0), (weights * told.mus).sum(1)[0], atol=0.3)
    assert told.sample(temperature=1e-3, seed=1).std(0).max() < first.std(0).min()
    torch.manual_seed(3)
    assert not (told.sample() == told.sample()).any()


def test_a_model_of_an_unknown_environment_takes_floats_as_they_are(tmp_path: Path):
    model = load(save_run(tmp_path))
    far = model.step(noise(LATENTS), np.float32([9, -9]))
    assert not (far.mus == model.step(noise(LATENTS), np.float32([2, -2])).mus).all()
    with pytest.raises(ConfigError, match=r"The actions have the shape \(3,\), and M takes \(\.\.\., 2\)"):
        model.step(noise(LATENTS), noise(3))
    with pytest.raises(ConfigError, match="does not say its environment"):
        model.step(noise(LATENTS), 1)


def test_what_is_saved_is_what_was_loaded_to_the_bit(model: WorldModel, logdir: Path, tmp_path: Path):
    model.save(tmp_path / "copy")
    for stage in STAGES:
        old, new = (load_checkpoint(best_path(folder, stage)) for folder in (logdir, tmp_path / "copy"))
        assert all(torch.equal(old["state_dict"].pop(name), value) for name, value in new.pop("state_dict").items())
        assert not old.pop("state_dict") and old.items() <= new.items()
    assert starts_path(tmp_path / "copy").is_file()
    copy, actions = load(tmp_path / "copy"), noise(9, 2)
    np.testing.assert_array_equal(copy.dream(None, actions).z, model.dream(None, actions).z)
    with pytest.raises(ConfigError, match=r"best\.tar is there already: name a new folder"):
        model.save(tmp_path / "copy")


def test_a_shipped_agent_comes_back_as_it_is_and_commands_read_it(tmp_path: Path):
    model = load("takecover")
    model.save(tmp_path / "run")
    again = load(tmp_path / "run")
    for part in ("vae", "mdrnn", "controller"):
        mine, theirs = getattr(model, part).state_dict(), getattr(again, part).state_dict()
        assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    assert cli.main(["export", "run", "--logdir", str(tmp_path / "run"), "--out", str(tmp_path / "packed")]) == 0
    assert load(tmp_path / "packed").env_name == model.env_name


def test_parts_of_ones_own_become_a_run_that_is_evaluated(model: WorldModel, tmp_path: Path, capsys):
    from world_models.models.mdrnn import MDRNN

    mdrnn = MDRNN(**random_cell().sizes)
    built = WorldModel(model.vae, mdrnn, model.controller, env_name=STEER)
    built.save(tmp_path / "run")
    assert load_checkpoint(best_path(tmp_path / "run", "ctrl"))["env_name"] == STEER
    flags = ["--logdir", str(tmp_path / "run"), "--episodes", "2", "--workers", "1", "--json"]
    assert cli.main(["evaluate", *flags]) == 0
    assert '"returns"' in capsys.readouterr().out
