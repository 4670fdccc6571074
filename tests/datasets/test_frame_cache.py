"""The frame cache: always what the rollout files say, made once, never half."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tests.doubles import counting_rollout, decode_episode, decode_time, make_rollouts, noise_rollout
from world_models.datasets import cache_files
from world_models.datasets.frame_cache import FrameCache
from world_models.datasets.rollout_files import list_rollouts, read_rollout, write_rollout
from world_models.errors import DataError


def assert_says_what_the_files_say(cache: FrameCache, files: Sequence[Path]) -> None:
    assert cache.files == list(files)
    assert len(cache) == len(files)
    for i, file in enumerate(files):
        wanted, got = read_rollout(file), cache.rollout(i)
        assert cache.lengths[i] == len(wanted)
        for part in ("observations", "actions", "rewards", "terminals"):
            np.testing.assert_array_equal(getattr(got, part), getattr(wanted, part))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the rollout files that are opened to build a cache."""
    names: list[str] = []

    def counted(path: Path) -> object:
        names.append(path.name)
        return read_rollout(path)

    monkeypatch.setattr(cache_files, "read_rollout", counted)
    return names


def test_it_holds_all_rollouts_one_after_the_other(tmp_path: Path) -> None:
    files = make_rollouts(tmp_path, [5, 1, 8], action_size=2, seed=0)
    cache = FrameCache.open(tmp_path)
    assert_says_what_the_files_say(cache, files)
    assert cache.frames.shape == (14, 64, 64, 3) and cache.frames.dtype == np.uint8
    assert cache.actions.shape == (14, 2) and cache.action_size == 2
    assert cache.lengths.tolist() == [5, 1, 8] and cache.offsets.tolist() == [0, 5, 6]


