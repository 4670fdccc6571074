"""docs/environments.md: the environment that it shows is a sound one, and every field of its table is explained.

Its commands are run by `tests/docs`.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import gymnasium
import pytest
from gymnasium.utils.env_checker import check_env

from tests.docs.pages import blocks, read
from world_models.envs.registry import EnvSpec

PAGE = read("docs/environments.md")


def test_the_environment_of_the_page_is_a_sound_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (module,) = (block for block in blocks(PAGE, "python") if "class Catch" in block)
    (tmp_path / "catch.py").write_text(module, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "catch", raising=False)
    check_env(gymnasium.make("catch:Catch-v0", render_mode="rgb_array").unwrapped, skip_render_check=True)


def test_every_field_of_the_table_is_explained() -> None:
    named = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.M))
    assert named == set(EnvSpec.__dataclass_fields__) - {"env_id"}
