"""Commands work in an empty folder; `refused` is how they must refuse."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli_cases import Refused


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Refused:
    """Asserts that a command refuses as promised, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return Refused(capsys)
