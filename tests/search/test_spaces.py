"""The whitened search space folds back into the plain linear layer."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from world_models.errors import ConfigError
from world_models.models.controller import Controller, load_parameters
from world_models.search.algorithms.spaces import PlainSpace, WhitenedSpace, space_from_state_dict

Z, R, A = 3, 4, 2


def correlated_states(n: int = 400, size: int = Z + R, seed: int = 0) -> np.ndarray:
    """States whose components differ in scale by orders of magnitude and are correlated."""
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(size, size)) * np.logspace(-2, 2, size)
    return rng.normal(size=(n, size)) @ mixing + rng.normal(size=size) * 5


@given(seed=st.integers(0, 999), k=st.integers(1, Z + R))
def test_folded_into_the_layer_a_point_acts_as_it_does_in_whitened_coordinates(seed, k):
    states = correlated_states(seed=seed)
    space = WhitenedSpace.fit(states, k, A)
    x = np.random.default_rng(seed).normal(size=space.size)
    whitened = (states - space.center) @ space.components.T
    expected = whitened @ x[: A * k].reshape(A, k).T + x[A * k :]
    flat = space.to_parameters(x)
    weight, bias = flat[: A * (Z + R)].reshape(A, Z + R), flat[A * (Z + R) :]
    np.testing.assert_allclose(states @ weight.T + bias, expected, rtol=1e-7, atol=1e-7)


def test_the_folded_point_is_what_a_controller_loads():
    states = correlated_states()
    space = WhitenedSpace.fit(states, 5, A)
    x = np.random.default_rng(1).normal(size=space.size)
    controller = Controller(Z, R, A).double()
    load_parameters(space.to_parameters(x), controller)
    whitened = (states - space.center) @ space.components.T
    with torch.no_grad():
        actions = controller(torch.from_numpy(states)).numpy()
    np.testing.assert_allclose(actions, whitened @ x[:10].reshape(A, 5).T + x[10:], rtol=1e-6, atol=1e-6)


def test_whitened_coordinates_have_mean_zero_and_covariance_one():
    states = correlated_states()
    space = WhitenedSpace.fit(states, 6, A)
    whitened = (states - space.center) @ space.components.T
    np.testing.assert_allclose(whitened.mean(0), 0, atol=1e-8)
    np.testing.assert_allclose(np.cov(whitened, rowvar=False), np.eye(6), atol=1e-6)


def test_the_components_of_most_variance_come_first():
    states = correlated_states()
    variances = [np.linalg.norm(row) for row in WhitenedSpace.fit(states, 7, A).components]
    assert variances == sorted(variances)  # a longer row means a smaller variance


def test_a_whole_population_is_folded_at_once():
    space = WhitenedSpace.fit(correlated_states(), 4, A)
    points = np.random.default_rng(2).normal(size=(5, space.size))
    together = space.to_parameters(points)
    assert together.shape == (5, (Z + R + 1) * A)
    np.testing.assert_allclose(together, [space.to_parameters(point) for point in points])


def test_a_component_that_never_varies_stays_finite():
    states = correlated_states()
    states[:, 2] = 1.0
    space = WhitenedSpace.fit(states, 7, A)
    assert np.isfinite(space.to_parameters(np.ones(space.size))).all()


@pytest.mark.parametrize("states", [correlated_states(), correlated_states(n=5)])
def test_more_components_than_there_are_is_an_error_with_both_numbers(states):
    with pytest.raises(ConfigError, match=rf"components=9 .* only {min(states.shape)}"):
        WhitenedSpace.fit(states, 9, A)


def test_fitting_is_the_same_every_time():
    one, other = (WhitenedSpace.fit(correlated_states(), 5, A) for _ in range(2))
    np.testing.assert_array_equal(one.components, other.components)


def test_a_space_comes_back_from_its_plain_state():
    space = WhitenedSpace.fit(correlated_states(), 5, A)
    again = space_from_state_dict(space.state_dict())
    x = np.ones(space.size)
    np.testing.assert_array_equal(space.to_parameters(x), again.to_parameters(x))
    assert space_from_state_dict(PlainSpace(11).state_dict()) == PlainSpace(11)


@given(seed=st.integers(0, 999), bias=st.booleans())
def test_a_gain_scales_one_action_about_the_mean_state_and_a_bias_shifts_one(seed, bias):
    rng = np.random.default_rng(seed)
    states = correlated_states(seed=seed)
    own = rng.normal(size=((Z + R) * A + bias * A))
    plain = WhitenedSpace.fit(states, 4, A, bias, offset=own)
    space = space_from_state_dict(plain.with_gains().state_dict())
    assert space.size == plain.size + A * (1 + bias)

    def actions(x):
        flat = space.to_parameters(x)
        weight = flat[: (Z + R) * A].reshape(A, Z + R)
        return states @ weight.T + (flat[(Z + R) * A :] if bias else 0)

    x = np.zeros(space.size)
    x[: plain.size] = rng.normal(size=plain.size)
    before, middle = actions(x), actions(np.zeros(space.size)).mean(0) if bias else 0.0
    kick = actions(np.zeros(space.size)) - middle
    for action in range(A):
        moved = x.copy()
        moved[plain.size + (1 + bias) * action] += 0.1
        change = actions(moved) - before
        np.testing.assert_allclose(change[:, action], 0.3 * kick[:, action], atol=1e-8)
        np.testing.assert_allclose(np.delete(change, action, 1), 0, atol=1e-8)
        if bias:
            moved = x.copy()
            moved[plain.size + 2 * action + 1] += 0.1
            np.testing.assert_allclose(actions(moved) - before, 0.5 * np.eye(A)[action] + 0 * before, atol=1e-8)


def test_the_plain_space_is_the_parameters_themselves():
    x = np.arange(5.0)
    np.testing.assert_array_equal(PlainSpace(5).to_parameters(x), x)


@given(seed=st.integers(0, 999), k=st.integers(1, Z + 2 * R), offset=st.booleans())
def test_without_a_bias_the_folded_controller_acts_as_the_whitened_point_too(seed, k, offset):
    states = correlated_states(seed=seed, size=Z + 2 * R)
    space = WhitenedSpace.fit(states, k, A, bias=False)
    x = np.random.default_rng(seed).normal(size=space.size)
    expected = (states @ space.components.T) @ x.reshape(A, k).T
    if offset:
        start = np.random.default_rng(seed + 1).normal(size=(A, Z + 2 * R))
        space = replace(space, offset=start.ravel())
        expected = expected + states @ start.T
    controller = Controller(Z, R, A, use_cell=True, bias=False).double()
    load_parameters(space.to_parameters(x), controller)
    with torch.no_grad():
        np.testing.assert_allclose(controller(torch.from_numpy(states)).numpy(), expected, rtol=1e-7, atol=1e-6)


def test_without_a_bias_coordinates_have_second_moments_of_one_and_can_tell_the_mean():
    states = correlated_states() + 50
    space = WhitenedSpace.fit(states, Z + R, A, bias=False)
    coordinates = states @ space.components.T
    np.testing.assert_allclose(coordinates.T @ coordinates / len(states), np.eye(Z + R), atol=1e-5)
    assert not space.center.any() and space.size == A * (Z + R)
    assert np.linalg.norm(coordinates.mean(0)) > 0.99, "along their mean they are nearly constant: that is the bias"


def test_a_space_without_a_bias_comes_back_and_an_old_one_has_one():
    space = WhitenedSpace.fit(correlated_states(), 5, A, bias=False)
    again, x = space_from_state_dict(space.state_dict()), np.ones(space.size)
    np.testing.assert_array_equal(space.to_parameters(x), again.to_parameters(x))
    old = WhitenedSpace.fit(correlated_states(), 5, A).state_dict()
    del old["bias"]
    assert space_from_state_dict(old).size == A * 6


def test_standardized_components_see_what_is_said_in_small_numbers():
    rng = np.random.default_rng(0)
    quiet = rng.normal(size=(2000, 1)) * 0.01
    states = np.concatenate([quiet * rng.uniform(0.8, 1.2, 4) for _ in range(1)] + [rng.normal(size=(2000, 3))], 1)

    def known_of_quiet(space: WhitenedSpace) -> float:
        seen = (states - space.center) @ space.components.T
        return float(np.linalg.lstsq(seen, quiet, rcond=None)[1][0] / (quiet**2).sum())

    plain = WhitenedSpace.fit(states, 3, A)
    standardized = WhitenedSpace.fit(states, 3, A, standardized=True)
    assert known_of_quiet(plain) > 0.9, "what is left unexplained"
    assert known_of_quiet(standardized) < 0.1
    whitened = (states - standardized.center) @ standardized.components.T
    np.testing.assert_allclose(np.cov(whitened.T), np.eye(3), atol=1e-6)


@given(seed=st.integers(0, 999), bias=st.booleans())
def test_a_space_of_all_entries_has_a_point_for_every_controller(seed, bias):
    states, rng = correlated_states(seed=seed), np.random.default_rng(seed)
    size = A * (Z + R + bias)
    offset, other = rng.normal(size=(2, size))
    space = WhitenedSpace.of_entries(states, A, bias, offset)
    assert space.size == size
    np.testing.assert_allclose(space.to_parameters(space.to_point(other)), other, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(space.to_parameters(np.zeros(size)), offset)
    spread = states.std(0) if bias else np.sqrt((states**2).mean(0))
    np.testing.assert_allclose(space.spread_of_entries, spread, rtol=1e-2, atol=2e-3)
    again = space_from_state_dict(space.state_dict())
    np.testing.assert_array_equal(again.to_parameters(other), space.to_parameters(other))
