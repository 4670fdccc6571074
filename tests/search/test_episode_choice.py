"""Tracks that told candidates apart are driven again, and a pool that is taken up chooses the same."""

import numpy as np

from world_models.search.algorithms.episode_choice import TrackPool


def filled(share: float = 0.5) -> TrackPool:
    """Of 40 tracks the one with seed 7 told most."""
    pool = TrackPool(share)
    rng = np.random.default_rng(0)
    for track in range(40):
        pool.tell([track], rng.standard_normal((1, 30)) * (100 if track == 7 else 1))
    return pool


def test_half_are_new_and_half_replayed_mostly_what_told_most():
    pool, counts = filled(), np.zeros(40)
    for seed in range(200):
        chosen = pool.choose([1000, 1001, 1002, 1003], seed)
        assert chosen[:2] == [1000, 1001] and len(set(chosen)) == 4 and max(chosen[2:]) < 40
        counts[chosen[2:]] += 1
    assert counts.argmax() == 7 and np.count_nonzero(counts) > 5


def test_a_track_that_no_longer_tells_is_left():
    pool = filled()
    pool.tell([7], np.zeros((1, 30)))
    assert sum(7 in pool.choose([1000, 1001], seed) for seed in range(100)) == 0


def test_without_a_share_or_with_few_known_all_are_new():
    assert filled(0.0).choose([1, 2], 0) == [1, 2]
    few = TrackPool(0.5)
    few.tell([1, 2, 3], np.random.default_rng(0).standard_normal((3, 4)))
    assert few.choose([10, 11], 0) == [10, 11]


def test_a_single_episode_is_always_new():
    assert filled().choose([1000], 0) == [1000]


def test_taken_up_it_chooses_the_same_and_goes_on_the_same():
    pool, again = filled(), TrackPool(0.5)
    again.load_state_dict(pool.state_dict())
    for seed in range(20):
        assert pool.choose([1000, 1001], seed) == again.choose([1000, 1001], seed)
        returns = np.random.default_rng(seed).standard_normal((2, 5))
        pool.tell([seed, 50 + seed], returns)
        again.tell([seed, 50 + seed], returns)
