"""docs/notebook: records that say so, whose commands still exist; docs/results.md: one page."""

from __future__ import annotations

import importlib.util
from itertools import takewhile
from pathlib import Path

import pytest

from tests.docs import exceptions
from tests.docs.pages import Step, read, records, steps
from world_models import cli

INDEX = "docs/notebook/README.md"
RECORD = "\n\n*A record of past runs ([what that means](README.md)).*"
COMMANDS = [step for page in records() for step in steps(page)]


def test_what_holds_today_is_one_page():
    assert len(read("docs/results.md").splitlines()) <= 150


@pytest.mark.parametrize("page", [page for page in records() if page != INDEX])
def test_a_page_says_that_it_is_a_record_and_stands_in_the_index(page: str) -> None:
    assert read(page).partition("\n")[2].startswith(RECORD[1:])
    assert f"({Path(page).name})" in read(INDEX)


def test_the_notebook_has_nothing_that_a_reader_would_take_for_a_program() -> None:
    assert {step.kind for step in COMMANDS} == {"command"}


@pytest.mark.parametrize("step", COMMANDS, ids=str)
def test_a_command_of_the_notebook_still_exists_with_its_flags(step: Step, capsys: pytest.CaptureFixture[str]) -> None:
    words = exceptions.words_of(step.text)
    flags = {word for word in words if word.startswith("--")}
    if words[0] == "make":
        exceptions.known_to_make(words, Path(exceptions.ROOT))
    elif words[0] == "python":
        spec = importlib.util.find_spec(words[2])
        assert spec is not None and spec.origin is not None
        known = Path(spec.origin).read_text(encoding="utf-8")
        assert {flag for flag in flags if f'"{flag}"' not in known} == set()
    else:
        command = list(takewhile(lambda word: not word.startswith("-"), words[1:]))
        with pytest.raises(SystemExit) as ended:
            cli.main([*command, "--help"])
        assert ended.value.code == 0
        assert flags <= set(capsys.readouterr().out.replace(",", " ").replace("[", " ").replace("]", " ").split())
