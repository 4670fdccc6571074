"""The folder of the page whose steps a test file does."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.docs.clone import Clone
from tests.docs.pages import Step


@pytest.fixture(scope="module")
def clones(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Clone]]:
    """Clones by page: one is made when the first step of its page is done."""
    made: dict[str, Clone] = {}
    yield made
    for clone in made.values():
        clone.close()


@pytest.fixture
def do(
    clones: dict[str, Clone],
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[Step], None]:
    """Does a step in the clone of its page."""

    def done(step: Step) -> None:
        if step.page not in clones:
            clones[step.page] = Clone(tmp_path_factory.mktemp("clone"))
        clones[step.page].do(step, monkeypatch)

    return done
