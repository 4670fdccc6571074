"""The façade drives as the evaluator does."""

from __future__ import annotations

from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch

from tests.dreams import save_dream
from tests.envs.test_dream_vector_env import ending_m
from tests.small_envs import PICK, STEER
from tests.small_runs import GAUSSIANS, HIDDENS, LATENTS, save_controller, save_run
from tests.world_model_values import ID, noise, pictures, stepped
from world_models.errors import ActionSpaceError, ConfigError
from world_models.runs.evaluation import evaluate_recipe, run_recipe
from world_models.utils.run_dir import best_path, load_checkpoint
from world_models.world_model import WorldModel, load


def test_discrete_actions_are_given_and_given_back_as_the_environments_own(tmp_path: Path):
    folder = save_dream(tmp_path, ending_m(3), PICK)
    save_controller(folder, actions=3, env_name=PICK)
    model, z = load(folder), noise(4, LATENTS)
    np.testing.assert_array_equal(
        model.step(z, np.array([3, 4, 5, 4])).mus, model.step(z, np.eye(3, dtype=np.float32)[[0, 1, 2, 1]]).mus
    )
    assert model.step(z[0], 5).mus.shape == (GAUSSIANS, LATENTS)
    env = gymnasium.make(ID, logdir=folder, terminal="never")
    plan = np.array([3, 5, 4, 4])
    np.testing.assert_array_equal(model.dream(None, plan, seed=2).rewards, stepped(env, 2, plan)["rewards"])
    dreamt = model.dream(None, lambda state: np.full(len(state), 4), 3, seed=[1, 2])
    assert (dreamt.actions == [0, 1, 0]).all()
    action = model.act(pictures(32, 32, 3))
    assert type(action) is int and env.action_space.contains(action)
    assert model.act(torch.from_numpy(pictures(2, 32, 32, 3)), reset=True).dtype == torch.int64
    with pytest.raises(ActionSpaceError, match="no action"):
        model.step(z[0], 7)


def test_driving_with_it_gives_the_evaluators_returns(model: WorldModel, logdir: Path):
    told = evaluate_recipe(run_recipe(logdir, STEER), 4, 100, workers=1, display=False)
    env = gymnasium.make(STEER)
    for seed, expected in zip(told["seeds"], told["returns"], strict=True):
        picture, _ = env.reset(seed=seed)
        total, over = 0.0, False
        model.reset()
        while not over:
            picture, reward, terminated, truncated, _ = env.step(model.act(picture))
            total, over = total + float(np.float32(reward)), terminated or truncated
        assert total == expected


def test_episodes_side_by_side_are_told_which_begin(model: WorldModel, logdir: Path):
    told = evaluate_recipe(run_recipe(logdir, STEER), 6, 100, workers=1, display=False)
    envs = [gymnasium.make(STEER) for _ in range(2)]
    seeds, returns, lanes = list(told["seeds"]), {}, [None, None]
    frames, first, totals = [None, None], [True, True], [0.0, 0.0]
    for lane in (0, 1):
        lanes[lane] = seeds.pop(0)
        frames[lane] = envs[lane].reset(seed=lanes[lane])[0]
    while len(returns) < 6:
        actions = model.act(torch.from_numpy(np.stack(frames)), reset=np.array(first))
        assert isinstance(actions, torch.Tensor) and actions.shape == (2, 2)
        first = [False, False]
        for lane, env in enumerate(envs):
            frames[lane], reward, terminated, _, _ = env.step(actions[lane].numpy())
            totals[lane] += float(np.float32(reward))
            if terminated:
                returns.setdefault(lanes[lane], totals[lane])
                lanes[lane] = seeds.pop(0) if seeds else lanes[lane]
                frames[lane], totals[lane], first[lane] = env.reset(seed=lanes[lane])[0], 0.0, True
    assert [returns[seed] for seed in told["seeds"]] == told["returns"]


def test_its_memory_is_a_state_that_a_dream_can_go_on_from(model: WorldModel):
    model.reset()
    assert model.state is None
    frames = pictures(2, 40, 48, 3)
    action = model.act(frames[0])
    expected = model.step(model.encode(frames[0]), action)
    np.testing.assert_allclose(model.state.h, expected.state.h, atol=0.02)  # V in bfloat16, where that is faster
    dreamt = model.dream((model.encode(frames[1]), model.state), noise(3, 2), terminal="never")
    assert dreamt.z.shape == (4, LATENTS) and (dreamt.h[0] == model.state.h.numpy()).all()
    with pytest.raises(ConfigError, match=r"M remembers 1 episodes: call reset\(\)"):
        model.act(frames)
    model.act(frames, reset=True)
    assert model.state.h.shape == (2, HIDDENS)


def test_latents_are_sampled_where_the_run_says_so(tmp_path: Path):
    folder = save_run(tmp_path, controller=True)
    path = best_path(folder, "ctrl")
    from world_models.utils.run_dir import save_checkpoint

    save_checkpoint(path, {**load_checkpoint(path), "sample_latents": True, "env_name": STEER})
    model, frame, acted = load(folder), pictures(40, 48, 3), []
    for seed in (1, 1, 2):
        model.reset(seed)
        acted.append(model.act(frame))
    assert (acted[0] == acted[1]).all() and not (acted[0] == acted[2]).all()
