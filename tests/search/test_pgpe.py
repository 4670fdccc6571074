"""PGPE follows the mean of the returns where ranks follow what is best in most episodes; its runs resume exactly."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.search.searches import TARGET, climb
from world_models.errors import CheckpointError, ConfigError
from world_models.search.algorithms.cma_es import CmaEs
from world_models.search.algorithms.pgpe import Pgpe


def test_a_quadratic_is_climbed_to_its_top():
    search = Pgpe(np.zeros(3), 0.2, 20, seed=0, mean_rate=0.5)
    climb(search, 80)
    np.testing.assert_allclose(search.mean, TARGET, atol=0.15)
    assert search.generation == 80 and search.sigma == 0.2


def test_rare_failures_weigh_as_much_as_they_cost():
    """Speed gives 1 a unit, and makes a failure of 60 likelier by 0.05 a unit: on average slower is better."""

    def driven(seed):
        rng = np.random.default_rng(seed)

        def fitness(points):
            speed = points[:, 0]
            return speed - 60.0 * (rng.uniform(size=len(points)) < np.clip(0.15 + 0.05 * speed, 0, 1))

        return fitness

    def moved(search_of):
        searches = [search_of(seed) for seed in range(6)]
        for seed, search in enumerate(searches):
            climb(search, 60, driven(seed))
        return float(np.mean([search.mean[0] for search in searches]))

    assert moved(lambda seed: Pgpe(np.zeros(5), 0.5, 32, seed, mean_rate=0.3)) < -0.2
    assert moved(lambda seed: CmaEs(np.zeros(5), 0.5, 32, seed, mean_rate=0.3)) > 1


@given(factor=st.floats(0.01, 1e4), shift=st.floats(-1e3, 1e3))
@settings(max_examples=20)
def test_the_scale_and_the_level_of_the_returns_do_not_matter(factor, shift):
    one, other = (Pgpe(np.zeros(4), 0.3, 8, seed=1) for _ in range(2))
    candidates = one.ask()
    returns = np.sin(5 * candidates).sum(1)
    one.tell(candidates, returns)
    other.tell(other.ask(), factor * returns + shift)
    np.testing.assert_allclose(one.mean, other.mean, rtol=1e-6, atol=1e-9)


def test_what_both_candidates_of_a_pair_lose_moves_nothing():
    search = Pgpe(np.zeros(4), 0.3, 8, seed=1)
    candidates = search.ask()
    np.testing.assert_allclose(candidates[:4], -candidates[4:])
    search.tell(candidates, -(candidates**2).sum(1))
    np.testing.assert_allclose(search.mean, 0, atol=1e-8)


def test_in_pure_noise_a_step_is_about_as_long_as_one_of_cma_es():
    rng, lengths = np.random.default_rng(0), {}
    for kind in (Pgpe, CmaEs):
        steps = []
        for seed in range(60):
            search = kind(np.zeros(40), 0.1, 32, seed, mean_rate=0.5)
            climb(search, 1, lambda points: rng.standard_normal(len(points)))
            steps.append(np.linalg.norm(search.mean))
        lengths[kind] = np.mean(steps)
    assert 0.8 < lengths[Pgpe] / lengths[CmaEs] < 1.25


@given(interrupted_after=st.integers(0, 5), seed=st.integers(0, 99), size=st.integers(1, 9))
@settings(max_examples=20)
def test_a_search_that_is_taken_up_asks_exactly_what_an_uninterrupted_one_asks(interrupted_after, seed, size):
    def fitness(points):
        return -np.abs(points - 1).sum(-1)

    whole = Pgpe(np.zeros(size), 0.3, 6, seed, 0.7)
    climb(whole, interrupted_after, fitness)
    other = Pgpe(np.zeros(size), 0.3, 6, seed, 0.7)
    other.load_state_dict(whole.state_dict())
    np.testing.assert_array_equal(np.stack(climb(whole, 3, fitness)), np.stack(climb(other, 3, fitness)))
    assert other.generation == interrupted_after + 3


@pytest.mark.parametrize("changed", [{"sigma": 0.4}, {"pop_size": 8}, {"mean_rate": 0.5}, {"mean": np.ones(3)}])
def test_a_search_is_not_taken_up_with_other_settings(changed):
    base = {"mean": np.zeros(3), "sigma": 0.5, "pop_size": 6, "seed": 0}
    with pytest.raises(CheckpointError, match="same settings"):
        Pgpe(**(base | changed)).load_state_dict(Pgpe(**base).state_dict())


def test_the_search_of_another_kind_is_not_taken_up():
    with pytest.raises(CheckpointError, match="pop_size"):
        Pgpe(np.zeros(3), 0.5, 6, seed=0).load_state_dict(CmaEs(np.zeros(3), 0.5, 6, seed=0).state_dict())


def test_an_odd_number_of_candidates_is_refused():
    with pytest.raises(ConfigError, match="pop_size=5"):
        Pgpe(np.zeros(2), 0.5, 5, seed=0)


def test_equal_returns_do_not_move_it():
    search = Pgpe(np.ones(2), 0.5, 4, seed=0)
    search.tell(search.ask(), np.zeros(4))
    np.testing.assert_array_equal(search.mean, np.ones(2))
