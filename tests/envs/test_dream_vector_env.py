"""The dream as a vector environment: against single dreams under Gymnasium's own vectorizer, and forked."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode

from tests.dreams import random_cell, save_dream
from tests.small_envs import PICK
from tests.small_runs import GAUSSIANS, HIDDENS, LATENTS
from world_models.envs.dream_vector_env import DreamVectorEnv
from world_models.errors import ActionSpaceError, ConfigError
from world_models.models.mdrnn import MDRNN

ID = "world_models/Dream-v0"
ROOT = Path(__file__).parents[2]
MODES = ["NextStep", "SameStep"]
OBSERVATIONS = ["state", "latent", "frame"]


def ending_m(actions: int = 2) -> MDRNN:
    """M of chance whose dreams end now and then: its terminal logits are about zero, and reach the threshold."""
    cell = random_cell(seed=5, scale=2.0, actions=actions)
    mdrnn = MDRNN(LATENTS, actions, HIDDENS, GAUSSIANS)
    mdrnn.rnn.load_state_dict({f"{name}_l0": weight for name, weight in cell.rnn.state_dict().items()})
    mdrnn.gmm_linear.load_state_dict(cell.gmm_linear.state_dict())
    return mdrnn


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_dream(tmp_path_factory.mktemp("run"), ending_m(), terminal_trained=True)


def make(logdir: Path, num_envs: int, **arguments: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return gymnasium.make_vec(ID, num_envs=num_envs, logdir=logdir, **arguments)


def single_ones(logdir: Path, num_envs: int, mode: str, **arguments: Any) -> Any:
    """The same dreams, each an environment of its own."""
    vector = {"autoreset_mode": mode}
    return make(logdir, num_envs, vectorization_mode="sync", vector_kwargs=vector, **arguments)


def assert_alike(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Infos have the same names, masks and dtypes, and the same numbers up to their last digits."""
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        if isinstance(value, dict):
            assert_alike(ours[name], value)
        elif name == "final_obs":
            for mine, other in zip(ours[name], value, strict=True):
                assert (mine is None) == (other is None)
                if mine is not None:
                    np.testing.assert_allclose(mine, other, atol=1e-5)
        else:
            assert ours[name].dtype == value.dtype
            np.testing.assert_allclose(ours[name], value, atol=1e-5, err_msg=name)


def test_it_is_what_make_vec_makes_and_is_one_batch(logdir: Path):
    envs = make(logdir, 256)
    assert type(envs.unwrapped) is DreamVectorEnv and envs.num_envs == 256
    assert envs.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    observations, _ = envs.reset(seed=1)
    assert envs.observation_space.contains(observations) and observations.shape == (256, LATENTS + HIDDENS)
    assert len(np.unique(observations, axis=0)) == 256
    assert envs.single_action_space == gymnasium.spaces.Box(-2.0, 2.0, (2,), np.float32)
    assert envs.spec.id == ID


@pytest.mark.parametrize("observation", OBSERVATIONS)
@pytest.mark.parametrize("mode", MODES)
def test_it_steps_as_single_dreams_under_gymnasiums_vectorizer(logdir: Path, mode: str, observation: str):
    same = {"max_steps": 7, "observation": observation, "temperature": 1.3}
    ours = make(logdir, 5, autoreset_mode=mode, **same)
    theirs = single_ones(logdir, 5, mode, **same)
    assert ours.action_space == theirs.action_space and ours.observation_space == theirs.observation_space
    assert ours.metadata == theirs.metadata
    (mine, info), (other, told) = (envs.reset(seed=3) for envs in (ours, theirs))
    np.testing.assert_allclose(mine, other, atol=1e-5)
    assert_alike(info, told)
    ours.action_space.seed(0)
    ended = [0, 0]
    for _ in range(40):
        actions = ours.action_space.sample()
        mine, *scalars, info = ours.step(actions)
        other, *expected, told = theirs.step(actions)
        # A picture of a number that is rounded to a whole one may be the next one.
        np.testing.assert_allclose(mine.astype(float), other.astype(float), atol=1 if observation == "frame" else 1e-5)
        for ours_is, theirs_is in zip(scalars, expected, strict=True):
            assert ours_is.dtype == theirs_is.dtype
            np.testing.assert_allclose(ours_is, theirs_is, atol=1e-5)
        if observation != "frame":
            assert_alike(info, told)
        ended = [ended[0] + scalars[1].sum(), ended[1] + (scalars[2] & ~scalars[1]).sum()]
    assert min(ended) > 2, "some dreams end by M, some by the step limit"


def test_a_lone_one_is_the_single_dream_to_the_bit(logdir: Path):
    single, envs = gymnasium.make(ID, logdir=logdir, terminal="never"), make(logdir, 1, terminal="never")
    assert (single.reset(seed=4)[0] == envs.reset(seed=4)[0][0]).all()
    single.action_space.seed(0)
    for _ in range(50):
        action = single.action_space.sample()
        observation, reward, *_ = single.step(action)
        observations, rewards, *_ = envs.step(action[None])
        assert (observation == observations[0]).all() and reward == rewards[0]


def test_with_discrete_actions_too(tmp_path: Path):
    logdir = save_dream(tmp_path, ending_m(3), PICK)
    ours, theirs = make(logdir, 4, max_steps=3), single_ones(logdir, 4, "NextStep", max_steps=3)
    assert ours.action_space == theirs.action_space
    ours.reset(seed=1), theirs.reset(seed=1)
    for _ in range(9):
        actions = ours.action_space.sample()
        for mine, other in zip(ours.step(actions)[:4], theirs.step(actions)[:4], strict=True):
            np.testing.assert_allclose(mine, other, atol=1e-5)


