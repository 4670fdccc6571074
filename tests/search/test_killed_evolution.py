"""Stage C killed with SIGKILL in the midst of a generation: it goes on as if it had not been."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.small_envs import STEER
from tests.small_runs import HIDDENS, LATENTS, copy_of_run, save_run
from tests.training.runs import assert_equal
from world_models.utils.run_dir import load_checkpoint, log_path, read_jsonl

ROOT = Path(__file__).parents[2]
PROGRAM = f"""
import sys, time
from pathlib import Path
import numpy as np
from world_models.configs.wm_config import WMControllerConfig
from world_models.search import run as evolution_run
from world_models.training.train_controller import train_controller

logdir, asked, stop_at = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
real, calls = evolution_run.evaluate, []

def slow(executor, episodes, candidates, **limits):
    np.save(asked / f"{{len(list(asked.iterdir())):02}}.npy", candidates)
    calls.append(0)
    if len(calls) == stop_at:
        real(executor, episodes[: len(episodes) // 2], candidates, **limits)  # half of the generation has driven
        (logdir / "now").touch()
        time.sleep(600)
    return real(executor, episodes, candidates, **limits)

evolution_run.evaluate = slow
if __name__ == "__main__":
    train_controller(WMControllerConfig(
        logdir=str(logdir), env_name="{STEER}", latent_size={LATENTS}, hidden_size={HIDDENS}, action_size=2,
        n_samples=2, pop_size=4, target_return=1e9, max_workers=1, display=False, time_limit=6,
        extra=dict(max_generations=5, eval_every=2, eval_episodes=2, max_samples=5, target_f_statistic=1e9),
    ))
"""


def evolve(logdir: Path, asked: Path, kill_at: int = 0) -> int:
    """Evolves in a process of its own, which is killed when it has half driven its `kill_at`th evaluation."""
    asked.mkdir(exist_ok=True)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", PROGRAM, str(logdir), str(asked), str(kill_at)]
    with subprocess.Popen(command, env=environment) as process:
        if kill_at:
            deadline = time.monotonic() + 120
            while not (logdir / "now").exists() and process.poll() is None:
                assert time.monotonic() < deadline, "it never came so far"
                time.sleep(0.02)
            process.send_signal(signal.SIGKILL)
        return process.wait(timeout=120)


@pytest.mark.slow
def test_a_killed_generation_is_driven_again_with_the_same_candidates_to_the_same_end(tmp_path: Path) -> None:
    source = save_run(tmp_path / "source")
    straight, killed = copy_of_run(source, tmp_path / "straight"), copy_of_run(source, tmp_path / "killed")
    assert evolve(straight, tmp_path / "asked") == 0
    assert evolve(killed, tmp_path / "asked_killed", kill_at=4) == -signal.SIGKILL
    before = read_jsonl(log_path(killed, "ctrl"))
    assert len(before) == 2  # two generations and a re-evaluation are behind it
    assert evolve(killed, tmp_path / "asked_killed") == 0

    candidates = [path.read_bytes() for path in sorted((tmp_path / "asked").iterdir())]
    asked_killed = [path.read_bytes() for path in sorted((tmp_path / "asked_killed").iterdir())]
    assert asked_killed[:4] == candidates[:4]
    assert asked_killed[4:] == candidates[3:], "the generation that was killed is asked for again"
    logs = [read_jsonl(log_path(run, "ctrl")) for run in (straight, killed)]
    for records in logs:
        for record in records:
            del record["seconds"]
    assert logs[0] == logs[1] and len(logs[0]) == 5
    for name in ("best.tar", "checkpoint.tar"):
        one, other = (load_checkpoint(run / "ctrl" / name) for run in (straight, killed))
        for payload in (one, other):
            payload.pop("seconds", None)
            for record in payload.get("history", []):
                record.pop("seconds")
        assert_equal(one, other, name)
