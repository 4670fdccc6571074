"""The whole training command on CartPole: it trains, it repeats itself, and it goes on from where it was stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.training.runs import assert_equal, losses_of
from world_models import cli
from world_models.datasets.rollout_files import list_rollouts, read_rollout
from world_models.runs.evaluation import median_episode
from world_models.training import train_world_model
from world_models.utils.run_dir import STAGES, best_path, load_checkpoint, log_path, read_jsonl

ROOT = Path(__file__).parents[2]
ROLLOUTS, EPOCHS, GENERATIONS = 10, 3, 4


def command(folder: Path, *more: str, workers: int = 1) -> list[str]:
    """CartPole in miniature, a little longer than the preset so that it can be stopped on the way."""
    length = {"--num_rollouts": ROLLOUTS, "--vae_epochs": EPOCHS, "--rnn_epochs": EPOCHS}
    length |= {"--ctrl_generations": GENERATIONS, "--ctrl_time_limit": 30, "--rollout_len": 30, "--rnn_hidden": 16}
    crew = {"--num_workers": workers, "--ctrl_workers": workers}
    flags = [str(part) for pair in (length | crew).items() for part in pair]
    folders = ["--data_dir", str(folder / "data"), "--logdir", str(folder / "run")]
    return ["--env", "CartPole-v1", "--preset", "tiny", "--device", "cpu", "--nosamples", *folders, *flags, *more]


def score(folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """`world-models evaluate --json`."""
    capsys.readouterr()
    flags = ["--episodes", "3", "--seed", "77", "--time_limit", "40", "--workers", "1", "--json"]
    assert cli.main(["evaluate", "--logdir", str(folder / "run"), *flags]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    answer: dict[str, Any] = json.loads(line)
    return answer


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was never stopped."""
    folder = tmp_path_factory.mktemp("reference")
    assert train_world_model.main(command(folder)) == 0
    return folder


def assert_same(one: Path, other: Path) -> None:
    """Equal data, losses, returns and weights, to the bit."""
    for left, right in zip(list_rollouts(one / "data"), list_rollouts(other / "data"), strict=True):
        assert left.name == right.name
        for key, value in vars(read_rollout(left)).items():
            np.testing.assert_array_equal(value, getattr(read_rollout(right), key))
    for stage in STAGES:
        first, second = (losses_of(read_jsonl(log_path(folder / "run", stage))) for folder in (one, other))
        assert first == second, stage
        weights = (load_checkpoint(best_path(folder / "run", stage)) for folder in (one, other))
        assert_equal(*weights, stage)


def test_one_command_collects_and_trains_all_three(reference: Path) -> None:
    assert len(list_rollouts(reference / "data")) == ROLLOUTS
    wanted = {"vae": EPOCHS, "mdrnn": EPOCHS, "ctrl": GENERATIONS}
    assert {stage: len(read_jsonl(log_path(reference / "run", stage))) for stage in STAGES} == wanted
    assert load_checkpoint(best_path(reference / "run", "ctrl"))["env_name"] == "CartPole-v1"


def test_the_score_says_what_it_is_made_of(reference: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = score(reference, capsys)
    assert found["seeds"] == [77, 78, 79]
    assert (found["env"], found["backend"], found["episodes"]) == ("CartPole-v1", "gymnasium", 3)
    assert found["mean"] == pytest.approx(np.mean(found["returns"]))
    assert found["std"] == pytest.approx(np.std(found["returns"]))
    assert {"python", "torch", "gymnasium", "cma"} <= set(found["versions"])


def test_the_same_seed_gives_the_same_data_losses_weights_and_returns(
    reference: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train_world_model.main(command(tmp_path)) == 0
    assert_same(reference, tmp_path)
    assert score(reference, capsys)["returns"] == score(tmp_path, capsys)["returns"]


def test_another_seed_gives_another_run(reference: Path, tmp_path: Path) -> None:
    assert train_world_model.main(command(tmp_path, "--seed", "1", "--stage", "all")) == 0
    first, second = (losses_of(read_jsonl(log_path(folder / "run", "vae"))) for folder in (reference, tmp_path))
    assert first != second


def test_a_finished_run_started_again_changes_nothing(reference: Path) -> None:
    files = [path for path in (reference / "run").rglob("*") if path.is_file()]
    before = {path: path.read_bytes() for path in files}
    assert train_world_model.main(command(reference)) == 0
    assert {path: path.read_bytes() for path in files} == before


def interrupt(folder: Path, progress: Callable[[], int], workers: int = 1) -> str:
    """Starts the command, presses Ctrl-C as a terminal does (all its processes hear it) once it has got
    somewhere, and gives what it said."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "WORLD_MODELS_QUIET": "1"}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), *sys.path])
    program = [sys.executable, "-m", "world_models.training.train_world_model", *command(folder, workers=workers)]
    start = progress()
    with subprocess.Popen(
        program, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        deadline = time.monotonic() + 120
        while progress() == start and process.poll() is None:
            assert time.monotonic() < deadline, "the command got nowhere"
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said.decode()
    return said.decode()


@pytest.mark.slow
def test_a_run_stopped_in_every_stage_ends_as_one_never_stopped(reference: Path, tmp_path: Path) -> None:
    def lines(stage: str) -> Callable[[], int]:
        return lambda: len(read_jsonl(log_path(tmp_path / "run", stage)))

    stops: list[tuple[Callable[[], int], int]] = [(lambda: len(list((tmp_path / "data").glob("*.npz"))), 1)]
    stops += [(lines("vae"), 1), (lines("mdrnn"), 1), (lines("ctrl"), 2)]
    for progress, workers in stops:
        said = interrupt(tmp_path, progress, workers)
        assert "goes on from here" in said
        assert "Traceback" not in said
        assert not list(tmp_path.rglob("*.tmp")), "no half-written file is left"
    assert len(read_jsonl(log_path(tmp_path / "run", "ctrl"))) < GENERATIONS, "it was stopped before its end"
    assert train_world_model.main(command(tmp_path)) == 0
    assert_same(reference, tmp_path)


def test_the_episode_that_is_shown_is_the_median_one():
    assert median_episode([10, 11, 12], [5.0, 900.0, 700.0]) == (12, 700.0)
    assert median_episode([10, 11, 12, 13], [5.0, 900.0, 700.0, 600.0]) == (13, 600.0)
    assert median_episode([10], [1.0]) == (10, 1.0)
