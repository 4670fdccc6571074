"""What M foresees, against what can be computed without it: an M of constants, whose mixture is one known normal."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.distributions import Normal

from tests.doubles import noise_rollout
from tests.small_runs import GAUSSIANS, HIDDENS, LATENTS
from world_models.models.mdrnn import MDRNN
from world_models.report.figures.foresight import foresight_charts, reward_calibration, see_ahead, watch
from world_models.vision.latents import encode
from world_models.vision.VAE.ConvVAE import ConvVAE

MU, LOG_SIGMA, ACTIONS = 0.3, -0.5, 3


@pytest.fixture
def vae() -> ConvVAE:
    torch.manual_seed(0)
    return ConvVAE(3, LATENTS).eval()


@pytest.fixture
def constant() -> MDRNN:
    """Every next latent is N(0.3, e^-0.5) in each entry, every reward 2, whatever is seen or done."""
    mdrnn = MDRNN(LATENTS, ACTIONS, HIDDENS, GAUSSIANS).eval()
    stride = GAUSSIANS * LATENTS
    with torch.no_grad():
        for parameter in mdrnn.parameters():
            parameter.zero_()
        mdrnn.gmm_linear.bias[:stride] = MU
        mdrnn.gmm_linear.bias[stride : 2 * stride] = LOG_SIGMA
        mdrnn.gmm_linear.bias[-2] = 2.0
    return mdrnn


def log_density(values: np.ndarray, mean: np.ndarray | float, spread: np.ndarray | float) -> np.ndarray:
    normal = Normal(torch.as_tensor(mean), torch.as_tensor(spread))
    return normal.log_prob(torch.from_numpy(values)).numpy().mean((0, 2))


def test_a_constant_m_is_worth_its_own_normal_and_errs_by_what_its_mean_is_off(vae: ConvVAE, constant: MDRNN) -> None:
    rollout = noise_rollout(30, seed=1)
    seen = see_ahead(constant, watch(vae, [rollout]), warm_up=5, horizon=10, starts=100, dreams=400)
    assert seen is not None and (seen.starts, seen.dreams) == (16, 400)

    means, logs = (each.double().numpy() for each in encode(vae, torch.from_numpy(rollout.observations)))
    came = np.stack([means[t : t + 15] for t in range(16)])
    sharp = np.exp(np.stack([logs[t : t + 15] for t in range(16)]))
    expected = log_density(came[:, 5:], MU, np.exp(LOG_SIGMA)) - (sharp[:, 5:] ** 2).mean((0, 2)) / (
        2 * np.exp(2 * LOG_SIGMA)
    )
    assert seen.looking.mean() == pytest.approx(expected.mean(), abs=0.3), "640 draws of V's noise"
    np.testing.assert_allclose(seen.dreaming, seen.looking, rtol=1e-5)
    variance = (came.reshape(-1, LATENTS).var(0, ddof=1) + 1e-6).sum()
    np.testing.assert_allclose(seen.error, ((came[:, 5:] - MU) ** 2).sum(2).mean(0) / variance, rtol=1e-4)
    np.testing.assert_allclose(seen.frozen, ((came[:, 5:] - came[:, 4:5]) ** 2).sum(2).mean(0) / variance, rtol=1e-4)


def test_where_v_is_sure_the_likelihoods_are_those_of_normals(vae: ConvVAE, constant: MDRNN) -> None:
    with torch.no_grad():
        vae.encoder.fc_logsigma.weight.zero_()
        vae.encoder.fc_logsigma.bias.fill_(-20)
    rollout = noise_rollout(30, seed=1)
    seen = see_ahead(constant, watch(vae, [rollout]), warm_up=5, horizon=10, starts=100, dreams=3)
    assert seen is not None
    means = encode(vae, torch.from_numpy(rollout.observations))[0].double().numpy()
    windows = np.stack([means[t : t + 15] for t in range(16)])
    np.testing.assert_allclose(seen.looking, log_density(windows[:, 5:], MU, np.exp(LOG_SIGMA)), rtol=1e-5)
    rows = windows.reshape(-1, LATENTS)
    blind = log_density(windows[:, 5:], rows.mean(0), (rows.var(0, ddof=1) + 1e-6) ** 0.5)
    np.testing.assert_allclose(seen.blind, blind, rtol=1e-4)


def test_dreaming_alone_is_no_looking_on_and_depends_on_the_seed(vae: ConvVAE) -> None:
    torch.manual_seed(3)
    mdrnn = MDRNN(LATENTS, ACTIONS, HIDDENS, GAUSSIANS).eval()
    watched = watch(vae, [noise_rollout(40, seed=k) for k in (1, 2)])
    one, again, other = (see_ahead(mdrnn, watched, warm_up=4, horizon=8, seed=seed) for seed in (0, 0, 1))
    assert one is not None and again is not None and other is not None
    np.testing.assert_array_equal(one.dreaming, again.dreaming)
    assert not np.array_equal(one.dreaming, other.dreaming)
    assert one.dreaming[0] == pytest.approx(one.looking[0], rel=1e-5), "one step ahead both have seen the same"
    assert not np.allclose(one.dreaming[1:], one.looking[1:])


def test_rollouts_too_short_to_look_ahead_in_leave_the_rewards(vae: ConvVAE, constant: MDRNN) -> None:
    rollout = noise_rollout(8)
    assert see_ahead(constant, watch(vae, [rollout]), warm_up=5, horizon=10) is None
    said, came = reward_calibration(constant, watch(vae, [rollout]))
    np.testing.assert_allclose(said, 2.0)
    assert came.mean() == pytest.approx(rollout.rewards.mean())
    assert [chart.name for chart in foresight_charts(None, (said, came))] == ["mdrnn_reward_calibration"]


def test_rewards_are_grouped_by_what_m_said_the_least_first(vae: ConvVAE, constant: MDRNN) -> None:
    with torch.no_grad():  # h grows with the first action, and the reward with h
        constant.rnn.bias_ih_l0[:HIDDENS] = 30
        constant.rnn.bias_ih_l0[HIDDENS : 2 * HIDDENS] = -30
        constant.rnn.bias_ih_l0[3 * HIDDENS :] = 30
        constant.rnn.weight_ih_l0[2 * HIDDENS, 0] = 1.0
        constant.gmm_linear.weight[-2, 0] = 1.0
    rollout = noise_rollout(50, seed=4)
    said, came = reward_calibration(constant, watch(vae, [rollout]))
    expected = 2 + np.tanh(np.tanh(rollout.actions[:, 0].astype(float)))
    order = np.argsort(expected, kind="stable").reshape(10, 5)
    np.testing.assert_allclose(said, expected[order].mean(1), atol=1e-5)
    np.testing.assert_allclose(came, rollout.rewards[order].mean(1), atol=1e-6)
