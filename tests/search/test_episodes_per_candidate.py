"""The number of episodes a candidate, against least squares and against tables of known noise."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from world_models.search.algorithms.episodes_per_candidate import SampleSize, f_statistic


def by_least_squares(table):
    """The F statistic of the candidates from two linear models, with and without them."""
    samples, candidates = table.shape
    track, candidate = np.indices(table.shape).reshape(2, -1)
    tracks, both = np.eye(samples)[track], np.hstack([np.eye(samples)[track], np.eye(candidates)[candidate]])

    def unexplained(model):
        return ((table.ravel() - model @ np.linalg.lstsq(model, table.ravel(), rcond=None)[0]) ** 2).sum()

    rest, free = unexplained(both), (samples - 1) * (candidates - 1)
    return (unexplained(tracks) - rest) / (candidates - 1) / (rest / free)


@given(st.integers(2, 6), st.integers(2, 9), st.integers(0, 2**32 - 1))
def test_f_is_that_of_the_two_way_analysis_of_variance(samples, candidates, seed):
    rng = np.random.default_rng(seed)
    table = rng.standard_normal((samples, candidates)) + rng.standard_normal(candidates) * 3
    assert f_statistic(table) == pytest.approx(by_least_squares(table), rel=1e-6)


def test_a_tracks_difficulty_is_not_noise():
    table = np.random.default_rng(0).standard_normal((3, 8))
    hard = np.array([[0.0], [500.0], [-300.0]])
    assert f_statistic(table + hard) == pytest.approx(f_statistic(table))


def test_one_track_or_equal_returns_say_nothing():
    assert math.isnan(f_statistic(np.ones((1, 8)))) and math.isnan(f_statistic(np.ones((2, 8))))
    size = SampleSize(1, 8)
    size.tell(np.arange(8.0)[None])
    assert size.now == 1


def evolve(signal, generations=60, most=16):
    rng, size = np.random.default_rng(0), SampleSize(2, most)
    for _ in range(generations):
        size.tell(rng.standard_normal((size.now, 16)) + signal * rng.standard_normal(16))
    return size.now


def test_noise_alone_brings_the_most_and_a_clear_order_stays_with_the_first():
    assert evolve(0.0) == 16
    assert evolve(4.0) == 2
    assert 2 < evolve(0.6) < 16


def test_a_limit_that_is_not_above_the_first_keeps_it():
    assert evolve(0.0, most=0) == 2


def test_state_goes_round():
    rng = np.random.default_rng(1)
    one, other = SampleSize(2, 16), SampleSize(2, 16)
    one.tell(rng.standard_normal((2, 16)))
    other.load_state_dict(one.state_dict())
    for _ in range(6):
        table = rng.standard_normal((one.now, 16))
        one.tell(table)
        other.tell(table)
        assert one.state_dict() == other.state_dict()
