"""A small run, and the world model of it."""

from __future__ import annotations

from pathlib import Path

import pytest

import world_models
from tests.dreams import save_dream
from tests.envs.test_dream_vector_env import ending_m
from tests.small_envs import STEER
from tests.small_runs import save_controller
from world_models.world_model import WorldModel


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with everything, whose dreams end now and then."""
    folder = save_dream(tmp_path_factory.mktemp("run"), ending_m(), terminal_trained=True)
    save_controller(folder, env_name=STEER)
    return folder


@pytest.fixture(scope="module")
def model(logdir: Path) -> WorldModel:
    return world_models.load(logdir)
