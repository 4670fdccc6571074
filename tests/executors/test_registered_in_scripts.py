"""Scripts that register an environment under their main guard, driven by two worker processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = """
import sys
import gymnasium, numpy as np
from world_models.errors import WorldModelsError
from world_models.executors.local import ProcessExecutor
from world_models.runs import collection as collect_stage

class Own(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(0, 255, (16, 16, 3), np.uint8)
    action_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)
    def __init__(self, render_mode=None, level=0):
        self.render_mode, self.level = render_mode, level
    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.observation_space.sample(), {}
    def step(self, action):
        return self.observation_space.sample(), float(self.level), False, False, {}

if __name__ == "__main__":
    class Inner(Own):
        pass
    entry = {"class": Own, "inner": Inner, "lambda": lambda **settings: Own(**settings)}[sys.argv[1]]
    gymnasium.register("Own-v0", entry_point=entry, max_episode_steps=5, kwargs={"level": 3})
    collect_stage.make_executor = ProcessExecutor  # two workers on any machine
    try:
        collect_stage.generate_rollouts("data", "Own-v0", 2, 20, 2, display=False)
    except WorldModelsError as error:
        print(error)
        sys.exit(2)
"""


def run(folder: Path, kind: str) -> subprocess.CompletedProcess[str]:
    (folder / "script.py").write_text(SCRIPT)
    command = [sys.executable, "script.py", kind]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


@pytest.mark.slow
def test_a_class_at_the_top_level_is_found_with_all_that_it_was_registered_with(tmp_path: Path) -> None:
    done = run(tmp_path, "class")
    assert done.returncode == 0, done.stdout + done.stderr
    for number in range(2):
        np.testing.assert_array_equal(np.load(tmp_path / f"data/rollout_{number:05d}.npz")["rewards"], [3] * 5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "says"), [("inner", "the script's top level has no Inner"), ("lambda", "a lambda; put its class")]
)
def test_what_cannot_be_sent_says_to_put_it_into_a_module(tmp_path: Path, kind: str, says: str) -> None:
    done = run(tmp_path, kind)
    assert done.returncode == 2, done.stdout + done.stderr
    assert says in done.stdout and "name it module:Own-v0, or use one worker" in done.stdout
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "data").exists()
