"""--env_kwargs is kept in the run: whoever comes later makes the environment as it was, or says another thing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.broken_envs import named
from tests.cli_cases import Refused
from tests.small_runs import save_controller, save_run
from world_models import cli
from world_models.datasets.dream_starts import load_starts, starts_path
from world_models.datasets.rollout_files import read_meta
from world_models.models.load import load_controller
from world_models.report.run import read_run
from world_models.runs.evaluation import run_recipe, test_trained_model
from world_models.utils.run_settings import read_settings

ENV = named("Leveled")
KEPT = {"level": 3}
FLAGS = ["--env", ENV, "--preset", "tiny", "--rnn_hidden", "8", "--latent_size", "4", "--ctrl_generations", "1"]
FOLDERS = ["--data_dir", "data", "--logdir", "run", "--device", "cpu", "--ctrl_time_limit", "40"]


@pytest.fixture
def trained() -> None:
    """A run in miniature with level 3; a reward is the level."""
    assert cli.main(["run", *FLAGS, *FOLDERS, "--env_kwargs", json.dumps(KEPT), "--episodes", "1"]) == 0


def mean(capsys: pytest.CaptureFixture[str], *flags: str) -> float:
    capsys.readouterr()
    words = ["evaluate", "--logdir", "run", "--episodes", "1", "--time_limit", "4", "--workers", "1", "--json"]
    assert cli.main([*words, *flags]) == 0
    return float(json.loads(capsys.readouterr().out)["mean"])


@pytest.mark.usefixtures("trained")
def test_every_file_says_it_and_every_later_command_heeds_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert read_meta(Path("data/rollout_00000.npz"))["env_kwargs"] == json.dumps(KEPT)
    assert np.load("data/rollout_00000.npz")["rewards"][0] == 3
    assert read_settings("run")["run"]["env_kwargs"] == KEPT
    assert read_settings("run")["ctrl"]["env_kwargs"] == KEPT
    assert load_controller("run")[1]["env_kwargs"] == KEPT
    assert load_starts(starts_path("run")).env_kwargs == json.dumps(KEPT)
    assert json.loads(Path("run/summary.json").read_text())["random"]["mean"] == 3 * 40
    assert read_run("run").env_kwargs == KEPT
    assert "made with" in Path("run/report/index.html").read_text()

    assert mean(capsys) == 3 * 4
    assert mean(capsys, "--env_kwargs", '{"level": 2}') == 2 * 4, "what is given wins"
    assert mean(capsys, "--env_kwargs", "{}") == 4
    assert mean(capsys, "--env", named("Sound")) == 4, "another environment has none of them"
    assert test_trained_model("run", ENV, 2, 1, time_limit=4) == [12]
    assert test_trained_model("run", ENV, 2, 1, time_limit=4, env_kwargs={"level": 2}) == [8]
    assert cli.main(["dream", "evaluate", "--logdir", "run", "--episodes", "1", "--max_steps", "3"]) == 0
    assert cli.main(["train", *FLAGS, *FOLDERS]) == 0, "the same command goes on with the run's own"
    assert load_controller("run")[1]["env_kwargs"] == KEPT


@pytest.mark.usefixtures("trained")
def test_evolution_goes_on_only_in_the_environment_that_it_began_in(refused: Refused) -> None:
    says = ("was evolved on", '{"level": 3}', '{"level": 2}', "--noreload")
    refused("train", *FLAGS, *FOLDERS, "--stage", "ctrl", "--env_kwargs", '{"level": 2}', says=says)


def test_the_rollouts_say_it_where_there_is_no_run_yet() -> None:
    collect = ["collect", "--env", ENV, "--data_dir", "data", "--rollout_len", "3", "--num_rollouts"]
    assert cli.main([*collect, "1", "--env_kwargs", json.dumps(KEPT)]) == 0
    assert cli.main([*collect, "2"]) == 0
    assert [np.load(path)["rewards"][0] for path in sorted(Path("data").glob("*.npz"))] == [3, 3]


def test_arguments_that_change_the_actions_are_refused_where_the_run_has_others(refused: Refused) -> None:
    save_run(Path("run"))
    save_controller(Path("run"), env_name="LunarLander-v3")
    assert run_recipe("run", env_kwargs={"continuous": True}).env_kwargs == {"continuous": True}
    says = ("C in run gives 2 actions, LunarLander-v3 has 4", "--env_kwargs")
    refused("evaluate", "--logdir", "run", "--episodes", "1", says=says)
    refused("evaluate", "--logdir", "run", "--env_kwargs", "{", says=("is no JSON",))
