"""The program that made the shipped agent, in miniature: it begins at the agent's C, keeps V and M, and goes on."""

import json

import pytest
import torch

from benchmarks import ablations, evolve_on
from tests.small_envs import STEER
from tests.small_runs import driven_run, inline_executors
from world_models.utils.run_dir import best_path, load_checkpoint


@pytest.fixture
def command(tmp_path, monkeypatch):
    """The command line, on a small run with rollouts of its agent, and two phases of a few generations."""
    inline_executors(monkeypatch)
    monkeypatch.setattr(ablations, "ENV", STEER)
    monkeypatch.setattr(evolve_on, "BACKEND", "gymnasium")
    monkeypatch.setattr(evolve_on, "FIRST_COMPONENTS", 4)
    monkeypatch.setattr(evolve_on, "PHASES", ((3, 0.1), (4, 0.1)))
    return [*driven_run(tmp_path), "--env_steps", "1500", "1500"]


def test_two_phases_from_the_agents_c_on_its_own_v_and_m(command, tmp_path, capsys):
    assert evolve_on.main(command) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    log = [json.loads(line) for line in (tmp_path / "out/ctrl/log.jsonl").read_text().splitlines()]
    assert told["env_steps"] == log[-1]["env_steps"] >= 3_000
    assert log[0]["sigma"] < 0.05 and log[-1]["sigma"] == 0.1
    assert sum("eval_best" in line for line in log) == 3  # a choice at the end of each phase and before them
    for part in ("vae", "mdrnn"):
        mine, theirs = (load_checkpoint(best_path(tmp_path / run, part))["state_dict"] for run in ("out", "run"))
        assert all(torch.equal(mine[key], theirs[key]) for key in theirs)


def test_rollouts_that_are_not_there_are_an_error_with_the_place(command, tmp_path, capsys):
    place = str(tmp_path / "nowhere")
    command[command.index("--data_dir") + 1] = place
    assert evolve_on.main(command) == 1
    assert place in capsys.readouterr().err
