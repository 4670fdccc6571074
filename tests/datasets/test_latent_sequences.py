"""How `LatentSequenceDataset` cuts windows and holds some out, with episode lengths and without."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.doubles import latent_arrays
from world_models import notices
from world_models.datasets.wm_dataset import LatentSequenceDataset


@settings(max_examples=40)
@given(lengths=st.lists(st.integers(1, 25), min_size=1, max_size=5), seq_len=st.integers(1, 10))
def test_windows_lie_end_to_end_within_each_episode_whose_length_is_known(lengths: list[int], seq_len: int) -> None:
    if max(lengths) <= seq_len:
        return
    dataset = LatentSequenceDataset(*latent_arrays(lengths, False), seq_len=seq_len, episode_lengths=lengths)
    firsts = []
    for i in range(len(dataset)):
        latent, action, reward, _, then = dataset[i]
        assert action[:, 0].tolist() == reward.tolist() == latent[:, 0].tolist()
        assert torch.equal(then[:, 0], latent[:, 0] + 1) and torch.equal(then[:-1], latent[1:])
        assert len(set(latent[:, 1].tolist() + then[:, 1].tolist())) == 1
        firsts.append((int(latent[0, 1]), int(latent[0, 0])))
    assert firsts == [(e, t) for e, n in enumerate(lengths) for t in range(0, n - seq_len, seq_len)]


@settings(max_examples=60)
@given(
    rows=st.integers(2, 300),
    seq_len=st.integers(1, 40),
    held_out=st.integers(0, 20) | st.just(600),
    ends=st.booleans(),
)
def test_rows_of_unknown_episodes_are_cut_end_to_end_and_the_last_windows_held_out(
    rows: int, seq_len: int, held_out: int, ends: bool
) -> None:
    if rows <= seq_len:
        return
    count = np.arange(rows, dtype=np.float32)
    arrays = (np.stack([count, -count], 1), count[:, None], count, (count % 7 == 6) * ends)
    train, test = (
        LatentSequenceDataset(*arrays, train=part, num_test_files=held_out, seq_len=seq_len) for part in (True, False)
    )
    whole = (rows - 1) // seq_len  # one short of rows // seq_len where the last window has no row after it
    assert rows // seq_len - 1 <= len(train) + len(test) == whole <= rows // seq_len
    assert len(test) == (held_out if held_out < whole else 0) and len(train) > 0
    windows = [part[i] for part in (train, test) for i in range(len(part))]
    assert [w[0][0, 0] for w in windows] == [i * seq_len for i in range(whole)]
    for latent, action, reward, _, then in windows:
        assert torch.equal(then, latent + torch.tensor([1.0, -1.0])) and len(latent) == seq_len
        assert torch.equal(action[:, 0], reward) and torch.equal(reward, latent[:, 0])


@pytest.mark.parametrize("seq_len", [10, 16, 32])
@pytest.mark.parametrize("held_out", [0, 1, 2, 10, 600])
def test_a_hundred_rows_are_enough(seq_len: int, held_out: int) -> None:
    rng = np.random.default_rng(0)
    latents, actions = rng.normal(size=(100, 32)), rng.normal(size=(100, 3))
    dataset = LatentSequenceDataset(
        latents, actions, rng.normal(size=100), rng.random(100) > 0.9, num_test_files=held_out, seq_len=seq_len
    )
    assert len(dataset) > 0
    shapes = [tuple(part.shape) for part in dataset[len(dataset) - 1]]
    assert shapes == [(seq_len, 32), (seq_len, 3), (seq_len,), (seq_len,), (seq_len, 32)]


def test_windows_over_an_end_that_terminals_mark_are_counted_once_aloud(caplog: pytest.LogCaptureFixture) -> None:
    notices.forget()
    for _ in range(2):
        LatentSequenceDataset(*latent_arrays([10, 11]), seq_len=4)
    (record,) = caplog.records
    assert "1 of 5 windows" in record.getMessage() and "give episode_lengths" in record.getMessage()
    LatentSequenceDataset(*latent_arrays([10, 11]), seq_len=4, episode_lengths=[10, 11])
    LatentSequenceDataset(*latent_arrays([21]), seq_len=4)  # its end is its last row, in no window's transitions
    assert len(caplog.records) == 1


def test_the_last_episodes_are_held_out_where_they_are_known() -> None:
    given: dict[str, Any] = {"seq_len": 4, "num_test_files": 1, "episode_lengths": [10, 11, 13]}
    train = LatentSequenceDataset(*latent_arrays([10, 11, 13]), train=True, **given)
    test = LatentSequenceDataset(*latent_arrays([10, 11, 13]), train=False, **given)
    assert (len(train), len(test)) == (2 + 2, 3)
    assert {test[i][0][0, 1].item() for i in range(len(test))} == {2}


@pytest.mark.parametrize("episode_lengths", [None, [10, 11]])
def test_too_little_to_hold_out_or_no_test_files_leave_all_for_training(episode_lengths: list[int] | None) -> None:
    given: dict[str, Any] = {"seq_len": 4, "episode_lengths": episode_lengths}
    arrays, windows = latent_arrays([10, 11], terminal=False), 5 if episode_lengths is None else 4
    for held_out in (0, windows, 600):
        assert len(LatentSequenceDataset(*arrays, num_test_files=held_out, **given)) == windows
        assert len(LatentSequenceDataset(*arrays, train=False, num_test_files=held_out, **given)) == 0


def test_a_column_of_rewards_and_terminals_of_bool_are_read() -> None:
    latents, actions, rewards, terminals = latent_arrays([20])
    dataset = LatentSequenceDataset(latents, actions, rewards[:, None], terminals > 0, seq_len=19)
    _, _, reward, terminal, _ = dataset[0]
    assert reward.tolist() == list(range(19)) and terminal.dtype == torch.float32 and not terminal.any()
