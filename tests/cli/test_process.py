"""The command line as a process of its own: its exit code and what it prints."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli_cases import snapshot, train
from world_models.__main__ import main

ROOT = Path(__file__).parents[2]


def test_ctrl_c_while_it_still_imports_is_a_sentence_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Interrupted:
        def find_spec(self, name: str, *rest: object) -> None:
            if name == "world_models.cli":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "world_models.cli", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Interrupted(), *sys.meta_path])
    assert main() == 130
    assert capsys.readouterr().err.strip() == "stopped before anything was begun"


@pytest.mark.parametrize(
    ("module", "argv"),
    [
        ("world_models", ["evaluate", "--logdir", "nowhere"]),
        ("world_models", train("--stage", "vae", "--device", "cuda:7")),
        ("world_models.training.train_world_model", ["--env", "NoSuch-v0", "--num_rollouts", "0"]),
    ],
)
def test_a_process_ends_with_code_2_and_one_sentence(module: str, argv: list[str]) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    done = subprocess.run([sys.executable, "-m", module, *argv], env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert snapshot() == {}
