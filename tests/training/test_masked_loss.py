"""Short episodes are padded: what stands behind their end counts for nothing, in losses, gradients and averages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.training.runs import ACTIONS, LATENTS, mdrnn_config, rollouts, vae_config
from world_models import notices
from world_models.models.mdrnn import MDRNN
from world_models.training.fit.mdrnn_loss import MDRNNLoss, get_loss
from world_models.training.fit.passes import Average
from world_models.training.fit.reward_goal import RewardGoal
from world_models.training.fit.terminals import calibration_counts, whole_window_loss
from world_models.training.train_mdn_rnn import train_mdn_rnn
from world_models.utils.run_dir import save_checkpoint
from world_models.vision.VAE.ConvVAE import ConvVAE

Losses = dict[str, torch.Tensor]
Window = dict[str, torch.Tensor]


def window(rows: int, width: int, seed: int) -> Window:
    """An episode of `rows` rows as a window (1, width, .), with rubbish behind its end."""
    noise = torch.Generator().manual_seed(seed)

    def rand(*shape: int) -> torch.Tensor:
        return torch.randn(1, width, *shape, generator=noise)

    return {
        "z": rand(LATENTS),
        "action": rand(ACTIONS),
        "reward": rand(),
        "terminal": (rand() > 0).float(),
        "mask": torch.arange(width)[None] < rows,
    }


def cut(batch: Window, rows: int) -> Window:
    return {name: value[:, :rows] for name, value in batch.items()}


def documented(mdrnn: MDRNN, batch: Window, masked: bool) -> Losses:
    steps = (batch[name][:, :-1] for name in ("z", "action", "reward", "terminal"))
    return get_loss(mdrnn, *steps, batch["z"][:, 1:], mask=batch["mask"][:, 1:] if masked else None)


def of_whole(mdrnn: MDRNN, batch: Window, masked: bool) -> Losses:
    steps = (batch[name] for name in ("z", "action", "reward", "terminal"))
    mask = batch["mask"] if masked else None
    losses, logits = whole_window_loss(mdrnn, *steps, terminal_weight=5.0, mask=mask)
    return losses | calibration_counts(logits, batch["terminal"], 5.0, mask)


def gradients(loss: torch.Tensor, mdrnn: MDRNN) -> list[torch.Tensor]:
    return list(torch.autograd.grad(loss, list(mdrnn.parameters())))


@pytest.mark.parametrize("losses_of", [documented, of_whole])
@given(rows=st.integers(2, 7), seed=st.integers(0, 99))
@settings(max_examples=15, deadline=None)
def test_a_padded_episode_has_the_losses_and_the_gradient_of_the_episode_alone(
    losses_of: Callable[[MDRNN, Window, bool], Losses], rows: int, seed: int
) -> None:
    torch.manual_seed(seed)
    mdrnn, padded = MDRNN(LATENTS, ACTIONS, 8, 2), window(rows, 7, seed)
    found, wanted = losses_of(mdrnn, padded, True), losses_of(mdrnn, cut(padded, rows), False)
    for name in ("gmm", "bce", "mse", "loss"):
        torch.testing.assert_close(found[name], wanted[name])
    for one, other in zip(gradients(found["loss"], mdrnn), gradients(wanted["loss"], mdrnn), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("losses_of", [documented, of_whole])
def test_a_batchs_losses_are_the_means_over_all_of_its_real_rows(
    losses_of: Callable[[MDRNN, Window, bool], Losses],
) -> None:
    mdrnn, lengths = MDRNN(LATENTS, ACTIONS, 8, 2), (7, 3, 5)
    each = [window(rows, 7, seed) for seed, rows in enumerate(lengths)]
    together = losses_of(mdrnn, {name: torch.cat([w[name] for w in each]) for name in each[0]}, True)
    alone = [losses_of(mdrnn, cut(w, rows), False) for w, rows in zip(each, lengths, strict=True)]
    for name in ("gmm", "bce", "mse"):
        of_transitions = losses_of is documented or name == "gmm"
        counts = torch.tensor([rows - of_transitions for rows in lengths], dtype=torch.float32)
        mean = (torch.stack([losses[name] for losses in alone]) * counts).sum() / counts.sum()
        torch.testing.assert_close(together[name], mean)


def batch_of(each: list[Window], steps: int) -> dict[str, torch.Tensor]:
    """As a loader gives it, `steps` (T or T + 1) rows of action, reward and terminal."""
    joined = {name: torch.cat([w[name] for w in each]) for name in each[0]}
    batch = {name: joined[name][:, :steps] for name in ("action", "reward", "terminal")}
    batch |= {"latent_mu": joined["z"], "latent_logsigma": torch.full_like(joined["z"], -100.0)}
    return batch if joined["mask"].all() else batch | {"mask": joined["mask"]}


@pytest.mark.parametrize("steps", [6, 7])
def test_an_average_over_batches_is_the_mean_over_all_real_rows_however_they_are_batched(steps: int) -> None:
    mdrnn = MDRNN(LATENTS, ACTIONS, 8, 2)
    loss = MDRNNLoss(mdrnn, torch.device("cpu"), terminal_weight=2.0, reward_goal=RewardGoal(smoothing=3))
    each = [window(rows, 7, seed) for seed, rows in enumerate((7, 3, 5, 2, 7))]

    def averaged(*groups: list[Window]) -> Losses:
        average = Average()
        for group in groups:
            average.add(*loss(batch_of(group, steps), torch.Generator().manual_seed(0)))
        return average.means()

    whole, parts = averaged(each), averaged(each[:2], each[2:4], each[4:])
    assert whole.keys() == parts.keys()
    for name in whole.keys() - ({"gmm", "loss"} if steps == 7 else set()):  # of whole windows gmm has one row less
        torch.testing.assert_close(whole[name], parts[name], atol=1e-6, rtol=1e-5)


def test_without_padding_the_batch_counts_as_its_windows_and_has_the_losses_it_always_had() -> None:
    mdrnn, each = MDRNN(LATENTS, ACTIONS, 8, 2), [window(7, 7, seed) for seed in range(3)]
    found, samples = MDRNNLoss(mdrnn, torch.device("cpu"))(batch_of(each, 6), torch.Generator().manual_seed(0))
    joined = {name: torch.cat([w[name] for w in each]) for name in each[0]}
    assert samples == 3
    for name, value in documented(mdrnn, joined, masked=False).items():
        assert torch.equal(found[name], value)


@given(rows=st.integers(1, 9), smoothing=st.integers(0, 12), seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_smoothed_rewards_of_a_padded_episode_are_those_of_the_episode_alone(
    rows: int, smoothing: int, seed: int
) -> None:
    goal, padded = RewardGoal(smoothing=smoothing), window(rows, 9, seed)
    found = goal.of(padded["reward"], padded["mask"])
    torch.testing.assert_close(found[:, :rows], goal.of(padded["reward"][:, :rows]))
    assert found.isfinite().all()


@pytest.mark.parametrize("weight", [0.0, 4.0])
@pytest.mark.parametrize("precomputed", [True, False])
def test_m_trains_on_every_episode_whatever_its_length(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, weight: float, precomputed: bool
) -> None:
    notices.forget()
    data = rollouts(tmp_path / "data", (14, 3, 2, 4, 13, 4, 3, 5))
    torch.manual_seed(1)
    vae = ConvVAE(3, LATENTS)
    save_checkpoint(tmp_path / "run" / "vae" / "best.tar", {"state_dict": vae.state_dict(), "latent_size": LATENTS})
    seen, original = [], MDRNNLoss.__call__

    def spy(self: MDRNNLoss, batch: Any, generator: torch.Generator) -> Any:
        seen.append((self.mdrnn.training, batch))
        return original(self, batch, generator)

    monkeypatch.setattr(MDRNNLoss, "__call__", spy)
    config = mdrnn_config(data, tmp_path / "run", 1, seq_len=8, terminal_weight=weight, reward_smoothing=3)
    record = train_mdn_rnn(vae_config(data, tmp_path / "run"), config, precomputed).history[-1]
    trained = [batch for training, batch in seen if training]
    real = [mask.sum(1) for batch in trained for mask in [batch.get("mask")] if mask is not None]
    assert sorted(torch.cat(real).tolist())[:5] == [2, 3, 3, 4, 4], "every short episode, with all of its rows"
    assert [len(batch["reward"]) for training, batch in seen if not training] == [1], "the held-out one, which is short"
    assert all(torch.isfinite(torch.tensor(record[name])) for name in ("loss", "gmm", "bce", "mse", "train_loss"))
    assert "M trains on 7 episodes (43 rows); 5 of them are shorter than seq_len + 1 = 9" in caplog.text
