"""Stage V: the eight behaviours of the specification's training loop, and exact resume."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.doubles import make_rollouts, noise_rollout
from tests.training.runs import (
    LATENTS,
    assert_same_run,
    interrupted_process,
    losses_of,
    rollouts,
    vae_config,
)
from world_models.configs.wm_config import WMVAEConfig
from world_models.datasets.rollout_files import read_rollout, write_rollout
from world_models.errors import CheckpointError, ConfigError, DataError
from world_models.losses.convae_loss import conv_vae_loss_fn
from world_models.models.load import load_vae
from world_models.training import train_convvae as stage
from world_models.training.fit.devices import autocast_for, compiled
from world_models.training.fit.sample_sheets import sample_rows
from world_models.training.fit.splits import default_test_files, split_indices
from world_models.training.train_convvae import VAELoss, count_active_latents, reconstruct_with, train_convae
from world_models.utils.run_dir import best_path, checkpoint_path, load_checkpoint, log_path
from world_models.vision.frames import images_from_frames
from world_models.vision.VAE.ConvVAE import ConvVAE


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return rollouts(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of three epochs that was never stopped."""
    logdir = tmp_path_factory.mktemp("whole")
    train_convae(vae_config(data, logdir, 3))
    return logdir


def test_the_checkpoint_holds_what_the_other_stages_need(whole: Path) -> None:
    best = load_checkpoint(best_path(whole, "vae"))
    assert (best["latent_size"], best["img_channels"]) == (LATENTS, 3)
    assert {"epoch", "test_loss", "active_latents", "data_backend"} <= best.keys()
    vae = load_vae(whole)
    assert vae.latent_size == LATENTS and not vae.training


def test_losses_are_logged_a_frame_and_add_up(whole: Path, data: Path) -> None:
    result = train_convae(vae_config(data, whole, 3))
    for record in result.history:
        assert record["loss"] == pytest.approx(record["recon"] + record["kl"], rel=1e-5)
        assert record["test_loss"] == record["loss"]
        assert 0 <= record["active_latents"] <= LATENTS
        # Noise has a variance of 1/12 a value: a summed error a frame, not a mean over pixels or a batch sum.
        assert 0.5 < record["recon"] / (3 * 64 * 64 / 12) < 1.5
    assert result.history[-1]["train_loss"] < result.history[0]["train_loss"]


def test_the_loss_is_the_documented_one_divided_by_the_batch_size() -> None:
    vae = ConvVAE(3, LATENTS)
    frames = torch.randint(0, 256, (5, 64, 64, 3), dtype=torch.uint8)
    loss_fn = VAELoss(lambda x, e: reconstruct_with(vae, x, e), LATENTS, torch.device("cpu"))
    losses, count = loss_fn(frames, torch.Generator().manual_seed(3))
    noise = torch.randn(5, LATENTS, generator=torch.Generator().manual_seed(3))
    images = images_from_frames(frames)
    mu, logsigma = vae.encoder(images)
    expected = conv_vae_loss_fn(vae.decoder(mu + logsigma.exp() * noise), images, mu, logsigma) / 5
    assert count == 5
    torch.testing.assert_close(losses["loss"], expected)


def test_free_bits_raise_the_loss_but_not_the_kl_that_is_logged() -> None:
    vae = ConvVAE(3, LATENTS)
    frames = torch.randint(0, 256, (4, 64, 64, 3), dtype=torch.uint8)

    def losses(free_bits: float) -> Mapping[str, torch.Tensor]:
        loss_fn = VAELoss(lambda x, e: reconstruct_with(vae, x, e), LATENTS, torch.device("cpu"), free_bits)
        return loss_fn(frames, torch.Generator().manual_seed(0))[0]

    plain, floored = losses(0.0), losses(10.0)
    torch.testing.assert_close(floored["kl"], plain["kl"])
    torch.testing.assert_close(floored["loss"] - floored["recon"], torch.tensor(10.0 * LATENTS))


