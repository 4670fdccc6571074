"""M's terminal head: what it learns from, how much a terminal weighs, and how good it comes out."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.small_runs import save_vae
from tests.training.runs import ACTIONS, LATENTS, mdrnn_config, rollouts, vae_config
from world_models.datasets.rollout_files import read_rollout, write_rollout
from world_models.errors import ConfigError
from world_models.models.mdrnn import MDRNN
from world_models.training.fit.terminals import calibration, calibration_counts, whole_window_loss
from world_models.training.train_mdn_rnn import get_loss, train_mdn_rnn
from world_models.types import Rollout
from world_models.utils.run_dir import best_path, load_checkpoint, save_checkpoint

torch.set_num_threads(1)


def windows(batch: int = 3, rows: int = 6) -> tuple[torch.Tensor, ...]:
    """latent, action, reward, terminal: two of three windows end with a terminal."""
    generator = torch.Generator().manual_seed(0)
    latent, action, reward = (torch.randn(batch, rows, n, generator=generator) for n in (LATENTS, ACTIONS, 1))
    terminal = torch.zeros(batch, rows)
    terminal[:2, -1] = 1
    return latent, action, reward[..., 0], terminal


def log_density(x: torch.Tensor, mus: torch.Tensor, sigmas: torch.Tensor, logpi: torch.Tensor) -> float:
    """Of one point under one mixture, in plain Python."""
    total = 0.0
    for k in range(len(logpi)):
        density = math.exp(logpi[k])
        for j in range(len(x)):
            deviation = (float(x[j]) - float(mus[k, j])) / float(sigmas[k, j])
            density *= math.exp(-0.5 * deviation**2) / (math.sqrt(2 * math.pi) * float(sigmas[k, j]))
        total += density
    return math.log(total)


def by_hand(mdrnn: MDRNN, parts: tuple[torch.Tensor, ...], weight: float, shift: int = 0) -> dict[str, float]:
    """The losses row by row; with `shift` terminals are put beside the row before theirs: the wrong alignment."""
    latent, action, reward, terminal = parts
    gmm, bce, mse = [], [], []
    rows = latent.shape[1]
    for b in range(len(latent)):
        mus, sigmas, logpi, rs, ds = (out[:, 0] for out in mdrnn(action[b][:, None], latent[b][:, None]))
        for t in range(rows):
            if t + 1 < rows:  # the last row has no next latent in the window
                gmm.append(-log_density(latent[b, t + 1], mus[t], sigmas[t], logpi[t]))
            chance = 1 / (1 + math.exp(-float(ds[t])))
            ends = terminal[b, min(t + shift, rows - 1)] == 1
            bce.append(-weight * math.log(chance) if ends else -math.log(1 - chance))
            mse.append((float(rs[t]) - float(reward[b, t])) ** 2)
    means = {"gmm": float(np.mean(gmm)), "bce": float(np.mean(bce)), "mse": float(np.mean(mse))}
    return means | {"loss": sum(means.values()) / (LATENTS + 2)}


@pytest.mark.parametrize("weight", [1.0, 10.0])
@torch.no_grad()
def test_all_rows_teach_the_terminal_and_those_with_a_next_latent_the_mixture(weight: float) -> None:
    torch.manual_seed(0)
    mdrnn, parts = MDRNN(LATENTS, ACTIONS, 8, 3), windows()
    losses, logits = whole_window_loss(mdrnn, *parts, terminal_weight=weight)
    found = {name: float(value) for name, value in losses.items()}
    assert found == pytest.approx(by_hand(mdrnn, parts, weight), rel=1e-5)
    assert found["bce"] != pytest.approx(by_hand(mdrnn, parts, weight, shift=1)["bce"], rel=1e-2)
    assert torch.equal(logits, mdrnn(parts[1].transpose(0, 1), parts[0].transpose(0, 1))[-1].T)


@torch.no_grad()
def test_the_mixture_and_its_loss_are_those_of_the_documented_loss() -> None:
    torch.manual_seed(0)
    mdrnn, (latent, action, reward, terminal) = MDRNN(LATENTS, ACTIONS, 8, 3), windows()
    rows = (action[:, :-1], reward[:, :-1], terminal[:, :-1])
    documented = get_loss(mdrnn, latent[:, :-1], *rows, latent[:, 1:])
    whole, _ = whole_window_loss(mdrnn, latent, action, reward, terminal)
    torch.testing.assert_close(whole["gmm"], documented["gmm"])


def test_without_a_reward_its_error_is_left_out() -> None:
    losses, _ = whole_window_loss(MDRNN(LATENTS, ACTIONS, 8, 3), *windows(), include_reward=False)
    assert losses["mse"] == 0
    torch.testing.assert_close(losses["loss"], (losses["gmm"] + losses["bce"]) / (LATENTS + 1))


def logit(probability: float) -> float:
    return math.log(probability / (1 - probability))


@pytest.mark.parametrize("weight", [1.0, 10.0])
def test_calibration_by_hand(weight: float) -> None:
    # Ten rows at 0.2, of which two ended episodes; ten at 0.6, of which three did. Trained with a weight, M says
    # odds that many times higher.
    probabilities = [0.2] * 10 + [0.6] * 10
    ended = [1.0] * 2 + [0.0] * 8 + [1.0] * 3 + [0.0] * 7
    said = torch.tensor([logit(p) + math.log(weight) for p in probabilities]).reshape(4, 5)
    counts = calibration_counts(said, torch.tensor(ended).reshape(4, 5), weight)
    found = calibration(counts)
    assert found["terminal_rate"] == pytest.approx(5 / 20)
    assert found["terminal_mean"] == pytest.approx(0.4, rel=1e-4)
    assert found["terminal_ece"] == pytest.approx((0 * 10 + 0.3 * 10) / 20, abs=1e-5)
    # Of 5 x 15 pairs: 3 x 8 are won, 2 x 7 lost, 2 x 8 and 3 x 7 are draws.
    assert found["terminal_auc"] == pytest.approx((24 + (16 + 21) / 2) / 75)


@given(seed=st.integers(0, 999))
@settings(max_examples=30)
def test_binned_or_not_the_numbers_are_nearly_the_same_and_batches_add_up(seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits = rng.normal(-2, 2, (40, 25))
    ended = rng.uniform(size=logits.shape) < 1 / (1 + np.exp(-logits))
    halves = [slice(None, 20), slice(20, None)]
    counts = [calibration_counts(torch.tensor(logits[h]), torch.tensor(ended[h]).float()) for h in halves]
    found = calibration({name: (counts[0][name] + counts[1][name]) / 2 for name in counts[0]})
    pairs = logits[ended][:, None] - logits[~ended][None]
    assert found["terminal_auc"] == pytest.approx((pairs > 0).mean() + (pairs == 0).mean() / 2, abs=5e-3)
    assert found["terminal_mean"] == pytest.approx((1 / (1 + np.exp(-logits))).mean(), rel=1e-4)
    assert found["terminal_rate"] == pytest.approx(ended.mean())
    assert found["terminal_ece"] < 0.12, "what was drawn from the predictions is calibrated but for chance"


def test_without_an_end_there_is_no_ranking() -> None:
    assert calibration(calibration_counts(torch.zeros(2, 3), torch.zeros(2, 3)))["terminal_auc"] is None


def ending_when_bright(folder: Path, files: int = 24) -> Path:
    """Rollouts of flat frames: dark until the last, which is bright; then the episode ends."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    for i in range(files):
        length = int(rng.integers(8, 20))
        frames = np.full((length, 64, 64, 3), 30, np.uint8) + rng.integers(0, 8, (length, 1, 1, 3), dtype=np.uint8)
        frames[-1] = 220
        terminals = np.eye(length, dtype=np.float32)[-1]
        actions = rng.uniform(-1, 1, (length, ACTIONS)).astype(np.float32)
        write_rollout(folder / f"rollout_{i:05d}.npz", Rollout(frames, actions, terminals.copy(), terminals))
    return folder