def test_frames_are_mapped_from_the_disk_and_cannot_be_written(tmp_path: Path) -> None:
    make_rollouts(tmp_path, [5])
    cache = FrameCache.open(tmp_path)
    assert isinstance(cache.frames, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        cache.frames[0] = 0


def test_a_second_opening_reads_no_rollout_file(tmp_path: Path, reads: list[str]) -> None:
    files = make_rollouts(tmp_path, [5, 6])
    first = FrameCache.open(tmp_path)
    assert len(reads) == 2
    second = FrameCache.open(tmp_path)
    assert len(reads) == 2
    assert_says_what_the_files_say(second, files)
    assert second.fingerprint == first.fingerprint


def test_new_files_are_added_without_reading_the_old_ones_again(tmp_path: Path, reads: list[str]) -> None:
    make_rollouts(tmp_path, [5, 6])
    before = FrameCache.open(tmp_path)
    reads.clear()
    write_rollout(tmp_path / "rollout_00002.npz", counting_rollout(7, episode=2))
    after = FrameCache.open(tmp_path)
    assert reads == ["rollout_00002.npz"]
    assert_says_what_the_files_say(after, list_rollouts(tmp_path))
    assert after.fingerprint != before.fingerprint
    assert_says_what_the_files_say(before, list_rollouts(tmp_path)[:2])


def test_a_file_that_sorts_first_is_put_first_and_only_it_is_read(tmp_path: Path, reads: list[str]) -> None:
    make_rollouts(tmp_path, [5, 6])
    FrameCache.open(tmp_path)
    reads.clear()
    write_rollout(tmp_path / "a.npz", counting_rollout(7))
    cache = FrameCache.open(tmp_path)
    assert reads == ["a.npz"]
    assert_says_what_the_files_say(cache, list_rollouts(tmp_path))
    assert cache.offsets.tolist() == [0, 7, 12]


def test_a_file_that_has_changed_is_read_again(tmp_path: Path, reads: list[str]) -> None:
    files = make_rollouts(tmp_path, [5, 6, 4], seed=1)
    old = FrameCache.open(tmp_path)
    was = old.frames[5].copy()
    reads.clear()
    write_rollout(files[1], noise_rollout(6, seed=77))
    assert_says_what_the_files_say(FrameCache.open(tmp_path), files)
    assert reads == ["rollout_00001.npz"]
    np.testing.assert_array_equal(old.frames[5], was, "a cache that is open keeps what it had")


def test_a_file_that_is_gone_is_gone(tmp_path: Path, reads: list[str]) -> None:
    files = make_rollouts(tmp_path, [5, 6, 4])
    FrameCache.open(tmp_path)
    reads.clear()
    files[0].unlink()
    assert_says_what_the_files_say(FrameCache.open(tmp_path), files[1:])
    assert reads == []


def test_only_the_files_asked_for_are_given_and_the_others_are_kept(tmp_path: Path, reads: list[str]) -> None:
    files = make_rollouts(tmp_path, [5, 6, 4])
    some = FrameCache.open(tmp_path, files=[files[2], files[0]])
    assert_says_what_the_files_say(some, [files[2], files[0]])
    assert sorted(reads) == ["rollout_00000.npz", "rollout_00002.npz"]
    reads.clear()
    FrameCache.open(tmp_path)
    assert reads == ["rollout_00001.npz"]
    reads.clear()
    assert_says_what_the_files_say(FrameCache.open(tmp_path, files=[files[1]]), [files[1]])
    assert reads == []


def test_a_build_that_is_interrupted_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = make_rollouts(tmp_path, [5, 6, 4])
    reads: list[str] = []

    def interrupted_at_the_last(path: Path) -> object:
        if path == files[2] and not reads.count("again"):
            raise KeyboardInterrupt
        reads.append(path.name)
        return read_rollout(path)

    monkeypatch.setattr(cache_files, "read_rollout", interrupted_at_the_last)
    with pytest.raises(KeyboardInterrupt):
        FrameCache.open(tmp_path)
    reads[:] = ["again"]
    assert_says_what_the_files_say(FrameCache.open(tmp_path), files)
    assert reads == ["again", "rollout_00002.npz"]


def test_a_rebuild_that_is_interrupted_leaves_the_old_cache_and_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = make_rollouts(tmp_path, [5, 6])
    FrameCache.open(tmp_path)
    before = sorted(path.name for path in (tmp_path / "cache").iterdir())
    write_rollout(tmp_path / "a.npz", counting_rollout(3))

    def interrupted(path: Path) -> object:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(cache_files, "read_rollout", interrupted)
        with pytest.raises(KeyboardInterrupt):
            FrameCache.open(tmp_path)
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == before
    assert_says_what_the_files_say(FrameCache.open(tmp_path, files=files), files)


@pytest.mark.parametrize("damage", ["index", "version", "frames", "missing"])
def test_a_damaged_cache_is_made_anew(tmp_path: Path, damage: str) -> None:
    files = make_rollouts(tmp_path, [5, 6])
    FrameCache.open(tmp_path)
    folder = tmp_path / "cache"
    if damage == "index":
        (folder / "index.json").write_text("{ nonsense")
    elif damage == "version":
        (folder / "index.json").write_text('{"version": 0}')
    elif damage == "frames":
        os.truncate(folder / "frames.u8", 1000)
    else:
        (folder / "rewards.f32").unlink()
    assert_says_what_the_files_say(FrameCache.open(tmp_path), files)


def test_a_bad_rollout_is_named_before_anything_is_read_or_written(tmp_path: Path, reads: list[str]) -> None:
    files = make_rollouts(tmp_path, [5, 6, 4])
    files[1].write_bytes(files[1].read_bytes()[:500])
    with pytest.raises(DataError, match=r"rollout_00001\.npz"):
        FrameCache.open(tmp_path)
    assert reads == [] and not (tmp_path / "cache").exists()


def test_where_the_bytes_of_frames_are_damaged_the_file_is_named_and_the_good_ones_are_kept(
    tmp_path: Path, reads: list[str]
) -> None:
    files = make_rollouts(tmp_path, [5, 6, 4], seed=1)
    good = files[1].read_bytes()
    files[1].write_bytes(good[:5000] + bytes(100) + good[5100:])
    with pytest.raises(DataError, match=r"rollout_00001\.npz.*'observations'"):
        FrameCache.open(tmp_path)
    files[1].write_bytes(good)
    reads.clear()
    assert_says_what_the_files_say(FrameCache.open(tmp_path), files)
    assert reads == ["rollout_00001.npz", "rollout_00002.npz"]


def test_rollouts_with_another_number_of_actions_are_refused(tmp_path: Path) -> None:
    make_rollouts(tmp_path, [5], action_size=3)
    write_rollout(tmp_path / "rollout_00001.npz", counting_rollout(5, action_size=2))
    with pytest.raises(DataError, match=r"rollout_00001\.npz: actions have 2 columns.* 3;"):
        FrameCache.open(tmp_path)


def test_a_folder_without_rollouts_is_an_error_and_stays_empty(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        FrameCache.open(tmp_path)
    with pytest.raises(DataError, match="no such rollout file"):
        FrameCache.open(tmp_path, files=[tmp_path / "rollout_0.npz"])
    assert list(tmp_path.iterdir()) == []


def test_a_cache_that_cannot_be_written_is_an_error_of_ours(tmp_path: Path) -> None:
    make_rollouts(tmp_path, [5])
    (tmp_path / "cache").write_text("in the way")
    with pytest.raises(DataError, match="frame cache cannot be made"):
        FrameCache.open(tmp_path)


@pytest.mark.parametrize("rewritten", [False, True])
def test_too_little_disk_is_said_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rewritten: bool
) -> None:
    (first,) = make_rollouts(tmp_path, [50])
    FrameCache.open(tmp_path)
    for i, length in ((1, 60), (2, 40)):
        write_rollout(tmp_path / f"rollout_{i:05d}.npz", counting_rollout(length, episode=i))
    if rewritten:
        os.utime(first, ns=(1, 1))
    frames = 150 if rewritten else 100
    needed = frames * (64 * 64 * 3 + 4 * (3 + 1 + 1))
    before = contents(tmp_path / "cache")
    monkeypatch.setattr(cache_files.shutil, "disk_usage", lambda path: SimpleNamespace(free=needed - 1))
    with pytest.raises(DataError, match=rf"cache needs 0\.00. GB for {frames} frames, and 0\.00. GB are free; free"):
        FrameCache.open(tmp_path)
    assert contents(tmp_path / "cache") == before
    monkeypatch.setattr(cache_files.shutil, "disk_usage", lambda path: SimpleNamespace(free=needed))
    assert_says_what_the_files_say(FrameCache.open(tmp_path), list_rollouts(tmp_path))


def test_gathering_gives_the_rows_asked_for_in_their_order(tmp_path: Path) -> None:
    make_rollouts(tmp_path, [300, 20])
    cache = FrameCache.open(tmp_path)
    frames = cache.gather(np.array([[310, 3], [299, 0]]))
    assert frames.shape == (2, 2, 64, 64, 3) and frames.dtype == torch.uint8
    told = [[(decode_episode(frame), decode_time(frame)) for frame in row] for row in frames]
    assert told == [[(1, 10), (0, 3)], [(0, 299), (0, 0)]]
    assert cache.rows_of([1]).tolist() == list(range(300, 320))
    assert cache.rows_of([]).tolist() == []


def test_the_progress_is_told_file_by_file(tmp_path: Path) -> None:
    make_rollouts(tmp_path, [2, 2, 2])
    told: list[tuple[int, int]] = []
    FrameCache.open(tmp_path, progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_a_random_frame_costs_far_less_than_opening_its_file(tmp_path: Path) -> None:
    make_rollouts(tmp_path, [500], seed=0)
    cache = FrameCache.open(tmp_path)
    rows = np.sort(np.random.default_rng(0).integers(0, 500, 32))
    cache.gather(rows)
    times = []
    for _ in range(20):
        start = time.perf_counter()
        cache.gather(rows)
        times.append(time.perf_counter() - start)
    assert min(times) / 32 < 50e-6


def test_files_that_are_slow_to_read_keep_their_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = make_rollouts(tmp_path, [5, 6, 4, 3, 7])
    held: list[int] = []
    waiting = threading.Semaphore(0)

    def later_ones_first(path: Path) -> object:
        if path == files[0]:
            assert waiting.acquire(timeout=20), "the others are not read while the first one is"
        elif path == files[2]:
            waiting.release()
        held.append(files.index(path))
        return read_rollout(path)

    monkeypatch.setattr(cache_files, "_READERS", 3)
    monkeypatch.setattr(cache_files, "read_rollout", later_ones_first)
    assert_says_what_the_files_say(FrameCache.open(tmp_path), files)
    assert held.index(2) < held.index(0)