def test_the_kl_is_weighed_in_the_loss_and_logged_as_it_is() -> None:
    vae = ConvVAE(3, LATENTS)
    frames = torch.randint(0, 256, (4, 64, 64, 3), dtype=torch.uint8)

    def losses(**weight: float) -> Mapping[str, torch.Tensor]:
        loss_fn = VAELoss(lambda x, e: reconstruct_with(vae, x, e), LATENTS, torch.device("cpu"), **weight)
        return loss_fn(frames, torch.Generator().manual_seed(0))[0]

    documented, light = losses(), losses(kl_weight=0.25)
    torch.testing.assert_close(documented["loss"], documented["recon"] + documented["kl"])
    torch.testing.assert_close(light["loss"], documented["recon"] + 0.25 * documented["kl"])
    torch.testing.assert_close(light["kl"], documented["kl"])


def test_a_latent_is_active_when_its_mean_varies_over_frames() -> None:
    mu = torch.tensor([[0.0, 5.0, 1.0, 0.05], [0.0, 5.0, -1.0, -0.05]], dtype=torch.float64)
    means = {"mu": mu.mean(0), "mu_squared": mu.square().mean(0)}
    assert count_active_latents(means) == {"active_latents": 1}


def test_frames_that_differ_are_learned(tmp_path: Path) -> None:
    make_rollouts(tmp_path / "data", [24])
    config = vae_config(tmp_path / "data", tmp_path, 6, num_test_files=0)
    result = train_convae(config)
    assert result.history[-1]["train_recon"] < 0.5 * result.history[0]["train_recon"]


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_both_precisions_train_and_leave_weights_in_float32(precision: str, data: Path, tmp_path: Path) -> None:
    result = train_convae(vae_config(data, tmp_path, 1, precision=precision))
    weights = load_checkpoint(result.best)["state_dict"].values()
    assert {weight.dtype for weight in weights} == {torch.float32}


def test_bf16_gives_nearly_the_loss_of_float32() -> None:
    vae = ConvVAE(3, LATENTS)
    loss_fn = VAELoss(lambda x, e: reconstruct_with(vae, x, e), LATENTS, torch.device("cpu"))
    frames = torch.randint(0, 256, (4, 64, 64, 3), dtype=torch.uint8)
    values = []
    for bf16 in (False, True):
        with autocast_for(torch.device("cpu"), bf16)():
            losses, _ = loss_fn(frames, torch.Generator().manual_seed(0))
        assert losses["loss"].dtype == torch.float32
        values.append(float(losses["loss"].detach()))
    assert values[1] == pytest.approx(values[0], rel=1e-2)


