"""Stage M: its loss, its two ways to latents, the latents file, and exact resume."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.training.runs import (
    ACTIONS,
    LATENTS,
    assert_equal,
    assert_same_run,
    interrupted_process,
    losses_of,
    mdrnn_config,
    rollouts,
    vae_config,
)
from world_models.datasets.frame_cache import FrameCache
from world_models.datasets.latents import load_latents, vae_fingerprint
from world_models.datasets.loaders import FrameSequenceBatches, SequenceBatches
from world_models.datasets.rollout_files import read_rollout, write_rollout
from world_models.errors import CheckpointError, ConfigError, DataError
from world_models.models.load import load_mdrnn, load_vae
from world_models.models.mdrnn import MDRNN
from world_models.training.fit import latents as latent_stage
from world_models.training.train_mdn_rnn import (
    MDRNNLoss,
    data_pass,
    get_loss,
    precompute_latents,
    to_latent,
    train_mdn_rnn,
)
from world_models.utils.run_dir import best_path, checkpoint_path, load_checkpoint, log_path, save_checkpoint
from world_models.vision.frames import images_from_frames
from world_models.vision.VAE.ConvVAE import ConvVAE


def save_vae(logdir: Path, seed: int, latent_size: int = LATENTS) -> ConvVAE:
    torch.manual_seed(seed)
    vae = ConvVAE(3, latent_size)
    save_checkpoint(
        best_path(logdir, "vae"),
        {"state_dict": vae.state_dict(), "latent_size": latent_size, "img_channels": 3},
    )
    return vae


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return rollouts(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def vision(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The logdir of a V."""
    logdir = tmp_path_factory.mktemp("vision")
    save_vae(logdir, seed=1)
    return logdir


