"""C carried over: on what the agent drove, the refitted controller does what the old one did."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.small_envs import STEER
from tests.small_runs import HIDDENS, LATENTS, inline_executors, save_controller, save_mdrnn, save_run, save_vae
from world_models.configs.wm_config import WMControllerConfig
from world_models.envs.actions import ActionAdapter
from world_models.envs.registry import make_gym
from world_models.errors import CheckpointError, DataError
from world_models.models.agent import Agent
from world_models.models.controller import Controller, load_parameters
from world_models.models.load import load_cell, load_controller, load_vae
from world_models.runs.collection import generate_rollouts
from world_models.search.algorithms.spaces import PlainSpace
from world_models.search.refit import agent_rollouts, driving_states, refitted
from world_models.search.settings import ControllerSettings
from world_models.search.setup import driving_space
from world_models.search.whitening import states_of
from world_models.utils.run_dir import checkpoint_path, save_checkpoint


@pytest.fixture
def actions() -> ActionAdapter:
    env = make_gym(STEER)
    return ActionAdapter(env.action_space)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return save_run(tmp_path / "old", controller=True)


@pytest.fixture
def data(old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four rollouts of noise and eight of the agent."""
    inline_executors(monkeypatch)
    folder = tmp_path / "data"
    generate_rollouts(folder, STEER, 4, 12, 1, display=False)
    generate_rollouts(folder, STEER, 12, 12, 1, policy="agent", logdir=old, display=False)
    return folder


def outputs(logdir: Path, controller: Controller, data: Path, actions: ActionAdapter) -> np.ndarray:
    agent = Agent(load_vae(logdir), load_cell(logdir), controller, actions.from_raw)
    states = np.concatenate([states_of(agent, rollout) for rollout in agent_rollouts(data)])
    with torch.no_grad():
        return actions.from_raw(controller(torch.from_numpy(states))).numpy()


def carried(new: Path, old: Path, data: Path, actions: ActionAdapter, template: Controller | None = None) -> np.ndarray:
    rollouts, template = agent_rollouts(data), template or Controller(LATENTS, HIDDENS, 2)
    return refitted(old, rollouts, driving_states(new, rollouts, template, actions), template, actions)


def test_over_another_v_and_m_it_acts_as_before(old, data, actions, tmp_path):
    new = tmp_path / "new"
    save_vae(new, seed=5)
    save_mdrnn(new)
    fitted = Controller(LATENTS, HIDDENS, 2)
    load_parameters(carried(new, old, data, actions), fitted)
    before = outputs(old, load_controller(old)[0], data, actions)
    after = outputs(new, fitted, data, actions)
    unfitted = outputs(new, load_controller(old)[0], data, actions)
    assert np.abs(after - before).mean() < 0.5 * np.abs(unfitted - before).mean()


def test_without_a_rollout_of_the_agent_it_is_an_error(tmp_path, monkeypatch):
    inline_executors(monkeypatch)
    generate_rollouts(tmp_path / "noise", STEER, 2, 5, 1, display=False)
    with pytest.raises(DataError, match="no rollout that an agent drove"):
        agent_rollouts(tmp_path / "noise")


def test_it_is_carried_over_to_a_controller_with_the_cell_state_and_no_bias(old, data, actions):
    template = Controller(LATENTS, HIDDENS, 2, use_cell=True, bias=False)
    load_parameters(carried(old, old, data, actions, template), template)
    before, after = (outputs(old, c, data, actions) for c in (load_controller(old)[0], template))
    assert np.abs(after - before).mean() < 0.1 * np.abs(before).mean()


def test_an_mlp_cannot_be_carried_over(old, data, actions):
    save_controller(old, hidden_layers=(3,))
    with pytest.raises(CheckpointError, match="only a linear controller"):
        carried(old, old, data, actions)


@pytest.mark.parametrize("start_from", [True, False])
def test_the_space_of_the_driving_is_whitened_with_it_and_lies_about_the_old_controller(old, data, start_from):
    template = Controller(LATENTS, HIDDENS, 2)
    extra = {"components": 3, "whitening_rollouts": str(data), "refit_from": str(old) if start_from else ""}
    config = WMControllerConfig(latent_size=LATENTS, hidden_size=HIDDENS, action_size=2, logdir=str(old), extra=extra)
    space = driving_space(old, STEER, ControllerSettings.from_config(config), template)
    env = make_gym(STEER)
    states = np.concatenate(driving_states(old, agent_rollouts(data), template, ActionAdapter(env.action_space)))
    whitened = (states - space.center) @ space.components.T
    np.testing.assert_allclose(whitened.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(np.cov(whitened.T), np.eye(3), atol=1e-4)
    assert (space.offset is not None) == start_from


def test_a_spread_needs_the_search_space_and_changes_how_the_agent_drives(old, tmp_path, monkeypatch):
    inline_executors(monkeypatch)

    def collect(name: str, spread: float) -> list[np.ndarray]:
        folder = tmp_path / name
        generate_rollouts(folder, STEER, 3, 6, 1, policy="agent", logdir=old, spread=spread, display=False)
        return [rollout.actions for rollout in agent_rollouts(folder)]

    with pytest.raises(CheckpointError, match="needs its search space"):
        collect("none", 0.5)
    save_checkpoint(
        checkpoint_path(old, "ctrl"), {"state_dict": {}, "space": PlainSpace((LATENTS + HIDDENS + 1) * 2).state_dict()}
    )
    plain, one, same = collect("plain", 0.0), collect("one", 0.5), collect("same", 0.5)
    assert all(not np.array_equal(a, b) for a, b in zip(plain, one, strict=True))
    for a, b in zip(one, same, strict=True):
        np.testing.assert_array_equal(a, b)
