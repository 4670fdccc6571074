"""docs/results.md: every command and every block runs as it stands there, in miniature."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.docs.pages import Step, steps


@pytest.mark.long
@pytest.mark.parametrize("step", steps("docs/results.md"), ids=str)
def test_it_runs_as_it_stands_there(step: Step, do: Callable[[Step], None]) -> None:
    do(step)