class Darkening:
    """An albumentations-style transform that halves the light and counts its calls."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, *, image: np.ndarray[Any, Any]) -> dict[str, Any]:
        self.shapes.append(image.shape)
        return {"image": image // 2}


def test_the_transform_sees_each_training_frame_and_no_other(data: Path, tmp_path: Path) -> None:
    transform = Darkening()
    train_convae(vae_config(data, tmp_path, 2), transform=transform)
    assert transform.shapes == [(64, 64, 3)] * 2 * (14 + 12)


@pytest.mark.parametrize(("interval", "expected"), [(1, [1, 2, 3]), (2, [2, 3]), (5, [3])])
def test_sample_sheets_come_every_interval_and_at_the_end(
    interval: int, expected: list[int], data: Path, tmp_path: Path
) -> None:
    train_convae(vae_config(data, tmp_path, 3, nosamples=False, sample_interval=interval, frames_per_epoch=8))
    sheets = sorted((tmp_path / "vae" / "samples").iterdir())
    assert [sheet.name for sheet in sheets] == [f"epoch_{epoch:04d}.png" for epoch in expected]
    with Image.open(sheets[0]) as picture:
        assert picture.format == "PNG" and picture.width > 8 * 64


def test_no_sample_sheets_when_they_are_not_wanted(whole: Path) -> None:
    assert not (whole / "vae" / "samples").exists()


def test_a_sheet_has_originals_reconstructions_and_draws_from_the_prior(whole: Path, data: Path) -> None:
    vae = load_vae(whole)
    frames = read_rollout(sorted(data.glob("*.npz"))[0]).observations[:6]
    rows = sample_rows(vae, frames)
    assert [row.shape for _, row in rows] == [(6, 64, 64, 3)] * 3
    np.testing.assert_array_equal(rows[0][1], frames)
    for (_, one), (_, other) in zip(rows, sample_rows(vae, frames), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_cap_on_frames_shortens_the_epoch(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    original = VAELoss.__call__

    def spy(self: VAELoss, frames: torch.Tensor, generator: torch.Generator) -> Any:
        seen.append(len(frames))
        return original(self, frames, generator)

    monkeypatch.setattr(VAELoss, "__call__", spy)
    train_convae(vae_config(data, tmp_path, 1, frames_per_epoch=16, num_test_files=0))
    assert seen == [8, 8]


def test_an_equal_seed_gives_equal_losses_and_another_one_others(whole: Path, data: Path, tmp_path: Path) -> None:
    again = train_convae(vae_config(data, tmp_path / "again", 3))
    assert_same_run(whole, tmp_path / "again", "vae")
    other = train_convae(vae_config(data, tmp_path / "other", 1, seed=1))
    assert losses_of(other.history[:1]) != losses_of(again.history[:1])


class Crash(Exception):
    """A crash in the middle of an epoch."""


@pytest.mark.parametrize("batches", [2, 9])
def test_a_run_that_crashed_goes_on_and_ends_as_one_that_did_not(
    batches: int, whole: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = iter(range(batches))
    original = VAELoss.__call__

    def crashing(self: VAELoss, frames: torch.Tensor, generator: torch.Generator) -> Any:
        if next(left, None) is None:
            raise Crash
        return original(self, frames, generator)

    with monkeypatch.context() as patch, pytest.raises(Crash):
        patch.setattr(VAELoss, "__call__", crashing)
        train_convae(vae_config(data, tmp_path, 3))
    train_convae(vae_config(data, tmp_path, 3))
    assert_same_run(whole, tmp_path, "vae")


def test_a_process_stopped_by_ctrl_c_goes_on_and_ends_as_one_that_was_not(data: Path, tmp_path: Path) -> None:
    settings = {"frames_per_epoch": 16, "train_batch_size": 4}
    config = vae_config(data, tmp_path / "cut", 40, **settings)
    program = f"""
