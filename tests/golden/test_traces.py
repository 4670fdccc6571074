"""Golden traces: what every path gives on fixed seeds, as it was recorded; a change that moves a number is seen."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.golden.record import TRACES, machine
from tests.golden.scenes import NAMES, play
from tests.golden.trace import differences

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return json.loads(json.dumps(play(tmp_path_factory.mktemp("scenes"))))


def kept(name: str) -> dict[str, Any]:
    return json.loads((TRACES / f"{name}.json").read_text(encoding="utf-8"))


def test_every_path_has_its_trace():
    assert sorted(path.stem for path in TRACES.glob("*.json")) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_path_gives_what_it_gave(name: str, found: dict[str, Any]):
    """To the last bit on the kind of machine that recorded it, else within the tolerance."""
    record = kept(name)
    exact = record["made_on"] == machine()
    told = list(differences(record["trace"], found[name], exact))
    assert not told, "\n".join([f"{len(told)} differences (exact: {exact}); the first:", *told[:10]])


@pytest.mark.parametrize("name", ["cma_es", "policy_gradient", "dream_cma_es"])
def test_a_resumed_search_ends_as_one_that_was_not_stopped(name: str, found: dict[str, Any]):
    assert not list(differences(found[name]["best"], found[f"{name}_resumed"]["best"], exact=True))


def test_a_difference_is_seen_and_named():
    record = kept("cma_es")["trace"]
    moved = json.loads(json.dumps(record))
    moved["log"][0]["mean"] += 1e-3
    next(iter(moved["best"]["state_dict"].values()))["sha256"] = "of other bytes"
    assert [line.split(":")[0] for line in differences(record, moved, exact=False)] == ["/log/0/mean"]
    assert len(list(differences(record, moved, exact=True))) == 2