@pytest.fixture(scope="module")
def whole(data: Path, vision: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of five epochs that was never stopped."""
    logdir = tmp_path_factory.mktemp("whole")
    train_mdn_rnn(vae_config(data, vision), mdrnn_config(data, logdir, 5))
    return logdir


def sequences(batch: int = 3, steps: int = 5) -> tuple[torch.Tensor, ...]:
    """latent_obs, action, reward, terminal, latent_next_obs."""
    generator = torch.Generator().manual_seed(0)

    def noise(*shape: int) -> torch.Tensor:
        return torch.randn(batch, steps, *shape, generator=generator)

    terminal = (noise() > 0).float()
    return noise(LATENTS), noise(ACTIONS), noise(), terminal, noise(LATENTS)


def independent_losses(mdrnn: MDRNN, parts: tuple[torch.Tensor, ...], reward_too: bool) -> dict[str, float]:
    """The documented formulas in plain Python, one sequence and one step at a time."""
    latent, action, reward, terminal, following = parts
    gmm, bce, mse = [], [], []
    for b in range(len(latent)):
        mus, sigmas, logpi, rs, ds = (out[:, 0] for out in mdrnn(action[b][:, None], latent[b][:, None]))
        for t in range(latent.shape[1]):
            likelihood = 0.0
            for k in range(mdrnn.gaussians):
                density = math.exp(logpi[t, k])
                for x, mu, sigma in zip(following[b, t], mus[t, k], sigmas[t, k], strict=True):
                    deviation = (float(x) - float(mu)) / float(sigma)
                    density *= math.exp(-0.5 * deviation**2) / (math.sqrt(2 * math.pi) * float(sigma))
                likelihood += density
            gmm.append(-math.log(likelihood))
            chance = 1 / (1 + math.exp(-float(ds[t])))
            bce.append(-math.log(chance if terminal[b, t] else 1 - chance))
            mse.append((float(rs[t]) - float(reward[b, t])) ** 2)
    means = {"gmm": np.mean(gmm), "bce": np.mean(bce), "mse": np.mean(mse) if reward_too else 0.0}
    scale = latent.shape[-1] + (2 if reward_too else 1)
    return {name: float(value) for name, value in (means | {"loss": sum(means.values()) / scale}).items()}


@pytest.mark.parametrize("include_reward", [True, False])
@torch.no_grad()
def test_the_loss_is_the_documented_one(include_reward: bool) -> None:
    torch.manual_seed(0)
    mdrnn, parts = MDRNN(LATENTS, ACTIONS, 8, 3), sequences()
    losses = get_loss(mdrnn, *parts, include_reward, LATENTS)
    expected = independent_losses(mdrnn, parts, include_reward)
    assert {name: float(value) for name, value in losses.items()} == pytest.approx(expected, rel=1e-5)


def test_the_loss_reaches_every_weight_and_none_without_a_reward_reaches_the_reward() -> None:
    mdrnn, parts = MDRNN(LATENTS, ACTIONS, 8, 3), sequences()
    get_loss(mdrnn, *parts, include_reward=False, latent_size=LATENTS)["loss"].backward()
    assert all(weight.grad is not None for weight in mdrnn.parameters())
    gradient = mdrnn.gmm_linear.weight.grad
    assert gradient is not None
    assert gradient[-2].abs().sum() == 0 and gradient[-1].abs().sum() > 0


def test_the_scaling_follows_the_tensors_whatever_size_is_said() -> None:
    mdrnn, parts = MDRNN(LATENTS, ACTIONS, 8, 3), sequences()
    with torch.no_grad():
        right, wrong = (get_loss(mdrnn, *parts, True, size)["loss"] for size in (LATENTS, 99))
    assert right == wrong


def test_what_follows_is_the_next_rows_latent(vision: Path) -> None:
    vae = load_vae(vision)
    frames = torch.randint(0, 256, (2, 6, 64, 64, 3), dtype=torch.uint8)
    first = to_latent(frames, None, vae, torch.Generator().manual_seed(4))
    second = to_latent(frames[:, :-1], frames[:, 1:], vae, torch.Generator().manual_seed(4))
    assert_equal(first, second, "latents")
    assert first[0].shape == first[1].shape == (2, 5, LATENTS)
    assert torch.equal(first[0][:, 1:], first[1][:, :-1])
    assert not first[0].requires_grad


def test_a_latent_is_drawn_from_the_distribution_that_v_gives(vision: Path) -> None:
    vae = load_vae(vision)
    frames = torch.randint(0, 256, (1, 1, 64, 64, 3), dtype=torch.uint8).expand(1, 4001, -1, -1, -1)
    drawn = to_latent(frames[:, :2001], None, vae, torch.Generator().manual_seed(0))[0][0]
    with torch.no_grad():
        mu, logsigma = vae.encoder(images_from_frames(frames[0, :1]))
    torch.testing.assert_close(drawn.mean(0), mu[0], atol=0.15, rtol=0)
    torch.testing.assert_close(drawn.std(0), logsigma[0].exp(), atol=0, rtol=0.1)


def both_loaders(data: Path, vision: Path, **sizes: Any) -> tuple[SequenceBatches, FrameSequenceBatches]:
    path = precompute_latents(vae_config(data, vision), mdrnn_config(data, vision))
    cache = FrameCache.open(data)
    arguments = {"episodes": [0, 1, 2], "batch_size": 2, "seq_len": 4, "seed": 3, "shuffle": True, **sizes}
    return SequenceBatches(load_latents(path), **arguments), FrameSequenceBatches(cache, **arguments)


def test_latents_from_the_file_and_frames_encoded_on_the_fly_give_one_loss(data: Path, vision: Path) -> None:
    torch.manual_seed(0)
    mdrnn, vae = MDRNN(LATENTS, ACTIONS, 8, 2), load_vae(vision)
    loss_fn = MDRNNLoss(mdrnn, torch.device("cpu"), True, vae)
    pairs = list(zip(*both_loaders(data, vision), strict=True))
    assert len(pairs) >= 3
    for index, batches in enumerate(pairs):
        with torch.no_grad():
            one, other = (loss_fn(batch, torch.Generator().manual_seed(index))[0] for batch in batches)
        for name in one:
            assert float(one[name]) == pytest.approx(float(other[name]), abs=1e-5), name


def test_both_ways_train_to_the_same_weights(data: Path, vision: Path, tmp_path: Path) -> None:
    for name, precomputed in (("file", True), ("fly", False)):
        train_mdn_rnn(vae_config(data, vision), mdrnn_config(data, tmp_path / name), precomputed)
    one, other = (load_checkpoint(checkpoint_path(tmp_path / name, "mdrnn")) for name in ("file", "fly"))
    for name, weight in one["state_dict"].items():
        torch.testing.assert_close(weight, other["state_dict"][name], atol=1e-4, rtol=1e-4)
    assert one["test_loss"] == pytest.approx(other["test_loss"], abs=1e-5)


def test_a_data_pass_trains_with_an_optimizer_and_only_measures_without(data: Path, vision: Path) -> None:
    torch.manual_seed(0)
    mdrnn, vae = MDRNN(LATENTS, ACTIONS, 8, 2), load_vae(vision)
    latents, frames = both_loaders(data, vision)
    before = {name: weight.clone() for name, weight in mdrnn.state_dict().items()}
    measured = data_pass(mdrnn, latents)
    assert measured == data_pass(mdrnn, latents)
    assert data_pass(mdrnn, frames, vae=vae) == pytest.approx(measured, abs=1e-5)
    assert_equal(dict(mdrnn.state_dict()), before, "weights")
    optimizer = torch.optim.Adam(mdrnn.parameters(), 1e-2)
    for epoch in range(1, 11):
        data_pass(mdrnn, latents, optimizer=optimizer, epoch=epoch)
    assert data_pass(mdrnn, latents)["loss"] < measured["loss"]


def test_raw_frames_without_a_v_are_an_error(data: Path, vision: Path) -> None:
    mdrnn = MDRNN(LATENTS, ACTIONS, 8, 2)
    with pytest.raises(ConfigError, match="vae is None"):
        data_pass(mdrnn, both_loaders(data, vision)[1])


def test_the_latents_file_has_the_documented_keys_and_what_v_gives(data: Path, vision: Path) -> None:
    path = precompute_latents(vae_config(data, vision), mdrnn_config(data, vision))
    assert path == data / "latents" / f"latents_{LATENTS}.npz"
    rollouts_there = [read_rollout(file) for file in sorted(data.glob("*.npz"))]
    with np.load(path) as stored:
        assert {"latents", "actions", "rewards", "terminals"} <= set(stored.keys())
        np.testing.assert_array_equal(stored["lengths"], [len(each) for each in rollouts_there])
        np.testing.assert_array_equal(stored["actions"], np.concatenate([r.actions for r in rollouts_there]))
        frames = np.concatenate([each.observations for each in rollouts_there])
        with torch.no_grad():
            mu, logsigma = load_vae(vision).encoder(images_from_frames(frames))
        np.testing.assert_allclose(stored["latents"], mu.numpy(), atol=1e-5)
        np.testing.assert_allclose(stored["logsigma"], logsigma.numpy(), atol=1e-5)
        assert str(stored["fingerprint"]) == vae_fingerprint(load_vae(vision).state_dict())


def test_latents_are_made_once_and_anew_when_v_or_the_data_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    data, made = rollouts(tmp_path / "data"), []
    original = latent_stage._make
    monkeypatch.setattr(latent_stage, "_make", lambda source: made.append(1) or original(source))
    configs = vae_config(data, tmp_path), mdrnn_config(data, tmp_path)

    def times_made() -> int:
        path = precompute_latents(*configs)
        assert load_latents(path).fingerprint == vae_fingerprint(load_vae(tmp_path).state_dict())
        return len(made)

    save_vae(tmp_path, seed=1)
    assert [times_made(), times_made()] == [1, 1]
    assert not caplog.records
    save_vae(tmp_path, seed=2)
    assert [times_made(), times_made()] == [2, 2]
    assert "another V" in caplog.text
    write_rollout(data / "rollout_99999.npz", read_rollout(data / "rollout_00000.npz"))
    assert [times_made(), times_made()] == [3, 3]
    (data / "latents" / f"latents_{LATENTS}.npz").write_bytes(b"rubbish")
    assert [times_made(), times_made()] == [4, 4]


def test_the_checkpoint_holds_what_the_other_stages_need(whole: Path, vision: Path) -> None:
    best = load_checkpoint(best_path(whole, "mdrnn"))
    sizes = {name: best[name] for name in ("latents", "actions", "hiddens", "gaussians")}
    assert sizes == {"latents": LATENTS, "actions": ACTIONS, "hiddens": 8, "gaussians": 2}
    assert best["vae_fingerprint"] == vae_fingerprint(load_vae(vision).state_dict())
    assert load_mdrnn(whole).sizes == sizes


def test_the_parts_of_the_loss_are_logged_by_name_and_the_loss_falls(data: Path, vision: Path, tmp_path: Path) -> None:
    result = train_mdn_rnn(vae_config(data, vision), mdrnn_config(data, tmp_path, 12))
    for record in result.history:
        total = record["gmm"] + record["bce"] + record["mse"]
        assert record["loss"] == record["test_loss"] == pytest.approx(total / (LATENTS + 2), rel=1e-5)
    assert result.history[-1]["train_loss"] < result.history[0]["train_loss"]


@pytest.mark.parametrize(("optimizer", "kind"), [("rmsprop", torch.optim.RMSprop), ("adam", torch.optim.Adam)])
@pytest.mark.parametrize("use_amp", [False, True])
def test_either_optimizer_trains_in_either_precision(
    optimizer: str, kind: type, use_amp: bool, data: Path, vision: Path, tmp_path: Path
) -> None:
    config = mdrnn_config(data, tmp_path, 3, optimizer=optimizer, grad_clip=None)
    result = train_mdn_rnn(vae_config(data, vision), config, use_amp=use_amp)
    assert result.history[-1]["train_loss"] < result.history[0]["train_loss"]
    state = load_checkpoint(result.checkpoint)["optimizer"]
    assert set(state["param_groups"][0]) <= {*kind([torch.zeros(1)]).param_groups[0], "fused"}


def test_without_a_reward_its_error_is_no_part_of_the_loss(data: Path, vision: Path, tmp_path: Path) -> None:
    config = mdrnn_config(data, tmp_path, 1, include_reward=False)
    record = train_mdn_rnn(vae_config(data, vision), config).history[0]
    assert record["mse"] == 0
    assert record["loss"] == pytest.approx((record["gmm"] + record["bce"]) / (LATENTS + 1), rel=1e-5)


@pytest.mark.parametrize("held_out", ["none", "too short"])
def test_without_a_window_held_out_the_training_part_is_validated_on(
    held_out: str, data: Path, vision: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = data if held_out == "none" else rollouts(tmp_path / "data", (14, 12, 1))
    config = mdrnn_config(folder, tmp_path, 1, num_test_files=0 if held_out == "none" else 1)
    result = train_mdn_rnn(vae_config(folder, vision), config)
    assert math.isfinite(result.history[0]["test_loss"])
    assert "validated on the training part" in caplog.text


def test_a_cap_on_batches_shortens_the_epoch(
    data: Path, vision: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, original = [], MDRNNLoss.__call__

    def spy(self: MDRNNLoss, batch: Any, generator: torch.Generator) -> Any:
        seen.append(self.mdrnn.training)
        return original(self, batch, generator)

    monkeypatch.setattr(MDRNNLoss, "__call__", spy)
    train_mdn_rnn(vae_config(data, vision), mdrnn_config(data, tmp_path, 2, batches_per_epoch=1))
    assert seen == [True, False] * 2


class Crash(Exception):
    """A crash in the middle of an epoch."""


@pytest.mark.parametrize("batches", [1, 8])
@pytest.mark.parametrize("precomputed", [True, False])
def test_a_run_that_crashed_goes_on_and_ends_as_one_that_did_not(
    batches: int, precomputed: bool, data: Path, vision: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, left = MDRNNLoss.__call__, iter(range(batches))
    arguments = vae_config(data, vision), mdrnn_config(data, tmp_path / "cut", 3), precomputed

    def crashing(self: MDRNNLoss, batch: Any, generator: torch.Generator) -> Any:
        if next(left, None) is None:
            raise Crash
        return original(self, batch, generator)

    with monkeypatch.context() as patch, pytest.raises(Crash):
        patch.setattr(MDRNNLoss, "__call__", crashing)
        train_mdn_rnn(*arguments)
    train_mdn_rnn(*arguments)
    train_mdn_rnn(vae_config(data, vision), mdrnn_config(data, tmp_path / "whole", 3), precomputed)
    assert_same_run(tmp_path / "whole", tmp_path / "cut", "mdrnn")


def test_a_process_stopped_by_ctrl_c_goes_on_and_ends_as_one_that_was_not(
    data: Path, vision: Path, tmp_path: Path
) -> None:
    vae, config = vae_config(data, vision), mdrnn_config(data, tmp_path / "cut", 5000)
    program = f"""
import torch
torch.set_num_threads(1)
from world_models.configs.wm_config import WMMDNRNNConfig, WMVAEConfig
from world_models.training.train_mdn_rnn import train_mdn_rnn
train_mdn_rnn(WMVAEConfig({vae.to_dict()!r}), WMMDNRNNConfig({config.to_dict()!r}))
"""
    interrupted_process(program, log_path(tmp_path / "cut", "mdrnn"), epochs_before=3)
    reached = load_checkpoint(checkpoint_path(tmp_path / "cut", "mdrnn"))["epoch"]
    assert 1 <= reached < 5000
    for name in ("cut", "whole"):
        train_mdn_rnn(vae, mdrnn_config(data, tmp_path / name, reached + 3))
    assert_same_run(tmp_path / "whole", tmp_path / "cut", "mdrnn")


def test_an_equal_seed_gives_equal_losses_and_another_one_others(
    whole: Path, data: Path, vision: Path, tmp_path: Path
) -> None:
    again = train_mdn_rnn(vae_config(data, vision), mdrnn_config(data, tmp_path / "again", 5))
    assert_same_run(whole, tmp_path / "again", "mdrnn")
    other = train_mdn_rnn(vae_config(data, vision), mdrnn_config(data, tmp_path / "other", 5, seed=1))
    assert losses_of(other.history) != losses_of(again.history)


def test_an_m_of_another_vs_latents_is_trained_anew(
    data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save_vae(tmp_path, seed=1)
    train_mdn_rnn(vae_config(data, tmp_path), mdrnn_config(data, tmp_path, 4))
    vae = save_vae(tmp_path, seed=2)
    result = train_mdn_rnn(vae_config(data, tmp_path), mdrnn_config(data, tmp_path, 2))
    assert "another V" in caplog.text
    assert result.epochs == len(result.history) == 2
    assert load_checkpoint(result.best)["vae_fingerprint"] == vae_fingerprint(vae.state_dict())


def test_without_a_v_the_mend_names_its_stage(data: Path, tmp_path: Path) -> None:
    for call in (train_mdn_rnn, precompute_latents):
        with pytest.raises(CheckpointError, match="--stage vae"):
            call(vae_config(data, tmp_path / "none"), mdrnn_config(data, tmp_path))
    assert not (tmp_path / "mdrnn").exists()


def test_without_data_it_is_an_error_that_names_the_folder(vision: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty"):
        train_mdn_rnn(vae_config(tmp_path, vision), mdrnn_config(tmp_path / "empty", tmp_path))


def test_sequences_longer_than_every_episode_are_padded_and_episodes_of_one_row_an_error(
    data: Path, vision: Path, tmp_path: Path
) -> None:
    result = train_mdn_rnn(vae_config(data, vision), mdrnn_config(data, tmp_path / "long", 1, seq_len=10**9))
    assert math.isfinite(result.best_loss)
    single = rollouts(tmp_path / "single", (1, 1, 1))
    with pytest.raises(DataError, match=r"none of the 2 episodes .* has the 2 rows"):
        train_mdn_rnn(vae_config(single, vision), mdrnn_config(single, tmp_path))
    assert not (tmp_path / "mdrnn").exists()


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"latent_size": 9}, CheckpointError, "latent_size is 4 in the checkpoint and 9"),
        ({"action_size": 2}, ConfigError, "action_size is 2.* have 3 columns"),
        ({"optimizer": "sgd"}, ConfigError, "optimizer is 'sgd'"),
        ({"grad_clip": -1}, ConfigError, "grad_clip is -1"),
        ({"batches_per_epoch": 0}, ConfigError, "batches_per_epoch is 0"),
    ],
)
def test_a_setting_that_cannot_work_is_named(
    changes: dict[str, Any], error: type[Exception], message: str, data: Path, vision: Path, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message):
        train_mdn_rnn(vae_config(data, vision), mdrnn_config(data, tmp_path, **changes))
    assert not (tmp_path / "mdrnn").exists()


@pytest.mark.parametrize("same_vae", [True, False])
def test_an_m_of_other_sizes_is_refused_and_nothing_is_overwritten(same_vae: bool, data: Path, tmp_path: Path) -> None:
    save_vae(tmp_path, seed=1)
    train_mdn_rnn(vae_config(data, tmp_path), mdrnn_config(data, tmp_path, 1))
    if not same_vae:
        save_vae(tmp_path, seed=2)
    before = {path: path.read_bytes() for path in (tmp_path / "mdrnn").iterdir()}
    with pytest.raises(CheckpointError, match="hiddens is 8 in the checkpoint and 16 in the settings"):
        train_mdn_rnn(vae_config(data, tmp_path), mdrnn_config(data, tmp_path, 2, hidden_size=16))
    assert {path: path.read_bytes() for path in (tmp_path / "mdrnn").iterdir()} == before


@pytest.mark.parametrize(("first", "then"), [("rmsprop", "adam"), ("adam", "rmsprop")])
def test_a_run_does_not_go_on_with_another_optimizer(
    first: str, then: str, data: Path, vision: Path, tmp_path: Path
) -> None:
    train_mdn_rnn(vae_config(data, vision), mdrnn_config(data, tmp_path, 1, optimizer=first))
    with pytest.raises(CheckpointError, match=r"optimizer.*noreload"):
        train_mdn_rnn(vae_config(data, vision), mdrnn_config(data, tmp_path, 2, optimizer=then))


def test_the_log_says_how_the_files_were_split(
    data: Path, vision: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        train_mdn_rnn(vae_config(data, vision), mdrnn_config(data, tmp_path, 1))
    assert "mdrnn: 2 rollout files to train on, 1 held out" in caplog.text