import torch
torch.set_num_threads(1)
from world_models.configs.wm_config import WMVAEConfig
from world_models.training.train_convvae import train_convae
train_convae(WMVAEConfig({config.to_dict()!r}))
"""
    interrupted_process(program, log_path(tmp_path / "cut", "vae"), epochs_before=2)
    reached = load_checkpoint(checkpoint_path(tmp_path / "cut", "vae"))["epoch"]
    assert 1 <= reached < 40
    epochs = reached + 2
    train_convae(vae_config(data, tmp_path / "cut", epochs, **settings))
    train_convae(vae_config(data, tmp_path / "whole", epochs, **settings))
    assert_same_run(tmp_path / "whole", tmp_path / "cut", "vae")


def test_a_v_of_another_latent_size_is_refused_and_nothing_is_overwritten(data: Path, tmp_path: Path) -> None:
    train_convae(vae_config(data, tmp_path, 1, frames_per_epoch=8))
    before = {path: path.read_bytes() for path in (tmp_path / "vae").iterdir()}
    with pytest.raises(CheckpointError, match="latent_size is 4 in the checkpoint and 5 in the settings"):
        train_convae(vae_config(data, tmp_path, 2, latent_size=5))
    assert {path: path.read_bytes() for path in (tmp_path / "vae").iterdir()} == before


@pytest.mark.parametrize("content", [b"", b"not a checkpoint"])
def test_a_file_that_is_no_checkpoint_is_refused(content: bytes, data: Path, tmp_path: Path) -> None:
    path = checkpoint_path(tmp_path, "vae")
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"checkpoint\.tar"):
        train_convae(vae_config(data, tmp_path))
    assert path.read_bytes() == content


def test_no_data_is_an_error_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for folder in ("empty", "missing"):
        with pytest.raises(DataError, match=folder):
            train_convae(vae_config(tmp_path / folder, tmp_path / "run"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"height": 96}, "height is 96"),
        ({"precision": "fp8"}, "precision is 'fp8'"),
        ({"free_bits": -1}, "free_bits is -1"),
        ({"kl_weight": -0.5}, "kl_weight is -0.5"),
        ({"frames_per_epoch": 0}, "frames_per_epoch is 0"),
        ({"num_test_files": -1}, "num_test_files is -1"),
        ({"seed": "x"}, "seed is 'x'"),
    ],
)
def test_a_setting_that_cannot_work_is_named(changes: dict[str, Any], message: str, data: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        train_convae(vae_config(data, tmp_path, **changes))
    assert not (tmp_path / "vae").exists()


def test_frames_that_never_change_are_said_before_v_trains(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    still = replace(noise_rollout(9), observations=np.full((9, 64, 64, 3), 100, np.uint8))
    write_rollout(tmp_path / "data" / "a.npz", still)
    said: list[str] = []
    monkeypatch.setattr("world_models.training.train_convvae.fit", lambda job: said.append(caplog.text))
    train_convae(vae_config(tmp_path / "data", tmp_path / "run"))
    assert "data: 9 frames from all over the data are one and the same picture" in said[0]


def test_a_test_split_that_leaves_nothing_is_given_up_and_said(
    data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        result = train_convae(vae_config(data, tmp_path, 1, num_test_files=3))
    assert "num_test_files=3 of 3" in caplog.text
    assert result.history[0]["test_loss"] is None


@pytest.mark.parametrize(
    ("files", "expected"), [(1, 0), (9, 0), (10, 1), (64, 6), (600, 60), (601, 600), (10_000, 600)]
)
def test_the_default_split_is_the_documented_one_where_there_are_files_enough(files: int, expected: int) -> None:
    names = [Path(f"rollout_{index:05d}.npz") for index in range(files)]
    train, test = split_indices(names, None, "vae")
    assert len(test) == expected == default_test_files(files)
    assert train + test == list(range(files))


def test_what_cannot_be_compiled_is_computed_as_it_is_and_said(caplog: pytest.LogCaptureFixture) -> None:
    def failing(function: Any) -> Any:
        def call(*args: Any) -> Any:
            raise RuntimeError("no compiler")

        return call

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "compile", failing)
        double = compiled(lambda x: 2 * x, torch.device("cuda"), wanted=True)
    assert double(2) == double(2) == 4
    assert caplog.text.count("no compiler") == 1


def test_nothing_is_compiled_on_a_cpu() -> None:
    def function(x: int) -> int:
        return x

    assert compiled(function, torch.device("cpu"), wanted=True) is function
    assert compiled(function, torch.device("cuda"), wanted=False) is function


def test_a_compiled_forward_leaves_the_checkpoint_as_a_plain_one(
    whole: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "compiled", lambda f, device, wanted: torch.compile(f, backend="eager"))
    train_convae(vae_config(data, tmp_path, 1, frames_per_epoch=8))
    names = load_checkpoint(best_path(tmp_path, "vae"))["state_dict"].keys()
    assert names == load_checkpoint(best_path(whole, "vae"))["state_dict"].keys()
    assert load_vae(tmp_path).latent_size == LATENTS


def test_the_documented_config_alone_is_enough(data: Path, tmp_path: Path) -> None:
    config = WMVAEConfig(
        height=64, width=64, data_dir=str(data), logdir=str(tmp_path), num_epochs=1, train_batch_size=16
    )
    assert train_convae(config).epochs == 1
