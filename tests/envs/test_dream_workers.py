"""The dream in worker processes: forked, spawned or of the fork server, under Gymnasium and Stable-Baselines3.

Each case is a program of its own: what a worker knows depends on what its parent has imported and used.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.dreams import save_dream

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "tests" / "dream_workers.py"
METHODS = multiprocessing.get_all_start_methods()
LEARNERS = "stable_baselines"
WAYS = [LEARNERS, "gymnasium_make_vec", "gymnasium_async", "gymnasium_with_the_module"]
if find_spec(LEARNERS + "3") is None:
    WAYS.remove(LEARNERS)
LONGEST = 60  # seconds of a way, which takes about three where nothing else runs

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_dream(tmp_path_factory.mktemp("run"))


def run(method: str, logdir: Path, *ways: str, file: bool = True) -> subprocess.CompletedProcess[str]:
    """The program, from its file or, as in a notebook, without one."""
    # Two threads, so that there is a pool to lose: the tests' own processes have one each.
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "2"}
    program = [str(PROGRAM)] if file else ["-c", PROGRAM.read_text("utf-8")]
    command = [sys.executable, *program, method, str(logdir), *ways]
    return subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=LONGEST * len(ways)
    )


def assert_dreamed(done: subprocess.CompletedProcess[str], *ways: str) -> None:
    assert done.returncode == 0, done.stderr[-2000:]
    for way in ways:
        assert f"dreamed {way} " in done.stdout


@pytest.mark.parametrize("method", METHODS)
def test_workers_dream_whichever_way_they_are_started(logdir: Path, method: str):
    assert_dreamed(run(method, logdir, *WAYS, "busy"), *WAYS)


@pytest.mark.skipif("fork" not in METHODS, reason="this system does not fork")
def test_forked_workers_dream_though_the_parent_computed_nothing_yet(logdir: Path):
    assert_dreamed(run("fork", logdir, *WAYS), *WAYS)


@pytest.mark.parametrize("method", [method for method in METHODS if method != "fork"])
def test_workers_of_a_program_without_a_file_know_the_id(logdir: Path, method: str):
    ways = [way for way in WAYS if way in (LEARNERS, "gymnasium_async")]
    assert_dreamed(run(method, logdir, *ways, file=False), *ways)


@pytest.mark.skipif(LEARNERS not in WAYS, reason="Stable-Baselines3 is optional")
@pytest.mark.parametrize("method", [method for method in METHODS if method != "forkserver"])
def test_a_worker_without_its_run_ends_and_says_so(tmp_path: Path, method: str):
    done = run(method, tmp_path / "nowhere", LEARNERS)
    assert done.returncode == 1
    assert "best.tar does not exist: train that stage first (--stage rnn" in done.stderr


@pytest.mark.skipif(LEARNERS not in WAYS, reason="Stable-Baselines3 is optional")
def test_in_one_process_stable_baselines_vectorises_it_too(logdir: Path):
    assert_dreamed(run("none", logdir, LEARNERS), LEARNERS)
