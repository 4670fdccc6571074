"""CMA-ES maximises, its runs can be repeated and taken up exactly."""

import ast
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import world_models
from tests.search.searches import TARGET, climb
from world_models.errors import CheckpointError, ConfigError
from world_models.search.algorithms.cma_es import DIAGONAL_ABOVE, CmaEs


def test_a_quadratic_is_climbed_to_its_top():
    search = CmaEs(np.zeros(3), 0.5, 10, seed=0)
    climb(search, 60)
    np.testing.assert_allclose(search.mean, TARGET, atol=1e-3)
    assert search.generation == 60


def test_the_mean_moves_towards_the_candidate_that_is_known_to_be_the_best():
    search = CmaEs(np.zeros(4), 1.0, 8, seed=1)
    candidates = search.ask()
    returns = np.zeros(8)
    returns[5] = 1.0
    search.tell(candidates, returns)
    distances = np.linalg.norm(candidates - search.mean, axis=1)
    assert distances[5] < np.linalg.norm(candidates[5])
    assert (search.mean @ candidates[5]) > 0


@given(
    interrupted_after=st.integers(0, 7),
    seed=st.integers(0, 99),
    size=st.integers(1, 12),
    rate=st.sampled_from([1.0, 0.3]),
)
@settings(max_examples=20)
def test_a_search_that_is_taken_up_asks_exactly_what_an_uninterrupted_one_asks(interrupted_after, seed, size, rate):
    def fitness(points):
        return -np.abs(points - 1).sum(-1)

    mean = np.linspace(0, 1, size)
    straight = CmaEs(mean, 0.3, 6, seed, rate)
    expected = climb(straight, 10, fitness)
    first = CmaEs(mean, 0.3, 6, seed, rate)
    climb(first, interrupted_after, fitness)
    state = first.state_dict()
    first.ask()  # what a stopped generation asked for is asked for again
    second = CmaEs(mean, 0.3, 6, seed, rate)
    second.load_state_dict(state)
    assert second.generation == interrupted_after
    for one, other in zip(expected[interrupted_after:], climb(second, 10 - interrupted_after, fitness), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(straight.mean, second.mean)
    assert straight.sigma == second.sigma


def test_the_mean_goes_as_much_of_its_way_as_its_rate_says():
    moved = []
    for rate in (1.0, 0.3):
        search = CmaEs(TARGET / 2, 0.5, 8, seed=2, mean_rate=rate)
        climb(search, 1)
        moved.append(search.mean - TARGET / 2)
    np.testing.assert_allclose(moved[1], 0.3 * moved[0], rtol=1e-9)


def test_a_search_is_not_taken_up_with_another_rate_of_the_mean():
    search = CmaEs(np.zeros(3), 0.5, 6, seed=3, mean_rate=0.5)
    climb(search, 2)
    with pytest.raises(CheckpointError, match=r"mean_rate=0\.5"):
        CmaEs(np.zeros(3), 0.5, 6, seed=3).load_state_dict(search.state_dict())


def test_equal_seeds_ask_the_same_and_global_generators_are_left_alone():
    np.random.seed(7)
    torch.manual_seed(7)
    numpy_before, torch_before = np.random.get_state()[1].copy(), torch.get_rng_state()
    one = climb(CmaEs(np.zeros(3), 0.5, 6, seed=3), 3)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_before)
    assert torch.equal(torch.get_rng_state(), torch_before)
    np.random.seed(8)
    other = climb(CmaEs(np.zeros(3), 0.5, 6, seed=3), 3)
    np.testing.assert_array_equal(one, other)
    assert not np.array_equal(one, climb(CmaEs(np.zeros(3), 0.5, 6, seed=4), 3))


def test_candidates_are_as_many_as_asked_for_and_start_around_the_mean():
    search = CmaEs(np.full(50, 3.0), 0.1, 32, seed=0)
    candidates = search.ask()
    assert candidates.shape == (32, 50) and candidates.dtype == np.float64 and search.pop_size == 32
    assert abs(candidates.mean() - 3) < 0.05 and 0.08 < candidates.std() < 0.12


def test_above_a_few_thousand_parameters_the_covariance_is_diagonal():
    search = CmaEs(np.zeros(DIAGONAL_ABOVE + 1), 0.1, 4, seed=0)
    candidates = search.ask()
    search.tell(candidates, np.arange(4.0))
    assert search.ask().shape == (4, DIAGONAL_ABOVE + 1)


def test_equal_returns_do_not_stop_it():
    search = CmaEs(np.zeros(3), 0.5, 6, seed=0)
    for _ in range(30):
        search.tell(search.ask(), np.zeros(6))
    assert np.isfinite(search.ask()).all()


def test_one_candidate_cannot_evolve():
    with pytest.raises(ConfigError, match="pop_size=1"):
        CmaEs(np.zeros(3), 0.5, 1, seed=0)


@pytest.mark.parametrize(("size", "pop_size"), [(4, 6), (3, 8)])
def test_a_search_of_other_sizes_cannot_be_taken_up(size, pop_size):
    search = CmaEs(np.zeros(3), 0.5, 6, seed=0)
    climb(search, 2)
    with pytest.raises(CheckpointError, match=rf"6 candidates of 3 parameters, this one {pop_size} of {size}"):
        CmaEs(np.zeros(size), 0.5, pop_size, seed=0).load_state_dict(search.state_dict())


def test_nothing_else_in_the_package_knows_of_a_cost():
    package = Path(world_models.__file__).parent
    for path in package.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        negated = {
            node.operand.id
            for node in ast.walk(tree)
            if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Name)
        }
        if path.name != "cma_es.py":
            assert "cost" not in names and not any("return" in name for name in negated), path.name
