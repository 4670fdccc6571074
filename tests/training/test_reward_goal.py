"""What M's reward head may learn instead of rare spikes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.training.runs import mdrnn_config
from world_models.errors import ConfigError
from world_models.models.mdrnn import MDRNN
from world_models.training.fit.reward_goal import RewardGoal
from world_models.training.fit.settings import MdrnnSettings
from world_models.training.fit.terminals import whole_window_loss
from world_models.training.train_mdn_rnn import get_loss


@pytest.mark.parametrize("smoothing", [2, 3, 4, 7, 50])
def test_smoothed_rewards_are_means_of_the_steps_about_each_one(smoothing: int):
    rewards = np.random.default_rng(0).standard_normal((3, 12))
    found = RewardGoal(smoothing=smoothing).of(torch.from_numpy(rewards))
    before = (smoothing - 1) // 2
    for t in range(12):
        about = rewards[:, max(0, t - before) : t - before + smoothing]
        np.testing.assert_allclose(found[:, t], about.mean(1), atol=1e-12)


@pytest.mark.parametrize("smoothing", [0, 1])
def test_off_leaves_them(smoothing: int):
    rewards = torch.randn(2, 5)
    assert RewardGoal(smoothing=smoothing).of(rewards) is rewards


def test_the_weight_is_in_the_loss_and_not_in_what_is_logged():
    torch.manual_seed(0)
    mdrnn, z, a, r, d = (
        MDRNN(4, 2, 8, 2),
        torch.randn(2, 6, 4),
        torch.randn(2, 6, 2),
        torch.randn(2, 6),
        torch.zeros(2, 6),
    )
    plain = get_loss(mdrnn, z, a, r, d, z)
    heavy = get_loss(mdrnn, z, a, r, d, z, reward_weight=11.0)
    assert plain["mse"] == heavy["mse"]
    torch.testing.assert_close(heavy["loss"] - plain["loss"], 10 * plain["mse"] / 6)
    whole, _ = whole_window_loss(mdrnn, z, a, r, d)
    whole_heavy, _ = whole_window_loss(mdrnn, z, a, r, d, reward_weight=11.0)
    torch.testing.assert_close(whole_heavy["loss"] - whole["loss"], 10 * whole["mse"] / 6)


def test_settings_are_read_and_checked(tmp_path):
    config = mdrnn_config(tmp_path, tmp_path, reward_weight=5.0, reward_smoothing=9)
    goal = RewardGoal.of_settings(MdrnnSettings.from_config(config))
    assert goal == RewardGoal(5.0, 9) and goal.facts == {"reward_weight": 5.0, "reward_smoothing": 9}
    assert RewardGoal.of_settings(MdrnnSettings.from_config(mdrnn_config(tmp_path, tmp_path))).facts == {}
    with pytest.raises(ConfigError, match="reward_smoothing is -1"):
        MdrnnSettings.from_config(mdrnn_config(tmp_path, tmp_path, reward_smoothing=-1))
