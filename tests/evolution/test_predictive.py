"""The predictive space: directions of [z, h] that tell what a driver will do next."""

import numpy as np
import pytest

from world_models.errors import ConfigError
from world_models.evolution.parameters import WhitenedSpace, space_from_state_dict
from world_models.evolution.predictive import Drive, predictive_space

D, A, LENGTH = 12, 2, 300


def drives(count: int = 8, length: int = LENGTH, seed: int = 0) -> tuple[list[Drive], np.ndarray]:
    """Episodes whose actions follow two slow directions of the state; the other ten are much louder noise.

    Also the two directions (2, D).
    """
    rng = np.random.default_rng(seed)
    mixing = np.linalg.qr(rng.normal(size=(D, D)))[0]
    found = []
    for _ in range(count):
        slow = np.cumsum(rng.normal(size=(length, 2)), 0) / 10
        hidden = np.concatenate([slow, 20 * rng.normal(size=(length, D - 2))], 1)
        found.append(Drive(hidden @ mixing, slow + 0.01 * rng.normal(size=(length, A)), slow[:, 0]))
    return found, mixing[:2]


def test_the_directions_that_drive_are_found_beneath_louder_ones():
    driven, true = drives()
    space = predictive_space(driven, 2, np.zeros(A * (D + 1)))
    loud = WhitenedSpace.fit(np.concatenate([drive.states for drive in driven]), 2, A)
    # How much of each true direction lies in the plane that was found.
    assert (np.linalg.norm(true @ np.linalg.qr(space.components.T)[0], axis=1) > 0.9).all()
    assert (np.linalg.norm(true @ np.linalg.qr(loud.components.T)[0], axis=1) < 0.1).all()


def test_its_coordinates_have_mean_zero_and_variance_one():
    driven, _ = drives()
    space = predictive_space(driven, 4, np.zeros(A * (D + 1)))
    states = np.concatenate([drive.states for drive in driven])
    whitened = (states - space.center) @ space.components.T
    np.testing.assert_allclose(whitened.mean(0), 0, atol=1e-9)
    np.testing.assert_allclose(whitened.std(0), 1, atol=1e-9)


def test_its_origin_is_the_controller_it_was_built_about_also_after_a_checkpoint():
    driven, _ = drives()
    offset = np.arange(A * (D + 1), dtype=float)
    space = predictive_space(driven, 3, offset)
    again = space_from_state_dict(space.state_dict())
    np.testing.assert_array_equal(space.to_parameters(np.zeros(space.size)), offset)
    x = np.random.default_rng(1).normal(size=(4, space.size))
    np.testing.assert_array_equal(again.to_parameters(x), space.to_parameters(x))


def test_there_are_no_more_components_than_things_to_predict():
    driven, _ = drives(count=4, length=8)  # windows of 0-2 and 2-5 steps remain
    space = predictive_space(driven, 16, np.zeros(A * (D + 1)))
    assert len(space.components) == 2 * (A + 1)


def test_episodes_of_one_step_are_an_error():
    driven, _ = drives(count=3, length=1)
    with pytest.raises(ConfigError, match="longer than one step"):
        predictive_space(driven, 2, np.zeros(A * (D + 1)))
