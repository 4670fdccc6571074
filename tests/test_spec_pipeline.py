"""The whole pipeline from another folder, by documented imports, calls and commands alone."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "tests" / "spec_blocks" / "miniature.py"


def run(folder, *command):
    """What a Python command prints that is run in `folder` and knows of the package alone."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "WORLD_MODELS_QUIET": "1"}
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_script_in_another_folder_runs_the_whole_pipeline_in_miniature(tmp_path):
    shutil.copy(SCRIPT, tmp_path / "miniature.py")
    told = run(tmp_path, "miniature.py")
    assert told.splitlines()[-1] == "done"
    assert "frames (4, 3, 64, 64) sequences (5, 3, 64, 64) (5, 2) (5,) (5,) (5, 3, 64, 64)" in told
    train, test = map(int, re.search(r"windows (\d+) (\d+) stop False", told).groups())
    assert train > test == 2
    assert re.search(r"loop [1-9].* \(1, 5, 8\) \(1, 5, 8\)\n", told) and re.search(r"rollout [1-8]\.0 test 2", told)
    made = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    stages = {f"results/{stage}/{name}.tar" for stage in ("vae", "mdrnn", "ctrl") for name in ("best", "checkpoint")}
    assert stages | {"data/cartpole/latents/latents_8.npz"} <= made
    assert sum(name.startswith("data/cartpole/rollout_") for name in made) == 6
    command = ["-m", "world_models.training.train_world_model", "--env", "CartPole-v1"]
    told = run(tmp_path, *command, "--test", "--logdir", "results", "--device", "cpu", "--ctrl_time_limit", "8")
    assert "Mean over 5 episodes" in told
