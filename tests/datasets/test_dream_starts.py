"""Where dreams begin: real rows, never across an episode's end, and a range that holds the data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.dreams import some_starts
from world_models.datasets.dream_starts import load_starts, make_starts, save_starts
from world_models.datasets.latents import Latents
from world_models.errors import DataError


def counting_latents(lengths: tuple[int, ...]) -> Latents:
    """mu says (episode, row), and so do the actions."""
    episode = np.repeat(np.arange(len(lengths)), lengths)
    row = np.concatenate([np.arange(n) for n in lengths])
    told = np.stack([episode, row], 1).astype(np.float32)
    flat = np.zeros(len(told), np.float32)
    return Latents(told, np.log(np.full_like(told, 0.5)), told, flat, flat, np.array(lengths), "a V")


def test_first_frames_are_first_and_sequences_stay_within_their_episode():
    starts = make_starts(counting_latents((50, 3, 40, 33)), "X-v0", seed=1)
    assert starts.first_mu.tolist() == [[0, 0], [1, 0], [2, 0], [3, 0]]
    assert starts.warm_mu.shape[1:] == (32, 2) and starts.env_name == "X-v0" and starts.fingerprint == "a V"
    # 19 + 0 + 9 + 2 places for 32 rows, each taken once
    assert len({tuple(window[0]) for window in starts.warm_mu}) == len(starts.warm_mu) == 30
    for mu, actions in zip(starts.warm_mu, starts.warm_actions, strict=True):
        assert len(set(mu[:, 0])) == 1 and (np.diff(mu[:, 1]) == 1).all()
        assert (mu == actions).all()


def test_the_range_is_five_deviations_about_the_data():
    starts = make_starts(counting_latents((50, 3)))
    np.testing.assert_allclose(starts.low, [-2.5, -2.5], rtol=1e-6)
    np.testing.assert_allclose(starts.high, [3.5, 51.5], rtol=1e-6)


@pytest.mark.parametrize(("lengths", "width"), [((4, 7), 5), ((1,), 1), ((9, 9, 50), 9), ((50, 9, 50, 33), 32)])
def test_where_most_episodes_are_short_the_sequences_are_shorter_so_that_half_of_them_have_some(lengths, width):
    warm = make_starts(counting_latents(lengths)).warm_mu
    assert warm.shape[1:] == (width, 2)
    assert set(warm[:, 0, 0]) == {i for i, length in enumerate(lengths) if length >= width}


def test_they_come_back_as_they_were_written(tmp_path: Path):
    starts = some_starts()
    save_starts(tmp_path / "starts.npz", starts)
    again = load_starts(tmp_path / "starts.npz")
    for name, value in vars(starts).items():
        np.testing.assert_array_equal(getattr(again, name), value)


def test_a_missing_file_says_how_to_make_it(tmp_path: Path):
    with pytest.raises(DataError, match=r"starts\.npz: there is no such file; .*--stage rnn.*--data_dir"):
        load_starts(tmp_path / "starts.npz")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"first_mu": np.zeros((0, 4), np.float32), "first_logsigma": np.zeros((0, 4), np.float32)}, "no first latent"),
        ({"low": np.full(4, np.nan, np.float32)}, "low is float32 of shape .4,., not 1 dimensions of finite"),
        ({"low": np.full(4, 9, np.float32)}, "low is not below high"),
        ({"high": np.ones(5, np.float32)}, "the shapes of high"),
        ({"warm_actions": np.zeros((6, 4, 2), np.float32)}, "warm_actions has shape"),
        ({"first_mu": np.zeros((6, 4))}, "first_mu is float64"),
    ],
)
def test_what_cannot_be_begun_from_is_refused(change: dict, says: str):
    with pytest.raises(DataError, match=says):
        replace(some_starts(), **change)
