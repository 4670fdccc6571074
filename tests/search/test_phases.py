"""The average of recent means wanders less than the means do."""

from __future__ import annotations

import numpy as np

from world_models.search.algorithms.phases import RecentMeans


def test_the_average_is_of_the_later_half_of_the_last_24() -> None:
    recent = RecentMeans()
    for k in range(1, 41):
        recent.add(np.array([float(k)]))
        kept = list(range(1, k + 1))[-24:]
        assert recent.average == np.mean(kept[len(kept) // 2 :])


def test_the_average_of_a_random_walk_about_a_point_is_nearer_to_it_than_the_walk() -> None:
    rng = np.random.default_rng(0)
    recent, single, averaged = RecentMeans(), [], []
    for _ in range(400):
        mean = rng.standard_normal(20)
        recent.add(mean)
        single.append(np.linalg.norm(mean))
        averaged.append(np.linalg.norm(recent.average))
    assert np.mean(averaged[20:]) < 0.45 * np.mean(single[20:])
