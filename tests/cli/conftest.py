"""Every test of the command line works in an empty folder; `refused` is how it must refuse."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli_cases import Refused
from tests.small_runs import inline_executors


@pytest.fixture(autouse=True)
def quiet_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In an empty folder, without worker processes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORLD_MODELS_QUIET", "1")
    inline_executors(monkeypatch)


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Refused:
    return Refused(capsys)
