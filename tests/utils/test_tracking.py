"""Trackers: TensorBoard reads back what a stage logged, once each; W&B is told the same, and its lack is named."""

from __future__ import annotations

import importlib.util
import io
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from world_models.errors import MissingDependencyError
from world_models.utils.tracking import Tracking, tracked


def write(logdir: Path, steps: list[int], last: int = 0, offset: float = 0.0) -> None:
    with tracked(Tracking(), logdir, "vae", last, {}) as tracker:
        for step in steps:
            tracker.scalars(step, {"epoch": step, "loss": step + offset, "test_loss": None})


def read(logdir: Path) -> EventAccumulator:
    accumulator = EventAccumulator(str(logdir / "vae"))
    accumulator.Reload()
    return accumulator


def losses(logdir: Path) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in read(logdir).Scalars("loss")]


def test_tensorboard_reads_the_numbers_of_a_record_by_their_names(tmp_path: Path) -> None:
    record = {"loss": 2.5, "epoch": 1, "test_loss": None, "kl": float("nan"), "done": True, "name": "x", "f": np.nan}
    with tracked(Tracking(), tmp_path, "vae", 0, {}) as tracker:
        tracker.scalars(1, record)

    events = read(tmp_path)

    assert sorted(events.Tags()["scalars"]) == ["epoch", "loss"]
    assert [(e.step, e.value) for e in events.Scalars("loss")] == [(1, 2.5)]


def test_a_run_that_goes_on_takes_the_place_of_what_lay_beyond_its_checkpoint(tmp_path: Path) -> None:
    write(tmp_path, [1, 2, 3])
    write(tmp_path, [3, 4], last=2, offset=0.5)

    assert losses(tmp_path) == [(1, 1.0), (2, 2.0), (3, 3.5), (4, 4.5)]


def test_a_run_begun_anew_leaves_nothing_of_the_last_one(tmp_path: Path) -> None:
    write(tmp_path, [1, 2, 3])
    write(tmp_path, [1], last=0, offset=0.5)

    assert losses(tmp_path) == [(1, 1.5)]


def test_every_record_is_on_the_disk_at_once(tmp_path: Path) -> None:
    with tracked(Tracking(), tmp_path, "vae", 0, {}) as tracker:
        tracker.scalars(1, {"loss": 1.0})
        assert losses(tmp_path) == [(1, 1.0)]


def test_a_sheet_and_a_film_come_back_as_pictures(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (5, 16, 24, 3), dtype=np.uint8)
    with tracked(Tracking(), tmp_path, "vae", 0, {}) as tracker:
        tracker.picture("samples", 3, Image.fromarray(frames[0]))
        tracker.film("driving", 4, frames)

    events = read(tmp_path)
    (sheet,), (film,) = events.Images("samples"), events.Images("driving")

    assert (sheet.step, sheet.width, sheet.height) == (3, 24, 16)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(sheet.encoded_image_string))), frames[0])
    assert film.step == 4 and Image.open(io.BytesIO(film.encoded_image_string)).n_frames == 5  # type: ignore[attr-defined]


def test_no_tracker_writes_nothing(tmp_path: Path) -> None:
    with tracked(Tracking(tensorboard=False), tmp_path, "vae", 0, {}) as tracker:
        tracker.scalars(1, {"loss": 1.0})
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_said_on_the_console_and_no_tensorflow_is_looked_for(tmp_path: Path) -> None:
    code = (
        "import sys; from world_models.utils.tracking import *\n"
        "assert 'tensorboard' not in sys.modules\n"
        f"with tracked(Tracking(), {str(tmp_path)!r}, 'vae', 0, {{}}) as t: t.scalars(1, {{'loss': 1.0}})\n"
        "assert 'tensorflow' not in sys.modules and 'torch.utils.tensorboard' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == done.stderr == ""


@pytest.mark.skipif(importlib.util.find_spec("wandb") is not None, reason="wandb is installed here")
def test_a_missing_wandb_is_named_with_its_install_line() -> None:
    with pytest.raises(MissingDependencyError, match=r"pip install 'world-models-torch\[wandb\]'"):
        Tracking.from_extra({"wandb": True})


class FakeWandb:
    """Notes what it is asked to do, with the names and arguments of wandb's own `init`, `log` and `finish`."""

    def __init__(self, fails_online: bool = False) -> None:
        self.fails_online, self.torn_down = fails_online, 0
        self.begun: list[dict[str, Any]] = []
        self.logged: list[tuple[int, dict[str, Any]]] = []
        self.finished = 0

    def init(self, **given: Any) -> SimpleNamespace:
        self.begun.append(given)
        if self.fails_online and given.get("mode") != "offline":
            raise RuntimeError("run not started in time")
        return SimpleNamespace(log=lambda data, step: self.logged.append((step, data)), finish=self._finish)

    def teardown(self) -> None:
        self.torn_down += 1

    def _finish(self) -> None:
        self.finished += 1

    def Image(self, picture: Image.Image) -> Image.Image:
        return picture


def test_wandb_is_told_the_same_and_a_run_that_goes_on_has_the_same_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", fake)  # type: ignore[arg-type]
    monkeypatch.setenv("WANDB_MODE", "offline")
    asked = Tracking.from_extra({"wandb": True, "tensorboard": False})
    picture = Image.new("RGB", (2, 2))

    for last in (0, 1, 0):
        with tracked(asked, tmp_path / "car", "ctrl", last, {"pop_size": 8}) as tracker:
            tracker.scalars(last + 1, {"mean": 4.0, "f": None})
            tracker.picture("samples", last + 1, picture)

    first, resumed, anew = fake.begun
    assert first["config"] == {"pop_size": 8} and first["name"] == "car/ctrl" and first["resume"] == "allow"
    assert first["id"] == resumed["id"] != anew["id"]
    assert fake.logged[:3] == [(1, {"mean": 4.0}), (1, {"samples": picture}), (2, {"mean": 4.0})]
    assert fake.finished == 3


def test_a_wandb_that_fails_when_a_stage_begins_is_gone_on_with_offline_and_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fake = FakeWandb(fails_online=True)
    monkeypatch.setitem(sys.modules, "wandb", fake)  # type: ignore[arg-type]

    with tracked(Tracking(tensorboard=False, wandb=True), tmp_path / "car", "vae", 0, {}) as tracker:
        tracker.scalars(1, {"loss": 4.0})

    first, second = fake.begun
    assert "mode" not in first and second == {**first, "mode": "offline"}
    assert fake.torn_down == 1 and fake.logged == [(1, {"loss": 4.0})] and fake.finished == 1
    assert "run not started in time" in caplog.text and "wandb sync" in caplog.text


def test_a_wandb_that_cannot_be_imported_is_named_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wandb.py").write_text("import no_such_package_of_ours")
    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingDependencyError, match=r"cannot be imported \(No module named 'no_such.*pip install"):
        Tracking.from_extra({"wandb": True})


def test_the_trackers_are_closed_when_training_breaks_off(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), tracked(Tracking(), tmp_path, "vae", 0, {}) as tracker:
        tracker.scalars(1, {"loss": 1.0})
        raise KeyboardInterrupt
    assert losses(tmp_path) == [(1, 1.0)]
