"""The loaders that training reads from: every frame once, windows inside episodes, the same again."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.doubles import counting_rollout, decode_episode, decode_time, make_rollouts
from world_models.datasets.frame_cache import FrameCache
from world_models.datasets.latents import Latents
from world_models.datasets.loaders import FrameBatches, FrameSequenceBatches, SequenceBatches, cut_windows
from world_models.datasets.rollout_files import write_rollout
from world_models.errors import ConfigError, DataError


@pytest.fixture
def cache(tmp_path: Path) -> FrameCache:
    make_rollouts(tmp_path, [30, 4, 17, 52], action_size=2)
    return FrameCache.open(tmp_path)


def latents_of(cache: FrameCache) -> Latents:
    """Counting latents: (time, episode) of each row as mu, and minus that as logsigma."""
    told = np.array([[decode_time(frame), decode_episode(frame)] for frame in cache.frames], dtype=np.float32)
    steps = (np.array(cache.actions), np.array(cache.rewards), np.array(cache.terminals))
    return Latents(told, -told, *steps, cache.lengths, "counting")


def identities(batches: Iterable[torch.Tensor]) -> list[tuple[int, int]]:
    return [(decode_episode(frame), decode_time(frame)) for batch in batches for frame in batch]


def drain(batches: Iterable[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    all_batches = list(batches)
    if any("mask" in batch for batch in all_batches):
        for batch in all_batches:
            batch.setdefault("mask", torch.ones(batch["latent_mu"].shape[:2], dtype=torch.bool))
    return {name: torch.cat([batch[name] for batch in all_batches]) for name in all_batches[0]}


# --- frames for V


def test_an_epoch_of_frames_has_each_frame_of_the_chosen_files_once(cache: FrameCache) -> None:
    batches = FrameBatches(cache, [0, 2], batch_size=8, shuffle=True, seed=0)
    wanted = [(0, t) for t in range(30)] + [(2, t) for t in range(17)]
    assert sorted(identities(batches)) == wanted
    assert len(batches) == len(list(batches)) == 6
    assert {(batch.dtype, tuple(batch.shape[1:])) for batch in batches} == {(torch.uint8, (64, 64, 3))}


def test_frames_are_mixed_over_all_files(cache: FrameCache) -> None:
    first = next(iter(FrameBatches(cache, [0, 2, 3], batch_size=32, shuffle=True, seed=0)))
    assert {decode_episode(frame) for frame in first} == {0, 2, 3}


def test_unshuffled_frames_stand_in_the_order_of_the_files(cache: FrameCache) -> None:
    batches = FrameBatches(cache, [1, 2], batch_size=8, shuffle=False, seed=0)
    assert identities(batches) == [(1, t) for t in range(4)] + [(2, t) for t in range(17)]


def test_the_order_follows_from_seed_and_epoch(cache: FrameCache) -> None:
    def order(seed: int, epoch: int) -> list[tuple[int, int]]:
        batches = FrameBatches(cache, [0, 3], batch_size=8, shuffle=True, seed=seed)
        batches.set_epoch(epoch)
        return identities(batches)

    assert order(1, 3) == order(1, 3)
    assert len({tuple(order(seed, epoch)) for seed in (0, 1) for epoch in (0, 1, 2)}) == 6


def test_an_iteration_left_half_way_does_not_change_the_next(cache: FrameCache) -> None:
    batches = FrameBatches(cache, [0, 3], batch_size=8, shuffle=True, seed=0)
    whole = identities(batches)
    next(iter(batches))
    assert identities(batches) == whole


def test_batches_of_an_epoch_can_be_capped(cache: FrameCache) -> None:
    batches = FrameBatches(cache, [0, 3], batch_size=8, shuffle=True, seed=0, max_batches=2)
    assert len(batches) == len(list(batches)) == 2


def test_no_files_give_no_batches(cache: FrameCache) -> None:
    assert list(FrameBatches(cache, [], batch_size=8, shuffle=True, seed=0)) == []


def half_as_floats(image: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return image.astype(np.float32) / 255 * 0.5


def as_a_tensor(image: np.ndarray[Any, Any]) -> torch.Tensor:
    return torch.from_numpy(image // 2).permute(2, 0, 1)


@pytest.mark.parametrize("form", [half_as_floats, as_a_tensor, lambda image: image // 2])
def test_a_transform_is_applied_to_each_frame(cache: FrameCache, form: Any) -> None:
    def transform(*, image: np.ndarray[Any, Any]) -> dict[str, Any]:
        return {"image": form(image)}

    plain = FrameBatches(cache, [0], batch_size=30, shuffle=False, seed=0)
    changed = FrameBatches(cache, [0], batch_size=30, shuffle=False, seed=0, transform=transform)
    (frames,), (halves,) = plain, changed
    assert halves.dtype == torch.uint8 and halves.shape == frames.shape
    assert (halves.int() - frames.int() / 2).abs().max() <= 0.5


@pytest.mark.parametrize(
    ("result", "told"),
    [
        ({"image": np.zeros((32, 32, 3), np.uint8)}, "32x32"),
        ({"image": np.full((64, 64, 3), -2.0, np.float32)}, "from -2 to -2"),
        ({"image": np.zeros((64, 64), np.uint8)}, "shape"),
        ({"image": "a picture"}, "type str"),
        ({"picture": np.zeros((64, 64, 3), np.uint8)}, "'picture'.*'image'"),
    ],
)
def test_a_transform_that_gives_something_else_is_told_so(cache: FrameCache, result: Any, told: str) -> None:
    batches = FrameBatches(cache, [0], batch_size=4, shuffle=False, seed=0, transform=lambda *, image: result)
    with pytest.raises(DataError, match=f"the transform gave.*{told}"):
        list(batches)


def test_a_transform_cannot_change_the_cache(cache: FrameCache) -> None:
    def scribble(*, image: np.ndarray[Any, Any]) -> dict[str, Any]:
        image[:] = 255
        return {"image": image}

    before = np.array(cache.frames)
    list(FrameBatches(cache, [0], batch_size=4, shuffle=False, seed=0, transform=scribble))
    np.testing.assert_array_equal(cache.frames, before)


# --- windows for M


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 60), min_size=1, max_size=6),
    seq_len=st.integers(1, 20),
    seed=st.none() | st.integers(0, 99),
)
def test_windows_lie_inside_episodes_and_do_not_overlap(lengths: list[int], seq_len: int, seed: int | None) -> None:
    all_lengths = np.array(lengths)
    offsets = np.cumsum(all_lengths) - all_lengths
    rng = None if seed is None else np.random.default_rng(seed)
    starts = cut_windows(all_lengths, offsets, seq_len, rng)
    owner = np.repeat(np.arange(len(lengths)), all_lengths)
    ends = (offsets + all_lengths)[owner[starts]]
    rows = [row for start, end in zip(starts, ends, strict=True) for row in range(start, min(start + seq_len + 1, end))]
    assert len(rows) == len(set(rows))
    long = all_lengths > seq_len
    assert (ends - starts > seq_len)[long[owner[starts]]].all(), "only a short episode's window is not full"
    assert {int(owner[start]) for start in starts} == set(range(len(lengths))), "no episode is left out"
    unused = np.bincount(owner, minlength=len(lengths)) - np.bincount(owner[rows], minlength=len(lengths))
    assert (unused[long] <= 2 * seq_len).all(), "less than a window is left at each end"
    assert (unused[~long] == 0).all(), "a short episode is there with all of its rows"


def test_where_all_episodes_are_long_enough_windows_and_order_are_what_they_always_were() -> None:
    lengths = np.array([30, 17, 52])
    starts = cut_windows(lengths, np.cumsum(lengths) - lengths, 5, np.random.default_rng([7, 3]))
    assert starts.tolist() == [68, 41, 16, 62, 92, 22, 50, 35, 86, 80, 56, 10, 4, 74]


def test_action_t_goes_with_latent_t_and_the_next_row_is_the_following_one(cache: FrameCache) -> None:
    batch = drain(SequenceBatches(latents_of(cache), [0, 2, 3], 4, seq_len=6, seed=0, shuffle=True))
    time, episode = batch["latent_mu"].unbind(-1)
    assert batch["latent_mu"].shape[1:] == (7, 2) and batch["action"].shape[1:] == (6, 2)
    assert torch.equal(time[:, 1:], time[:, :-1] + 1)
    assert torch.equal(episode, episode[:, :1].expand_as(episode)), "no window crosses an episode"
    assert torch.equal(batch["latent_logsigma"], -batch["latent_mu"])
    assert torch.equal(batch["action"][..., 0], time[:, :-1])
    assert torch.equal(batch["reward"], time[:, :-1])
    assert batch["terminal"].shape == (len(time), 6)
    assert all(tensor.dtype == torch.float32 for tensor in batch.values())


@pytest.mark.parametrize("shuffle", [True, False])
def test_frames_and_latents_come_in_the_same_windows_in_the_same_order(cache: FrameCache, shuffle: bool) -> None:
    latents = SequenceBatches(latents_of(cache), [3, 0, 1], 4, seq_len=5, seed=2, shuffle=shuffle)
    frames = FrameSequenceBatches(cache, [3, 0, 1], 4, seq_len=5, seed=2, shuffle=shuffle)
    for epoch in range(3):
        latents.set_epoch(epoch)
        frames.set_epoch(epoch)
        assert len(latents) == len(frames) == len(list(frames))
        for left, right in zip(latents, frames, strict=True):
            assert right["frames"].dtype == torch.uint8
            told = [[(decode_time(f), decode_episode(f)) for f in window] for window in right["frames"]]
            assert torch.equal(left["latent_mu"], torch.tensor(told, dtype=torch.float32))
            for name in ("action", "reward", "terminal"):
                assert torch.equal(left[name], right[name])


def test_windows_follow_from_seed_and_epoch_and_begin_elsewhere_each_time(cache: FrameCache) -> None:
    def starts(seed: int, epoch: int) -> tuple[float, ...]:
        batches = SequenceBatches(latents_of(cache), [3], 4, seq_len=5, seed=seed, shuffle=True)
        batches.set_epoch(epoch)
        return tuple(drain(batches)["latent_mu"][:, 0, 0].tolist())

    assert starts(1, 4) == starts(1, 4)
    phases = {min(starts(0, epoch)) for epoch in range(40)}
    assert phases == set(range(6)), "in time every row is the first of a window"


def test_unshuffled_windows_are_cut_from_the_first_row_on(cache: FrameCache) -> None:
    batches = SequenceBatches(latents_of(cache), [2, 0], 4, seq_len=7, seed=5, shuffle=False)
    first_rows = drain(batches)["latent_mu"][:, 0].tolist()
    assert first_rows == [[0, 2], [8, 2], [0, 0], [8, 0], [16, 0]]


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("whole", [True, False])
def test_a_short_episode_is_one_window_padded_with_its_last_row(cache: FrameCache, shuffle: bool, whole: bool) -> None:
    sizes = ([0, 1, 2], 1, 10, 0, shuffle)
    pairs = zip(
        SequenceBatches(latents_of(cache), *sizes, whole=whole),
        FrameSequenceBatches(cache, *sizes, whole=whole),
        strict=True,
    )
    padded = []
    for batch, frames in pairs:
        times, owner = batch["latent_mu"][0].unbind(-1)
        assert frames.keys() - {"frames"} == batch.keys() - {"latent_mu", "latent_logsigma"}
        assert [decode_time(frame) for frame in frames["frames"][0]] == times.tolist()
        if owner[0] == 1:
            padded.append(batch)
            assert times.tolist() == [0, 1, 2, 3] + [3] * 7
            assert batch["mask"].tolist() == frames["mask"].tolist() == [[True] * 4 + [False] * 7]
            assert batch["reward"][0].tolist() == times[: len(batch["reward"][0])].tolist()
        else:
            assert "mask" not in batch
    assert len(padded) == 1


def test_where_all_are_short_windows_are_no_longer_than_the_longest_episode(cache: FrameCache) -> None:
    batches = SequenceBatches(latents_of(cache), [0, 1, 2], 4, 10**9, 0, shuffle=True)
    (batch,) = batches
    assert batch["latent_mu"].shape == (3, 30, 2) and batches.seq_len == 29
    assert sorted(batch["mask"].sum(1).tolist()) == [4, 17, 30]
    (full,) = SequenceBatches(latents_of(cache), [0], 4, 10**9, 0, shuffle=True)
    assert "mask" not in full and full["reward"].shape == (1, 29)


def test_an_episode_needs_two_rows_and_of_whole_windows_one(tmp_path: Path) -> None:
    make_rollouts(tmp_path, [1, 2, 1], action_size=2)
    cache = FrameCache.open(tmp_path)
    (batch,) = SequenceBatches(latents_of(cache), [0, 1, 2], 4, 5, 0, shuffle=False)
    assert batch["latent_mu"][..., 1].tolist() == [[1, 1]] and "mask" not in batch
    (batch,) = SequenceBatches(latents_of(cache), [0, 1, 2], 4, 5, 0, shuffle=False, whole=True)
    assert batch["mask"].tolist() == [[True, False], [True, True], [True, False]]
    (batch,) = SequenceBatches(latents_of(cache), [0], 4, 5, 0, shuffle=False, whole=True)
    assert batch["mask"].tolist() == [[True, False]]
    with pytest.raises(DataError, match=r"none of the 2 episodes has the 2 rows .* longest has 1\); collect longer"):
        SequenceBatches(latents_of(cache), [0, 2], 4, 5, 0, shuffle=True)
    with pytest.raises(DataError, match="0 episodes"):
        FrameSequenceBatches(cache, [], 4, 4, 0, shuffle=True, whole=True)


def test_batches_of_windows_can_be_capped(cache: FrameCache) -> None:
    batches = SequenceBatches(latents_of(cache), [0, 3], 2, 5, 0, shuffle=True, max_batches=3)
    assert len(batches) == len(list(batches)) == 3


@pytest.mark.parametrize("sizes", [{"batch_size": 0}, {"seq_len": 0}, {"max_batches": 0}])
def test_sizes_below_1_are_refused_by_name(cache: FrameCache, sizes: dict[str, int]) -> None:
    settings_given = {"batch_size": 4, "seq_len": 4, "seed": 0, "shuffle": True} | sizes
    with pytest.raises(ConfigError, match=f"{next(iter(sizes))} is 0"):
        FrameSequenceBatches(cache, [0], **settings_given)  # type: ignore[arg-type]


# --- whole windows, which end where episodes end


@pytest.mark.parametrize("shuffle", [True, False])
def test_each_ended_episode_gives_a_window_that_ends_with_its_terminal(tmp_path: Path, shuffle: bool) -> None:
    lengths = [30, 4, 17, 52, 12]
    for i, length in enumerate(lengths):  # the last one was cut by a time limit
        write_rollout(tmp_path / f"rollout_{i}.npz", counting_rollout(length, 2, i, terminal=i != 4))
    batches = SequenceBatches(latents_of(FrameCache.open(tmp_path)), [0, 1, 2, 3, 4], 4, 5, 3, shuffle, whole=True)
    for epoch in range(8):
        batches.set_epoch(epoch)
        windows = drain(batches)
        assert {tuple(windows[name].shape[1:]) for name in ("reward", "terminal")} == {(6,)}
        times, owners = windows["latent_mu"][..., 0], windows["latent_mu"][..., 1].long()
        assert torch.equal(times, windows["reward"]), "row t of a window is transition t, up to the last one"
        assert torch.equal(windows["action"][..., 0], times)
        ended = windows["terminal"] == 1
        ended &= windows["mask"]
        last = torch.stack([times == lengths[i] - 1 for i in range(4)]).gather(0, owners.clamp_max(3)[None])[0]
        assert torch.equal(ended, last & (owners < 4) & windows["mask"])
        assert sorted(owners[ended].tolist()) == [0, 1, 2, 3], "once each, in a short one's only window as well"
        assert not ended[:, :-1][owners[:, 0] != 1].any()
        starts = list(zip(owners[:, 0].tolist(), times[:, 0].tolist(), strict=True))
        assert len(starts) == len(set(starts)) and {0, 1, 2, 3, 4} == set(owners[:, 0].tolist())


def test_whole_windows_of_frames_are_those_of_latents(cache: FrameCache) -> None:
    sizes = ([0, 2, 3], 4, 5, 3, True)
    latents = drain(SequenceBatches(latents_of(cache), *sizes, whole=True))
    frames = drain(FrameSequenceBatches(cache, *sizes, whole=True))
    for name in ("action", "reward", "terminal"):
        assert torch.equal(latents[name], frames[name])
    assert latents["terminal"].sum() == 3
    assert [decode_time(f) for f in frames["frames"].flatten(0, 1)] == latents["latent_mu"][..., 0].flatten().tolist()
