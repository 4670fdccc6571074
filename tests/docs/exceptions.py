"""What of the documentation a test cannot run as it stands there: each with its reason and a lesser check.

A command of the pages that cannot be run fails its test until it has a row here; a row that no page needs any more
fails as well.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.docs.pages import ROOT, steps
from tests.web_page import served
from world_models import cli


def known_to_make(words: list[str], folder: Path) -> None:
    """Make knows the target, and what it would do."""
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    done = subprocess.run(["make", "--dry-run", *words[1:]], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def known_to_pip(words: list[str], folder: Path) -> None:
    """The project has that name and those extras, or the package is one of those that developers have."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    known = re.fullmatch(r"(\.|[\w-]+)(?:\[([\w,]+)\])?", words[-1])
    assert words[:2] == ["pip", "install"] and known is not None
    if any(each.startswith(f"{known[1]}>") for each in project["optional-dependencies"]["dev"]):
        return
    assert known[1] in (".", project["name"])
    assert set((known[2] or "web").split(",")) <= set(project["optional-dependencies"])


def served_on_its_own(words: list[str], folder: Path) -> None:
    """A server of that folder answers with the page."""
    with served(folder / words[words.index("-d") + 1]) as address, urllib.request.urlopen(address) as answer:
        assert answer.status == 200 and b"<html" in answer.read()


def known_to_ruff(words: list[str], folder: Path) -> None:
    """The tool is among the developers' own, and has that command."""
    if importlib.util.find_spec("ruff") is None:
        pytest.skip("ruff is not installed")
    subprocess.run([sys.executable, "-m", "ruff", words[1], "--help"], check=True, capture_output=True)


def every_command_has_help(words: list[str], folder: Path) -> None:
    """COMMAND is each one that there is."""
    for name in re.findall(r"^\| `(\w+)` \|", (ROOT / "README.md").read_text(encoding="utf-8"), re.M):
        with pytest.raises(SystemExit) as ended:
            cli.main([name, "--help"])
        assert ended.value.code == 0


def has_help(words: list[str], folder: Path) -> None:
    """The sentence only names the program: it says how to use it."""
    module = words[words.index("-m") + 1] if "-m" in words else "world_models"
    assert importlib.util.find_spec(module) is not None
    if module == "world_models":
        with pytest.raises(SystemExit) as ended:
            cli.main([*words[1:], "--help"])
        assert ended.value.code == 0


def is_run_by_another_page(words: list[str], folder: Path) -> None:
    """docs/results.md has the same command with the seed that is the default."""
    assert f"{shlex.join(words)} --seed 0" in {step.text for step in steps("docs/results.md")}


class Row(NamedTuple):
    """A command (all of it, as a pattern) that is not run; `check` gets its words and the folder it belongs to."""

    command: str
    reason: str
    check: Callable[[list[str], Path], None]


NOT_RUN = (
    Row(r"make .*", "it installs everything, and then runs for minutes", known_to_make),
    Row(r"pip install .*", "it installs packages; tests use no network", known_to_pip),
    Row(
        r"python -m http\.server -d \S+",
        "it serves until it is stopped",
        served_on_its_own,
    ),
    Row(r"\.venv/bin/ruff .*", "it is about the clone's own files", known_to_ruff),
    Row(r"world-models run --preset carracing", "it is run once, for docs/results.md", is_run_by_another_page),
    Row(r"world-models doctor --env ID", "ID stands for any; the pages have some", has_help),
    Row(
        r"world-models doctor --env mistakes:.*",
        "mistakes.py is of the tests' own kind: tests/broken_envs.py",
        has_help,
    ),
    Row(r"world-models doctor .* --data_dir data/others", "the files are somebody else's", has_help),
    Row(r"world-models COMMAND --help", "COMMAND stands for every command", every_command_has_help),
    Row(r"world-models [a-z]+( (onnx|web|run|train|evaluate|table))?", "a sentence names the command", has_help),
    Row(r"python -m world_models\.training\.train_world_model", "a sentence names the program", has_help),
)

NEEDS = {
    "vizdoom": r"takecover|results/tc\b|table --logdir RUN|train --logdir RUN --out C",
    "envpool": r"backend envpool|benchmarks\.(rollout|view|collect)",
    "onnx": r"export (onnx|web)|benchmarks\.page|http\.server",
    "playwright": r"benchmarks\.page",
    "ale_py": r"ALE/|ale_py",
    "wandb": r"--wandb",
}
"""Optional packages, and what in a command tells that it needs one (Python says so by its imports)."""

NO_BROWSER = "no Chromium starts here"  # what `tests.chromium` says

# Names that stand for the reader's own folders: (page, in the command, {name: the folder of the page that it is, or the
# command that makes it}); None: a folder of that name which is there already is another one.
STANDS_FOR: tuple[tuple[str, str, dict[str, str | None]], ...] = (
    ("README.md", "--logdir RUN ", {"RUN": "checkpoints/carracing"}),
    ("docs/results.md", "--logdir RUN/round_2", {"RUN": "results/carracing", "DATA": "data/carracing", "OUT": None}),
    ("docs/results.md", "--logdir RUN/round_1", {"RUN": "results/carracing", "DATA": None}),
    ("docs/results.md", "--earlier RUN/round_1", {"RUN": "results/carracing", "OUT": None}),
    ("docs/results.md", "--preset takecover", {"RUN": "results/takecover", "C": None}),
    ("docs/results.md", "RUN/round_3 --out C", {"RUN/round_3": "results/carracing/round_2", "C": None}),
    ("docs/results.md", "--dreamt C", {"RUN/round_3": "results/carracing/round_2", "OUT": None}),
)


def row_of(command: str) -> Row | None:
    """The row of NOT_RUN that a command has."""
    return next((row for row in NOT_RUN if re.fullmatch(row.command, command)), None)


def missing_package(command: str) -> str | None:
    """An optional package that a command needs and that is not installed."""
    needed = (name for name, told in NEEDS.items() if re.search(told, command, re.I))
    return next((name for name in needed if importlib.util.find_spec(name) is None), None)


def words_of(command: str) -> list[str]:
    """The words of a command, as a shell takes them."""
    return shlex.split(command)
