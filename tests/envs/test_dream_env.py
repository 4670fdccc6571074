"""The dream under programs that nobody here wrote: Gymnasium's checker and Stable-Baselines3's PPO."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from tests.dreams import RANGE, hand_made, save_dream
from tests.small_envs import PICK
from tests.small_runs import HIDDENS, LATENTS
from world_models.envs.dream_env import DreamEnv
from world_models.errors import CheckpointError, ConfigError, DataError, WorldModelsError
from world_models.models.dream_rules import DreamRules
from world_models.rollout.driver import Driver
from world_models.rollout.recipe import dream_recipe
from world_models.types import Episode

ID = "world_models/Dream-v0"


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_dream(tmp_path_factory.mktemp("run"), terminal_trained=True)


def discrete_run(folder: Path) -> Path:
    """M that rewards the middle one of Pick-v0's three actions, which are numbered from 3."""
    return save_dream(folder, hand_made((0.0, 1.0, 0.0), steepness=3.0), PICK)


@pytest.mark.parametrize(
    "arguments",
    [{}, {"observation": "latent"}, {"observation": "frame"}, {"deterministic": True}, {"render_mode": "rgb_array"}],
    ids=str,
)
def test_gymnasiums_checker_has_nothing_to_say(logdir: Path, arguments: dict):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", ".*symmetric and normalized space.*")  # the real environment's is [-2, 2]
        check_env(gymnasium.make(ID, logdir=logdir, max_steps=5, terminal="never", **arguments).unwrapped)


def test_discrete_actions_are_the_real_environments(tmp_path: Path):
    env = gymnasium.make(ID, logdir=discrete_run(tmp_path), max_steps=9)
    check_env(env.unwrapped)
    assert env.action_space == gymnasium.spaces.Discrete(3, start=3)
    rewards = []
    for action in (3, 4, 5):
        env.reset(seed=1)
        rewards.append(env.step(action)[1])
    assert rewards[1] > max(rewards[0], rewards[2]) + 0.2


def test_it_is_registered_by_importing_the_package_and_imports_pytorch_only_when_made():
    program = (
        "import sys, gymnasium, world_models; gymnasium.spec('world_models/Dream-v0'); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[2])


def test_observations_are_what_c_sees_and_infos_say_what_was_clamped(logdir: Path):
    env = gymnasium.make(ID, logdir=logdir, temperature=300.0, terminal="never")
    assert env.observation_space.shape == (LATENTS + HIDDENS,)
    observation, info = env.reset(seed=3)
    assert info["clamped"] == 0
    clamped = 0
    for _ in range(30):
        observation, _, _, _, info = env.step(env.action_space.sample())
        assert env.observation_space.contains(observation) and 0 < info["terminal_probability"] < 1
        assert info["clamped"] == (np.abs(observation[:LATENTS]) == RANGE).sum()
        clamped += info["clamped"]
    assert clamped > 0


def test_an_episode_is_that_of_the_lanes_with_the_same_seed(logdir: Path):
    driver = Driver(dream_recipe("tests.small_envs:Steer-v0", str(logdir), DreamRules(precision="fp32"), time_limit=8))
    zeros = np.zeros((1, 2 * (LATENTS + HIDDENS + 1)))
    for seed in range(5):
        result = driver.evaluate([Episode(0, seed)], zeros)[0]
        env = gymnasium.make(ID, logdir=logdir, max_steps=8)
        env.reset(seed=seed)
        total, steps, over = 0.0, 0, False
        while not over:
            _, reward, terminated, truncated, _ = env.step(np.zeros(2, np.float32))
            total, steps, over = total + reward, steps + 1, terminated or truncated
        assert steps == result.steps and total == pytest.approx(result.episode_return, abs=1e-4)
        assert terminated == (result.ended_by == "terminal")


def test_without_a_seed_every_episode_is_another_one(logdir: Path):
    env = gymnasium.make(ID, logdir=logdir)
    firsts = [env.reset(seed=5)[0], env.reset()[0], env.reset()[0], env.reset(seed=5)[0], env.reset()[0]]
    assert (firsts[0] == firsts[3]).all() and (firsts[1] == firsts[4]).all()
    assert not (firsts[0] == firsts[1]).all() and not (firsts[1] == firsts[2]).all()


def test_it_ends_at_the_step_limit(logdir: Path):
    env = gymnasium.make(ID, logdir=logdir, max_steps=4, terminal="never")
    env.reset(seed=0)
    assert [env.step(env.action_space.sample())[2:4] for _ in range(4)] == [(False, False)] * 3 + [(False, True)]


def test_stepping_before_a_reset_is_gymnasiums_own_error(logdir: Path):
    for call in ("step", "render"):
        env = gymnasium.make(ID, logdir=logdir, render_mode="rgb_array").unwrapped
        with pytest.raises(gymnasium.error.ResetNeeded):
            env.step(np.zeros(2, np.float32)) if call == "step" else env.render()


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"temperature": 0}, ConfigError, "temperature is 0, "),
        ({"temperature": -0.5}, ConfigError, "temperature is -0.5"),
        ({"temperature": float("nan")}, ConfigError, "temperature is nan"),
        ({"temperature": "warm"}, ConfigError, "temperature is 'warm', and must be a finite number"),
        ({"temperature": None}, ConfigError, "temperature is None, and must be a finite number"),
        ({"reward_limit": "1"}, ConfigError, "reward_limit is '1', and must be a finite number"),
        ({"max_steps": 2.5}, ConfigError, r"max_steps=2\.5"),
        ({"max_steps": "9"}, ConfigError, "max_steps='9'"),
        ({"device": "abacus"}, ConfigError, "device is 'abacus'"),
        ({"logdir": None}, ConfigError, r"give logdir, as in gymnasium\.make\('world_models/Dream-v0', logdir="),
        ({"observation": "smell"}, ConfigError, "observation='smell'"),
        ({"max_steps": 0}, ConfigError, "max_steps=0"),
        ({"env_name": PICK}, CheckpointError, "trained with 2 actions"),
        ({"env_name": "Nowhere-v0"}, WorldModelsError, "Nowhere-v0"),
    ],
)
def test_what_cannot_work_is_named(logdir: Path, arguments: dict, error: type[Exception], says: str):
    with pytest.raises(error, match=says):
        gymnasium.make(ID, **{"logdir": logdir, **arguments})


