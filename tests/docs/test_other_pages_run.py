"""The other pages, whichever there are: every command and every block runs as it stands there, in miniature."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.docs.pages import Step, pages, steps

OWN_FILE = ("README.md", "docs/results.md")


@pytest.mark.long
@pytest.mark.parametrize("step", [step for page in pages() if page not in OWN_FILE for step in steps(page)], ids=str)
def test_it_runs_as_it_stands_there(step: Step, do: Callable[[Step], None]) -> None:
    do(step)
