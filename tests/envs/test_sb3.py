"""The dream's batch under Stable-Baselines3."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from tests.dreams import best_reward, hand_made, save_dream
from tests.envs.test_dream_vector_env import ending_m
from world_models.errors import ConfigError

pytest.importorskip("stable_baselines3", reason="Stable-Baselines3 is optional (pip install '.[dev]')")
from stable_baselines3 import PPO
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor

from world_models.envs.sb3 import SB3VecEnv

ID = "world_models/Dream-v0"
GOALS = (0.5, -1.0)


def batch(logdir: Path, num_envs: int, **arguments: Any) -> SB3VecEnv:
    return SB3VecEnv(gymnasium.make_vec(ID, num_envs=num_envs, logdir=logdir, autoreset_mode="SameStep", **arguments))


def test_it_steps_as_stable_baselines_own_vectorizer(tmp_path: Path):
    logdir = save_dream(tmp_path, ending_m(), terminal_trained=True)
    ours = batch(logdir, 4, max_steps=6)
    theirs = DummyVecEnv([lambda: gymnasium.make(ID, logdir=logdir, max_steps=6)] * 4)
    for envs in (ours, theirs):
        envs.seed(3)
    np.testing.assert_allclose(ours.reset(), theirs.reset(), atol=1e-5)
    assert ours.reset_infos == theirs.reset_infos
    ours.action_space.seed(0)
    kinds = set()
    for _ in range(30):
        actions = np.stack([ours.action_space.sample() for _ in range(4)])
        (seen, rewards, dones, infos), (expected, theirs_rewards, theirs_dones, theirs_infos) = (
            envs.step(actions) for envs in (ours, theirs)
        )
        np.testing.assert_allclose(seen, expected, atol=1e-5)
        np.testing.assert_allclose(rewards, theirs_rewards, atol=1e-5)
        assert (dones == theirs_dones).all() and rewards.dtype == theirs_rewards.dtype
        for done, info, told in zip(dones, infos, theirs_infos, strict=True):
            assert info["TimeLimit.truncated"] == told["TimeLimit.truncated"] if done else "final_obs" not in info
            if done:
                np.testing.assert_allclose(info["terminal_observation"], told["terminal_observation"], atol=1e-5)
                kinds.add(info["TimeLimit.truncated"])
            assert info["clamped"] == told["clamped"]
            assert info["terminal_probability"] == pytest.approx(told["terminal_probability"], abs=1e-5)
    assert kinds == {True, False}, "some dreams end by M, some by the step limit"


def test_another_way_of_resetting_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match="autoreset_mode is NextStep: make it with autoreset_mode='SameStep'"):
        SB3VecEnv(gymnasium.make_vec(ID, num_envs=2, logdir=save_dream(tmp_path)))


def test_stable_baselines_own_wrappers_and_pictures(tmp_path: Path):
    envs = VecMonitor(batch(save_dream(tmp_path), 3, max_steps=2, terminal="never", render_mode="rgb_array"))
    envs.reset()
    for _ in range(2):
        infos = envs.step(np.zeros((3, 2), np.float32))[3]
    assert [info["episode"]["l"] for info in infos] == [2, 2, 2]
    assert envs.render().shape == (128, 128, 3)
    assert envs.get_attr("max_steps") == [2, 2, 2] and envs.env_is_wrapped(gymnasium.Wrapper) == [False] * 3
    envs.close()


def test_without_stable_baselines_one_sentence_says_what_to_install():
    program = (
        "import sys; sys.modules['stable_baselines3'] = None\n"
        "from world_models.errors import MissingDependencyError\n"
        "try:\n    import world_models.envs.sb3\n"
        "except MissingDependencyError as error:\n    print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=Path(__file__).parents[2]
    )
    assert done.stdout.strip().endswith("pip install stable-baselines3."), done.stderr


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_ppo_learns_on_the_batch(tmp_path: Path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        envs = batch(save_dream(tmp_path, hand_made(GOALS, steepness=2.0)), 32, max_steps=16)
        model = PPO("MlpPolicy", envs, n_steps=16, batch_size=128, learning_rate=3e-3, gamma=0.5, seed=0, device="cpu")
        before, _ = evaluate_policy(model, envs, 32)
        model.learn(10_000)
        after, _ = evaluate_policy(model, envs, 32)
    best = 16 * best_reward(GOALS, steepness=2.0)
    assert after > 0.85 * best > before, (before, after, best)
