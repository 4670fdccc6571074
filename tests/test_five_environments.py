"""Each of five environments through collect, V, M, C, evaluation and report with one command, in miniature."""

from __future__ import annotations

import json
from pathlib import Path

import gymnasium
import pytest

from tests.small_runs import inline_executors
from world_models import cli
from world_models.datasets.rollout_files import list_rollouts, read_meta, read_rollout
from world_models.utils.run_dir import STAGES, best_path

# Box actions from pixels; Discrete and Box actions from rendered pictures.
ACTIONS = {"CarRacing-v3": 3, "CartPole-v1": 2, "Pendulum-v1": 1, "LunarLander-v3": 4, "BipedalWalker-v3": 4}
SIZES = "--num_rollouts 3 --rollout_len 24 --ctrl_time_limit 12 --ctrl_generations 1 --rnn_hidden 16 --episodes 2"


@pytest.mark.slow
@pytest.mark.parametrize("env_id", ACTIONS)
def test_one_command_takes_an_environment_from_pixels_to_a_score(
    env_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_MODELS_QUIET", "1")
    inline_executors(monkeypatch, "runs.evaluation")  # the score's has a process a core
    data, run = tmp_path / "data", tmp_path / "run"
    folders = ["--data_dir", str(data), "--logdir", str(run), "--num_workers", "1", "--ctrl_workers", "1"]
    assert cli.main(["run", "--env", env_id, "--preset", "tiny", "--device", "cpu", *folders, *SIZES.split()]) == 0

    files = list_rollouts(data)
    assert len(files) == 3
    for path in files:
        assert read_meta(path)["env_id"] == env_id
        actions = read_rollout(path).actions
        assert actions.shape[1] == ACTIONS[env_id]
        space = gymnasium.make(env_id).action_space
        if isinstance(space, gymnasium.spaces.Discrete):
            assert set(actions.sum(1)) == {1.0}, "one-hot rows"
        else:
            assert all(row in space for row in actions)
    assert all(best_path(run, stage).is_file() for stage in STAGES)
    summary = json.loads((run / "summary.json").read_text())
    assert (summary["env"], summary["backend"]) == (env_id, "gymnasium")
    assert len(summary["trained"]["returns"]) == len(summary["random"]["returns"]) == 2
    assert {"collect", "vae", "mdrnn", "ctrl", "evaluate", "report"} <= set(summary["seconds"])
    assert (run / "report" / "index.html").is_file()