@pytest.mark.parametrize("make", [gymnasium.make, gymnasium.make_vec], ids=["make", "make_vec"])
def test_without_a_run_it_says_what_to_give(make: Any, tmp_path: Path):
    with pytest.raises(ConfigError, match="A dream needs the folder of a trained run: give logdir"):
        make(ID)
    with pytest.raises(CheckpointError, match=r"best\.tar does not exist: train that stage first \(--stage rnn"):
        make(ID, logdir=tmp_path)


def test_vectorised_in_one_process_each_dream_has_a_seed_of_its_own(logdir: Path):
    envs = gymnasium.make_vec(ID, num_envs=3, vectorization_mode="sync", logdir=logdir)
    first, other, again = (envs.reset(seed=seed)[0] for seed in (5, 6, 5))
    assert (first == again).all() and len(np.unique(first, axis=0)) == 3
    assert (first[1:] == other[:-1]).all(), "seeds go up by one from environment to environment"


def test_only_pictures_can_be_rendered(logdir: Path):
    with pytest.raises(ConfigError, match="render_mode='ansi'"):
        DreamEnv(logdir, render_mode="ansi")


def test_a_run_that_cannot_be_dreamed_is_named(tmp_path: Path):
    logdir = save_dream(tmp_path)
    with pytest.raises(CheckpointError, match="no terminal head that was trained"):
        gymnasium.make(ID, logdir=logdir, terminal="threshold")
    (logdir / "mdrnn" / "starts.npz").unlink()
    with pytest.raises(DataError, match=r"starts\.npz: there is no such file"):
        gymnasium.make(ID, logdir=logdir)
    save_dream(tmp_path, env_name="")
    with pytest.raises(ConfigError, match="give env_name"):
        gymnasium.make(ID, logdir=logdir)


@pytest.mark.long  # test_sb3.py has it learn in the batch of dreams
@pytest.mark.filterwarnings("ignore")
def test_stable_baselines_ppo_learns_in_it(tmp_path: Path):
    ppo = pytest.importorskip("stable_baselines3", reason="Stable-Baselines3 is optional (pip install '.[dev]')").PPO
    from stable_baselines3.common.evaluation import evaluate_policy

    env = gymnasium.make(ID, logdir=save_dream(tmp_path, hand_made((0.5, -1.0), steepness=2.0)), max_steps=16)
    model = ppo("MlpPolicy", env, n_steps=256, batch_size=64, learning_rate=3e-3, gamma=0.5, seed=0, device="cpu")
    before, _ = evaluate_policy(model, env, 16)
    model.learn(5_000)
    after, _ = evaluate_policy(model, env, 16)
    best = 16 * 2 * 2 * np.tanh(np.tanh(0.2))
    assert after > 0.85 * best > before, (before, after, best)