def test_m_learns_where_episodes_end_and_its_checkpoint_says_so(tmp_path: Path) -> None:
    data, logdir = ending_when_bright(tmp_path / "data"), tmp_path / "run"
    vae = save_vae(logdir, LATENTS)
    with torch.no_grad():
        vae.encoder.fc_mu.weight.mul_(30)  # a V that was never trained hardly tells bright from dark
        vae.encoder.fc_logsigma.bias.fill_(-2)
    save_checkpoint(best_path(logdir, "vae"), {"state_dict": vae.state_dict(), "latent_size": LATENTS})
    changes = {"batch_size": 16, "hidden_size": 16, "num_test_files": 6}
    config = mdrnn_config(data, logdir, 40, terminal_weight=5.0, optimizer="adam", learning_rate=0.02, **changes)
    result = train_mdn_rnn(vae_config(data, logdir), config)
    last = result.history[-1]
    # With the documented windows, in which nothing ever ends, a head says 0 and ranks by chance.
    assert last["terminal_auc"] > 0.95 and last["terminal_ece"] < 0.07
    assert last["terminal_rate"] / 2 < last["terminal_mean"] < last["terminal_rate"] * 2
    best = load_checkpoint(result.best)
    assert best["terminal_trained"] is True and best["terminal_weight"] == 5.0


@pytest.mark.parametrize("precomputed", [True, False])
def test_without_a_weight_nothing_is_claimed_and_without_ends_in_the_data_a_weight_is_refused(
    tmp_path: Path, precomputed: bool
) -> None:
    data = rollouts(tmp_path / "data")
    save_vae(tmp_path / "run", LATENTS)
    plain = train_mdn_rnn(vae_config(data, tmp_path / "run"), mdrnn_config(data, tmp_path / "run", 1), precomputed)
    for path in data.glob("*.npz"):
        rollout = read_rollout(path)
        write_rollout(path, Rollout(rollout.observations, rollout.actions, rollout.rewards, 0 * rollout.terminals))
    config = mdrnn_config(data, tmp_path / "cut", 1, terminal_weight=5.0)
    assert "terminal_trained" not in load_checkpoint(plain.best)
    assert "terminal_auc" not in plain.history[-1]
    with pytest.raises(ConfigError, match=r"terminal_weight=5 .* none of the 2 episodes .* ends in a terminal"):
        train_mdn_rnn(vae_config(data, tmp_path / "run"), config, precomputed)
    assert not (tmp_path / "cut").exists()