def test_seeds_are_gymnasiums_one_number_or_one_for_each(logdir: Path):
    envs = make(logdir, 3)
    counted, listed = envs.reset(seed=5)[0], envs.reset(seed=[5, 6, 7])[0]
    assert (counted == listed).all()
    other = envs.reset(seed=[7, None, 5])[0]
    assert (other[[0, 2]] == listed[[2, 0]]).all() and not (other[1] == listed[1]).all()
    with pytest.raises(ConfigError, match="seed has 2 numbers for 3 dreams"):
        envs.reset(seed=[1, 2])
    with pytest.raises(gymnasium.error.Error, match="-1"):
        envs.reset(seed=[1, -1, 2])


def test_an_action_of_a_step_that_only_resets_is_ignored_whatever_it_is(logdir: Path):
    envs, others = (make(logdir, 2, max_steps=1, terminal="never") for _ in range(2))
    for each in (envs, others):
        each.reset(seed=0)
        assert each.step(np.zeros((2, 2), np.float32))[3].all()
    nonsense, zeros = envs.step(np.full((2, 2), np.nan, np.float32)), others.step(np.zeros((2, 2), np.float32))
    assert (nonsense[0] == zeros[0]).all() and (nonsense[1] == 0).all() and not nonsense[3].any()


def test_with_autoreset_disabled_the_caller_resets_those_that_are_over(logdir: Path):
    envs = make(logdir, 3, max_steps=2, terminal="never", autoreset_mode=AutoresetMode.DISABLED)
    mask = np.array([True, False, True])
    with pytest.raises(gymnasium.error.ResetNeeded, match="first reset is of all"):
        envs.reset(seed=0, options={"reset_mask": mask})
    envs.reset(seed=0)
    zeros = np.zeros((3, 2), np.float32)
    envs.step(zeros)
    before = envs.step(zeros)[0]
    observations, infos = envs.reset(seed=9, options={"reset_mask": mask})
    assert (observations[1] == before[1]).all() and (infos["_clamped"] == mask).all()
    with pytest.raises(gymnasium.error.ResetNeeded, match=r"Dreams \[1\] are over"):
        envs.step(zeros)
    envs.reset(options={"reset_mask": ~mask})
    assert not envs.step(zeros)[3].any() and envs.step(zeros)[3].all()


def test_pictures_are_rendered_for_every_dream(logdir: Path):
    envs = make(logdir, 2, render_mode="rgb_array", observation="frame")
    with pytest.raises(gymnasium.error.ResetNeeded):
        envs.render()
    observations, _ = envs.reset(seed=0)
    assert (np.stack(envs.render()) == observations).all()
    assert make(logdir, 2).render() is None


def test_gymnasiums_wrappers_take_it(logdir: Path):
    envs = gymnasium.wrappers.vector.RecordEpisodeStatistics(make(logdir, 4, max_episode_steps=3, terminal="never"))
    envs.reset(seed=0)
    for _ in range(3):
        infos = envs.step(envs.action_space.sample())[4]
    assert (infos["episode"]["l"] == 3).all()


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"num_envs": 0}, ConfigError, "num_envs=0 cannot work"),
        ({"autoreset_mode": "Later"}, ConfigError, "autoreset_mode='Later' is unknown: it is one of NextStep"),
        ({"max_steps": 0}, ConfigError, "max_steps=0"),
        ({"logdir": None}, ConfigError, "A dream needs the folder of a trained run"),
    ],
)
def test_what_cannot_work_is_named(logdir: Path, arguments: dict, error: type[Exception], says: str):
    with pytest.raises(error, match=says):
        gymnasium.make_vec(ID, **{"num_envs": 2, "logdir": logdir, **arguments})


def test_a_missing_reset_mask_or_action_is_named(logdir: Path):
    envs = make(logdir, 3)
    with pytest.raises(gymnasium.error.ResetNeeded):
        envs.step(np.zeros((3, 2), np.float32))
    with pytest.raises(ConfigError, match="reset_mask"):
        envs.reset(options={"reset_mask": [True, False, True]})
    envs.reset()
    with pytest.raises(ActionSpaceError, match="There are 2 actions for 3 dreams"):
        envs.step(np.zeros((2, 2), np.float32))


FORKING = """
import os, sys
import gymnasium, numpy as np, torch
import world_models

torch.set_num_threads(2)
(torch.rand(800, 800) @ torch.rand(800, 800)).exp().sum()  # the pool of threads is at work
envs = gymnasium.make_vec("world_models/Dream-v0", num_envs=200, logdir=sys.argv[1], observation="frame")
zeros = np.zeros((200, 2), np.float32)
envs.reset(seed=1)
envs.step(zeros)
child = os.fork()
torch.set_num_threads(2)
seen = envs.step(zeros)[0]
made = gymnasium.make_vec("world_models/Dream-v0", num_envs=200, logdir=sys.argv[1], observation="frame")
again, _ = made.reset(seed=1)
print(int(seen.sum()), int(again.sum()), flush=True)
if child == 0:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system does not fork")
def test_a_caller_may_fork(logdir: Path):
    """What is inherited goes on, and what is made anew works, though the parent's threads do not survive a fork."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "2"}
    program = [sys.executable, "-c", FORKING, str(logdir)]
    done = subprocess.run(program, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    told = done.stdout.split("\n")[:2]
    assert len(set(told)) == 1 and told[0], "parent and child dream the same"


def test_making_one_leaves_the_callers_threads_as_they_are(logdir: Path):
    before = torch.get_num_threads()
    make(logdir, 2).reset(seed=0)
    assert torch.get_num_threads() == before
