"""README.md: every command and every block runs as it stands there, in miniature."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.docs.pages import Step, steps

LONG = re.compile(r"--preset (carracing|takecover)")  # rounds and phases: half a minute each even in miniature


def marked(step: Step) -> Any:
    """The step, as a long test where it is one; no later step of the page needs what those make."""
    return pytest.param(step, marks=pytest.mark.long if LONG.search(step.text) else pytest.mark.slow)


@pytest.mark.parametrize("step", [marked(step) for step in steps("README.md")], ids=str)
def test_it_runs_as_it_stands_there(step: Step, do: Callable[[Step], None]) -> None:
    do(step)
