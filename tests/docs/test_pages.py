"""What is taken for a step of a page, the table of what cannot be run, and where links lead."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs import exceptions, pages
from tests.docs.pages import Step, anchors, links, read, steps

STEPS = [step for page in pages.pages() for step in steps(page)]
PAGE = """\
# A page

Say `world-models evaluate --logdir X`, or `make test`; `make` is a field, `world-models` a name.

| `python -m benchmarks.dream` | a cell |

```bash
world-models run --env "A B" \\
    --seed 1     # twice as long
# only a remark
WORLD_MODELS_BUDGET=tiny world-models run   # exit code 2
```

  ```console
  $ world-models doctor
  error: no such folder
  $ world-models collect
  collected `world-models nothing`
  ```

Put it into `catch.py`:

```python
x = 1
```

Then `gymnasium.make("A-v0")`:

```
world-models is not run
```
"""


def test_steps_are_fenced_commands_and_blocks_and_inline_commands_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "page.md").write_text(PAGE, encoding="utf-8")
    monkeypatch.setattr(pages, "ROOT", tmp_path)
    call = 'import gymnasium\nimport world_models\ngymnasium.make("A-v0")\n'
    assert [(step.line, step.kind, step.text, step.code, step.name) for step in steps("page.md")] == [
        (3, "command", "world-models evaluate --logdir X", 0, ""),
        (3, "command", "make test", 0, ""),
        (5, "command", "python -m benchmarks.dream", 0, ""),
        (8, "command", 'world-models run --env "A B" --seed 1', 0, ""),
        (11, "command", "WORLD_MODELS_BUDGET=tiny world-models run", 2, ""),
        (15, "command", "world-models doctor", 2, ""),
        (17, "command", "world-models collect", 0, ""),
        (24, "file", "x = 1\n", 0, "catch.py"),
        (27, "python", call, 0, ""),
    ]


def test_every_command_of_the_pages_is_found() -> None:
    """Whatever a reader would take for a command: lines of `world-models ...` or `python -m ...` in any block."""
    for page in pages.pages():
        inside = re.findall(r"^ *```(?:bash|sh|shell|console)\n(.*?)^ *```", read(page), re.M | re.S)
        lines = "".join(inside).splitlines()
        begun = [line for line in lines if re.match(r" *(\$ )?(world-models|python) ", line)]
        known = {step.text for step in steps(page)}
        for line in begun:
            words = line.strip().removeprefix("$ ").partition(" #")[0].rstrip("\\ ")
            assert any(text.startswith(words) for text in known), f"{page}: {line}"


@pytest.mark.parametrize("row", exceptions.NOT_RUN, ids=lambda row: row.command)
def test_every_row_of_what_is_not_run_is_needed(row: exceptions.Row) -> None:
    assert any(exceptions.row_of(step.text) is row for step in STEPS if step.kind == "command")


@pytest.mark.parametrize(("page", "told"), [row[:2] for row in exceptions.STANDS_FOR])
def test_every_name_is_of_a_step(page: str, told: str) -> None:
    assert any(step.page == page and told in step.text for step in STEPS)


def test_a_command_that_nothing_here_can_run_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.docs.clone import Clone

    with pytest.raises(pytest.fail.Exception, match=r"curl is nothing that a test runs.*exceptions\.py"):
        Clone(tmp_path).do(Step("x.md", 1, "command", "curl x"), monkeypatch)


def test_the_command_is_installed_under_its_name() -> None:
    beside = Path(sys.executable).with_name("world-models")
    script = str(beside) if beside.exists() else shutil.which("world-models")
    if script is None:
        pytest.skip("the package is not installed here, only importable")
    done = subprocess.run([script, "--help"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("usage: world-models")


@pytest.mark.parametrize("page", [*pages.pages(), *pages.records(), "CHANGELOG.md"])
def test_links_lead_somewhere(page: str) -> None:
    here = (pages.ROOT / page).parent
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (here / path).resolve() if path else pages.ROOT / page
        assert target.exists(), f"{page} links to {link}, which is not there"
        if anchor:
            assert anchor in anchors(str(target.relative_to(pages.ROOT))), f"{page}: no heading is {link}"


def _where_rows() -> list[tuple[str, str, list[str]]]:
    """(question, file, what is in it) of the table in docs/architecture.md that says where things are."""
    section = read("docs/architecture.md").split("## Where is ...?")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (.+?) \| \[.+?\]\(\.\./(.+?\.py)\) \| (.+?) \|$", section, re.M)
    return [(question, path, re.findall(r"`([^`]+)`", told)) for question, path, told in rows]


@pytest.mark.parametrize(("question", "path", "names"), _where_rows())
def test_what_the_architecture_says_to_look_for_stands_in_that_file(question: str, path: str, names: list[str]) -> None:
    source = (pages.ROOT / path).read_text(encoding="utf-8")
    assert names and [name for name in names if name not in source] == []


def test_the_readers_five_questions_are_answered_within_three_hops() -> None:
    """README -> architecture -> the file (or the page's own section)."""
    assert "docs/architecture.md" in links("README.md")
    questions = " ".join(question for question, _, _ in _where_rows())
    for asked in ("temperature", "cut", "sign of fitness", "search registered"):
        assert asked in questions
    assert {"how-to-add-a-part", "what-a-run-leaves-on-disk"} <= anchors("docs/architecture.md")
