"""A folder like a fresh clone, in which a page's steps are done one after the other, in this process."""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import os
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.docs import exceptions
from tests.docs.pages import ROOT, Step
from world_models import budgets, cli, notices
from world_models.report.figures import plots

_CONTENTS = ("README.md", "Makefile", "pyproject.toml", "checkpoints", "docs", "benchmarks", "tests", "world_models")
_WRITTEN_TO = ("checkpoints", "docs", "benchmarks")  # copied; the others are links


class Clone:
    """The folder of one page.

    Args:
        folder: An empty one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names: dict[str, Any] = {"__name__": "__main__"}  # what Python that ran before on the page has defined
        self.modules = set(sys.modules)
        self.links: list[Path] = []
        for name in _CONTENTS:
            if name in _WRITTEN_TO:
                shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                (folder / name).symlink_to(ROOT / name)

    def do(self, step: Step, patch: pytest.MonkeyPatch) -> None:
        """One step, as the page has it; fails where it does not end as the page says."""
        with self._a_readers_shell(patch):
            if step.kind == "file":
                (self.folder / step.name).write_text(step.text, encoding="utf-8")
            elif step.kind == "python":
                self._python(step)
            else:
                self._command(step, patch)

    @contextlib.contextmanager
    def _a_readers_shell(self, patch: pytest.MonkeyPatch) -> Iterator[None]:
        """In the clone, in miniature, without a screen and, but for scripts, without worker processes."""
        patch.chdir(self.folder)
        patch.syspath_prepend(self.folder)  # pages that have a module of the reader's own say so
        patch.setenv(budgets.VARIABLE, budgets.TINY)
        patch.setenv("WORLD_MODELS_QUIET", "1")
        for name in ("DISPLAY", "WAYLAND_DISPLAY"):
            patch.delenv(name, raising=False)
        patch.setattr("world_models.executors.local.cpu_count", lambda: 1)
        patch.setattr("world_models.report.figures.plots.draw", _one_picture())
        notices.forget()
        cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
        try:
            yield
        finally:
            if cores is not None:  # a benchmark keeps to one core
                os.sched_setaffinity(0, cores)

    # -- commands ------------------------------------------------------------------------------------

    def _command(self, step: Step, patch: pytest.MonkeyPatch) -> None:
        if package := exceptions.missing_package(step.text):
            pytest.skip(f"{package} is not installed")
        if row := exceptions.row_of(step.text):
            row.check(exceptions.words_of(step.text), self.folder)
            return
        self._name_folders(step, patch)
        words = exceptions.words_of(step.text)
        while "=" in words[0]:
            patch.setenv(*words.pop(0).split("=", 1))
        assert _ended(words, patch) == step.code, f"{step}: not the exit code of the page"

    def _name_folders(self, step: Step, patch: pytest.MonkeyPatch) -> None:
        """Where the page's RUN, DATA, ... are now."""
        for link in self.links:
            link.unlink()
        self.links = []
        for page, told, meant in exceptions.STANDS_FOR:
            if page == step.page and told in step.text:
                for name, source in meant.items():
                    self._name_folder(self.folder / name, source, patch)
                return

    def _name_folder(self, name: Path, source: str | None, patch: pytest.MonkeyPatch) -> None:
        if source is None:
            shutil.rmtree(name, ignore_errors=True)
        elif source.startswith("world-models "):
            assert _ended(exceptions.words_of(source), patch) == 0
        elif not name.exists():
            if name.parent != self.folder:
                name.parent.mkdir(exist_ok=True)
            name.symlink_to(self.folder / source, target_is_directory=True)
            self.links.append(name)

    # -- Python --------------------------------------------------------------------------------------

    def _python(self, step: Step) -> None:
        tree = ast.parse(step.text)
        for name in _imported(tree):
            if importlib.util.find_spec(name) is None:
                pytest.skip(f"{name} is not installed")
        if "__main__" not in step.text:
            exec(compile(tree, str(step), "exec"), self.names)
            return
        script = self.folder / f"script_{step.line}.py"
        script.write_text(step.text, encoding="utf-8")
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(self.folder), str(ROOT)])}
        place = self.folder
        if "generate_rollouts(" in step.text:  # it begins with nothing, and so needs nothing of the page
            (place := self.folder / f"alone_{step.line}").mkdir()
        done = subprocess.run([sys.executable, script], cwd=place, env=environment, capture_output=True, text=True)
        assert done.returncode == step.code, done.stderr

    def close(self) -> None:
        """Forget the modules that were imported from the folder."""
        for name in set(sys.modules) - self.modules:
            if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(self.folder)):
                del sys.modules[name]


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


def _ended(words: list[str], patch: pytest.MonkeyPatch) -> int:
    """The exit code of a command that is done in this process."""
    try:
        if words[0] == "world-models":
            return cli.main(words[1:])
        if words[:2] == ["python", "-m"]:
            patch.setattr(sys, "argv", words[2:])
            patch.delitem(sys.modules, words[2], raising=False)  # it is read anew, as the main module
            runpy.run_module(words[2], run_name="__main__", alter_sys=True)
            return 0
    except SystemExit as ended:
        if isinstance(ended.code, str):
            (pytest.skip if exceptions.NO_BROWSER in ended.code else pytest.fail)(ended.code)
        return ended.code or 0
    pytest.fail(f"{words[0]} is nothing that a test runs: give the command a row in tests/docs/exceptions.py")


def _one_picture() -> Callable[..., bytes]:
    """Charts that are drawn once: how they look is tested elsewhere, and a report has fifty."""
    drawn: list[bytes] = []

    def draw(*arguments: Any, real: Callable[..., bytes] = plots.draw, **named: Any) -> bytes:
        if not drawn:
            drawn.append(real(*arguments, **named))
        return drawn[0]

    return draw
