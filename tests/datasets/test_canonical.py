"""Other people's rollouts: read as what they plainly mean, which is said, or refused with everything that is wrong."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.datasets.foreign_files import OTHER_PICTURES, REFUSED, SAME, STEPS, arrays, whole_rollout, write
from world_models import notices
from world_models.datasets.formats.canonical import canonical_rollout
from world_models.datasets.frame_cache import FrameCache
from world_models.datasets.rollout_files import DTYPES, inspect_rollout, read_rollout
from world_models.datasets.wm_dataset import RolloutDataset, SequenceDataset
from world_models.errors import DataError
from world_models.vision.resize import resize_frames


@pytest.fixture(autouse=True)
def _anew() -> None:
    notices.forget()


@pytest.mark.parametrize("form", SAME)
def test_what_means_the_same_is_read_as_the_same(tmp_path: Path, caplog: pytest.LogCaptureFixture, form: str) -> None:
    changes, remark = SAME[form]
    path = write(tmp_path / "theirs.npz", **changes)
    before = path.read_bytes()
    wanted, got, outline = whole_rollout(), read_rollout(path), inspect_rollout(path)
    for key, dtype in DTYPES.items():
        np.testing.assert_array_equal(getattr(got, key), getattr(wanted, key))
        assert getattr(got, key).dtype == dtype and getattr(got, key).dtype.isnative
        assert getattr(outline, key).shape == getattr(got, key).shape and getattr(outline, key).dtype == dtype
        if key != "observations":
            np.testing.assert_array_equal(getattr(outline, key), getattr(got, key))
    assert remark in caplog.text and bool(remark) == bool(caplog.text)
    assert path.read_bytes() == before


@pytest.mark.parametrize("form", OTHER_PICTURES)
def test_pictures_of_other_forms_are_read_as_what_they_show(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, form: str
) -> None:
    change, meaning, remark = OTHER_PICTURES[form]
    path = write(tmp_path / "theirs.npz", observations=change)
    np.testing.assert_array_equal(read_rollout(path).observations, meaning(whole_rollout().observations))
    assert inspect_rollout(path).observations.shape == (STEPS, 64, 64, 3)
    assert remark in caplog.text


@pytest.mark.parametrize("size", [(96, 96), (210, 160), (48, 64)])
def test_frames_of_another_size_are_resized_as_an_agent_sees_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, size: tuple[int, int]
) -> None:
    native = np.random.default_rng(0).integers(0, 256, (STEPS, *size, 3), dtype=np.uint8)
    path = write(tmp_path / "native.npz", observations=lambda _: native)
    np.testing.assert_array_equal(read_rollout(path).observations, resize_frames(native))
    shares = write(tmp_path / "shares.npz", observations=lambda _: native / np.float32(255))
    np.testing.assert_array_equal(read_rollout(shares).observations, resize_frames(native))
    assert f"frames of {size[1]}x{size[0]} pixels are resized to 64x64" in caplog.text


def test_actions_of_one_dimension_are_one_column(tmp_path: Path) -> None:
    path = write(tmp_path / "theirs.npz", actions=lambda a: a[:, 0].astype(np.int64))
    np.testing.assert_array_equal(read_rollout(path).actions, whole_rollout().actions[:, :1])


@pytest.mark.parametrize("fault", REFUSED)
def test_what_has_no_plain_meaning_is_refused_by_one_sentence(tmp_path: Path, fault: str) -> None:
    changes, says = REFUSED[fault]
    path = write(tmp_path / "theirs.npz", **changes)
    for read in (read_rollout, inspect_rollout):
        with pytest.raises(DataError) as refused:
            read(path)
        message = str(refused.value)
        assert message.startswith(f"{path}: ") and says in message and "; " in message and "\n" not in message


def test_everything_that_is_wrong_stands_in_one_message(tmp_path: Path) -> None:
    changes = {
        "observations": lambda a: a[..., :2],
        "actions": lambda a: a.astype(str),
        "rewards": lambda a: np.stack([a, a], 1),
    }
    path = write(tmp_path / "theirs.npz", **changes)
    with pytest.raises(DataError, match=r"\(12, 64, 64, 2\).* and actions are <U.* and rewards have shape \(12, 2\)"):
        read_rollout(path)


def test_other_keys_may_hold_anything(tmp_path: Path) -> None:
    infos = np.array([{"lap": 1}] * STEPS, dtype=object)
    np.savez(tmp_path / "theirs.npz", **arrays(), infos=infos, next_obs=np.zeros((STEPS, 9)))  # type: ignore[arg-type]
    assert len(read_rollout(tmp_path / "theirs.npz")) == STEPS


def test_each_kind_is_said_once_and_old_files_say_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for i in range(20):
        write(tmp_path / f"ours{i}.npz")
    FrameCache.open(tmp_path)
    assert not caplog.records
    for i in range(20):
        write(tmp_path / f"theirs{i}.npz", terminals=lambda a: a.astype(bool), rewards=lambda a: a[:, None])
    FrameCache.open(tmp_path)
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2


def test_cache_and_documented_datasets_see_what_is_read(tmp_path: Path) -> None:
    write(tmp_path / "a.npz", **SAME["bool terminals"][0])
    write(tmp_path / "b.npz", **SAME["float32 of 0 to 1"][0])
    cache, wanted = FrameCache.open(tmp_path), whole_rollout()
    for i in range(2):
        np.testing.assert_array_equal(cache.rollout(i).observations, wanted.observations)
        np.testing.assert_array_equal(cache.rollout(i).terminals, wanted.terminals)
    dataset = RolloutDataset(tmp_path, num_test_files=0)
    assert dataset[STEPS - 1]["terminal"] == 1 and dataset[2 * STEPS - 1]["terminal"] == 1
    assert len(SequenceDataset(tmp_path, num_test_files=0, seq_len=4)) == 2 * (STEPS - 4)


NUMBERS = ("b1", "i1", "i8", "u2", "f2", "f4", "f8", ">i4", ">f8", "c8", "U3", "M8[s]")
SHAPES = st.lists(st.integers(0, 9), max_size=4).map(tuple)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_whatever_the_arrays_are_the_result_meets_the_schema_or_the_error_is_ours(data: st.DataObject) -> None:
    found: dict[str, Any] = arrays()
    for key in data.draw(st.sets(st.sampled_from(sorted(DTYPES)), min_size=1)):
        shape = data.draw(st.one_of(SHAPES, SHAPES.map(lambda tail: (STEPS, *tail))))
        dtype = np.dtype(data.draw(st.sampled_from(NUMBERS)))
        value = 0 if dtype.kind in "UM" else data.draw(st.integers(0, 2))
        found[key] = np.full(shape, value, np.int64).astype(dtype)
    try:
        rollout, _, _ = canonical_rollout(found, "theirs")
    except DataError as error:
        assert str(error).startswith("theirs: ")
    else:
        steps = len(rollout)
        assert rollout.observations.shape == (steps, 64, 64, 3) and rollout.observations.dtype == np.uint8
        assert rollout.actions.shape[0] == steps and rollout.actions.ndim == 2 and rollout.actions.dtype == np.float32
        assert rollout.rewards.shape == rollout.terminals.shape == (steps,)
