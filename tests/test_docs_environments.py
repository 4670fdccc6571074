"""docs/environments.md: the environment that it shows goes through all stages with the command that it shows."""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path

import gymnasium
import pytest
from gymnasium.utils.env_checker import check_env

from tests.small_runs import inline_executors
from world_models import cli
from world_models.envs.registry import EnvSpec

PAGE = (Path(__file__).parents[1] / "docs" / "environments.md").read_text(encoding="utf-8")
ID = "catch:Catch-v0"


def block(language: str, containing: str) -> str:
    """The one fenced block of that language that has the words in it."""
    (found,) = [b for b in re.findall(rf"```{language}\n(.*?)```", PAGE, re.S) if containing in b]
    return found


@pytest.fixture
def catch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's module, importable from an empty folder, without worker processes."""
    (tmp_path / "catch.py").write_text(block("python", "class Catch"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "catch", raising=False)
    monkeypatch.setenv("WORLD_MODELS_QUIET", "1")
    inline_executors(monkeypatch)


@pytest.mark.usefixtures("catch")
def test_the_environment_of_the_page_is_a_sound_one() -> None:
    check_env(gymnasium.make(ID, render_mode="rgb_array").unwrapped, skip_render_check=True)


@pytest.mark.usefixtures("catch")
def test_the_command_of_the_page_takes_it_through_all_stages() -> None:
    words = shlex.split(block("bash", ID))
    assert words.pop(0) == "world-models"
    assert cli.main([*words, "--rnn_hidden", "16", "--ctrl_generations", "1", "--device", "cpu"]) == 0
    summary = json.loads(Path("results/catch/summary.json").read_text())
    assert summary["env"] == ID
    assert set(summary["random"]["returns"]) <= {0.0, 1.0}


def test_every_field_of_the_table_is_explained() -> None:
    named = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.M))
    assert named == set(EnvSpec.__dataclass_fields__) - {"env_id"}
