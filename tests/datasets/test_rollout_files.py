"""The rollout files: what is written is read back, and what is wrong is named."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.doubles import counting_rollout, make_rollouts, noise_rollout
from world_models.datasets.rollout_files import (
    list_rollouts,
    read_meta,
    read_rollout,
    split_files,
    write_rollout,
)
from world_models.errors import ConfigError, DataError, WorldModelsError
from world_models.types import Rollout


def arrays_of(rollout: Rollout) -> dict[str, np.ndarray[Any, Any]]:
    return {key: getattr(rollout, key) for key in ("observations", "actions", "rewards", "terminals")}


def assert_equal(a: Rollout, b: Rollout) -> None:
    for key, array in arrays_of(a).items():
        np.testing.assert_array_equal(array, getattr(b, key))


@settings(max_examples=15, deadline=None)
@given(length=st.integers(1, 20), actions=st.integers(1, 5), seed=st.integers(0, 1000))
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, length: int, actions: int, seed: int
) -> None:
    path = tmp_path_factory.mktemp("data") / "rollout_0.npz"
    rollout = noise_rollout(length, actions, seed)
    write_rollout(path, rollout)
    assert_equal(read_rollout(path), rollout)


def test_the_file_is_a_plain_npz_of_the_documented_schema(tmp_path: Path) -> None:
    (path,) = make_rollouts(tmp_path, [7], action_size=2)
    with np.load(path, allow_pickle=False) as data:
        assert data["observations"].shape == (7, 64, 64, 3) and data["observations"].dtype == np.uint8
        assert data["actions"].shape == (7, 2) and data["actions"].dtype == np.float32
        assert data["rewards"].shape == (7,) and data["rewards"].dtype == np.float32
        assert data["terminals"].shape == (7,) and data["terminals"].dtype == np.float32


def test_a_file_made_with_numpy_alone_is_read(tmp_path: Path) -> None:
    rollout = counting_rollout(4)
    np.savez(tmp_path / "mine.npz", **arrays_of(rollout), note=np.arange(3))
    assert_equal(read_rollout(tmp_path / "mine.npz"), rollout)


def test_the_frames_are_compressed(tmp_path: Path) -> None:
    (path,) = make_rollouts(tmp_path, [50])
    assert path.stat().st_size < 50 * 64 * 64 * 3 / 10


def test_facts_about_a_rollout_are_read_back_and_do_not_disturb_it(tmp_path: Path) -> None:
    path = tmp_path / "rollout_0.npz"
    meta = {"env_id": "CarRacing-v3", "backend": "envpool", "seed": 2**40, "policy": "brownian"}
    write_rollout(path, counting_rollout(3), meta)
    assert read_meta(path) == meta
    assert_equal(read_rollout(path), counting_rollout(3))


def test_a_fact_may_not_take_the_name_of_an_array(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'rewards'"):
        write_rollout(tmp_path / "rollout_0.npz", counting_rollout(3), {"rewards": 1.0})
    assert list(tmp_path.iterdir()) == []


def bad(rollout: Rollout, **changes: Any) -> Rollout:
    return replace(rollout, **changes)


GOOD = counting_rollout(6)
WITH_NAN = np.array([0, 1, np.nan, 3, 4, 5], dtype=np.float32)
BAD_ROLLOUTS = {
    "another dtype of frames": (bad(GOOD, observations=GOOD.observations.astype(np.float32)), "observations"),
    "another dtype of rewards": (bad(GOOD, rewards=GOOD.rewards.astype(np.float64)), "rewards.*float64"),
    "another dtype of terminals": (bad(GOOD, terminals=GOOD.terminals.astype(bool)), "terminals.*bool"),
    "another byte order": (bad(GOOD, actions=GOOD.actions.astype(">f4")), "actions"),
    "fewer actions": (bad(GOOD, actions=GOOD.actions[:-1]), "actions.*5 rows.*6"),
    "fewer frames": (bad(GOOD, observations=GOOD.observations[:-2]), "4"),
    "NaN rewards": (bad(GOOD, rewards=WITH_NAN), r"rewards\[2\] is nan"),
    "NaN actions": (bad(GOOD, actions=np.stack([WITH_NAN] * 2, 1)), r"actions\[2, 0\] is nan"),
    "infinite terminals": (bad(GOOD, terminals=np.full(6, np.inf, np.float32)), "terminals"),
    "terminals beyond 1": (bad(GOOD, terminals=GOOD.terminals * 2), r"terminals\[5\] is 2"),
    "frames of another size": (bad(GOOD, observations=np.zeros((6, 96, 96, 3), np.uint8)), "96"),
    "frames without colour": (bad(GOOD, observations=np.zeros((6, 64, 64), np.uint8)), "observations"),
    "actions of one dimension": (bad(GOOD, actions=np.zeros(6, np.float32)), "actions"),
    "rewards of two dimensions": (bad(GOOD, rewards=np.zeros((6, 1), np.float32)), "rewards"),
    "no rows": (Rollout(*(array[:0] for array in arrays_of(GOOD).values())), "no rows"),
}


READ_ALL_THE_SAME = {  # the reader converts these (test_canonical.py); what we write meets the schema to the letter
    "another dtype of frames",
    "another dtype of rewards",
    "another dtype of terminals",
    "another byte order",
    "frames of another size",
    "frames without colour",
    "actions of one dimension",
    "rewards of two dimensions",
}


@pytest.mark.parametrize("case", BAD_ROLLOUTS)
def test_a_rollout_that_breaks_the_schema_is_refused_by_the_writer(tmp_path: Path, case: str) -> None:
    rollout, told = BAD_ROLLOUTS[case]
    with pytest.raises(DataError, match=told) as written:
        write_rollout(tmp_path / "rollout_3.npz", rollout)
    assert "rollout_3.npz" in str(written.value) and ";" in str(written.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("case", sorted(BAD_ROLLOUTS.keys() - READ_ALL_THE_SAME))
def test_a_rollout_without_a_plain_meaning_is_refused_by_the_reader(tmp_path: Path, case: str) -> None:
    rollout, told = BAD_ROLLOUTS[case]
    path = tmp_path / "rollout_3.npz"
    np.savez(path, **arrays_of(rollout))
    before = path.read_bytes()
    with pytest.raises(DataError, match=told) as read:
        read_rollout(path)
    assert "rollout_3.npz" in str(read.value)
    assert ";" in str(read.value), "the message ends in the mend"
    assert path.read_bytes() == before


@pytest.mark.parametrize("key", ["observations", "actions", "rewards", "terminals"])
def test_a_file_that_lacks_a_key_is_named_with_the_key(tmp_path: Path, key: str) -> None:
    arrays = arrays_of(GOOD)
    del arrays[key]
    np.savez(tmp_path / "rollout_0.npz", **arrays)
    with pytest.raises(DataError, match=rf"rollout_0\.npz.*lacks the key '{key}'.*;"):
        read_rollout(tmp_path / "rollout_0.npz")


@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_named(tmp_path: Path, part: float) -> None:
    (path,) = make_rollouts(tmp_path, [5], seed=0)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(DataError, match=r"rollout_00000\.npz"):
        read_rollout(path)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_damaged_byte_never_gives_another_error_than_ours(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("data") / "rollout_0.npz"
    write_rollout(path, counting_rollout(2))
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    try:
        rollout = read_rollout(path)
    except DataError as error:
        assert "rollout_0.npz" in str(error)
    else:
        assert_equal(rollout, counting_rollout(2))


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 nearly", b"\x80\x04pickle"])
def test_a_file_that_is_no_zip_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "rollout_0.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"rollout_0\.npz.*;"):
        read_rollout(path)


def test_a_single_array_under_the_name_of_a_rollout_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "rollout_0.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(DataError, match="single array"):
        read_rollout(tmp_path / "rollout_0.npz")


def test_pickled_objects_are_never_read(tmp_path: Path) -> None:
    arrays = arrays_of(GOOD) | {"rewards": np.array([None] * 6, dtype=object)}
    np.savez(tmp_path / "rollout_0.npz", **arrays)
    with pytest.raises(DataError, match="rewards"):
        read_rollout(tmp_path / "rollout_0.npz")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"rollout_9\.npz: there is no such file"):
        read_rollout(tmp_path / "rollout_9.npz")


@pytest.mark.parametrize("stop", [KeyboardInterrupt, MemoryError])
def test_an_interrupted_write_leaves_no_file_and_keeps_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: type[BaseException]
) -> None:
    (path,) = make_rollouts(tmp_path, [4])

    def interrupted(fd: int) -> None:
        raise stop

    monkeypatch.setattr(os, "fsync", interrupted)
    for target in (path, tmp_path / "rollout_new.npz"):
        with pytest.raises(stop):
            write_rollout(target, counting_rollout(9))
    assert list(tmp_path.iterdir()) == [path]
    assert len(read_rollout(path)) == 4


def test_a_half_written_file_has_no_name_that_a_listing_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_rollouts(tmp_path, [4])
    seen: list[list[Path]] = []
    monkeypatch.setattr(os, "fsync", lambda fd: seen.append(list_rollouts(tmp_path)))
    write_rollout(tmp_path / "rollout_00001.npz", counting_rollout(9))
    assert [len(files) for files in seen] == [1]
    assert len(list_rollouts(tmp_path)) == 2


def test_a_place_that_cannot_be_written_to_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="cannot be written"):
        write_rollout(tmp_path / "file" / "rollout_0.npz", counting_rollout(3))


def test_a_folder_is_listed_with_its_sub_folders_sorted_and_without_what_is_derived(tmp_path: Path) -> None:
    wanted = [*make_rollouts(tmp_path / "b", [2, 2]), *make_rollouts(tmp_path, [2]), tmp_path / "other.npz"]
    write_rollout(tmp_path / "other.npz", counting_rollout(2))
    for derived in ("latents/latents_32.npz", "latents_32.npz", "cache/x.npz", ".hidden/x.npz", ".x.npz"):
        write_rollout(tmp_path / derived, counting_rollout(2))
    (tmp_path / "notes.txt").write_text("no rollout")
    assert list_rollouts(tmp_path) == sorted(wanted)
    assert list_rollouts(str(tmp_path)) == sorted(wanted)


def test_a_missing_or_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere.*no such data folder.*;"):
        list_rollouts(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"has no rollout.*;"):
        list_rollouts(tmp_path)


@given(count=st.integers(0, 50), held_out=st.integers(0, 60), order=st.randoms())
def test_the_split_is_sorted_disjoint_and_complete(count: int, held_out: int, order: Any) -> None:
    files = [Path(f"rollout_{i:03d}.npz") for i in range(count)]
    shuffled = list(files)
    order.shuffle(shuffled)
    train = split_files(shuffled, held_out, train=True)
    test = split_files(shuffled, held_out, train=False)
    assert train + test == files
    assert len(test) == (held_out if held_out < count else 0)


def test_no_test_files_leaves_all_for_training() -> None:
    """The documented trap: files[:-0] is empty."""
    files = [Path("a.npz"), Path("b.npz")]
    assert split_files(files, 0, train=True) == files
    assert split_files(files, 0, train=False) == []


@pytest.mark.parametrize("held_out", [2, 3, 600])
def test_a_strict_split_larger_than_the_data_is_refused_with_both_numbers(held_out: int) -> None:
    files = [Path("a.npz"), Path("b.npz")]
    with pytest.raises(DataError, match=rf"test split is larger than the data.*{held_out}.*2 rollout files"):
        split_files(files, held_out, train=True, strict=True)


def test_a_negative_number_of_test_files_is_refused() -> None:
    with pytest.raises(ConfigError, match="-1") as error:
        split_files([Path("a.npz")], -1, train=True)
    assert isinstance(error.value, WorldModelsError) and isinstance(error.value, ValueError)
