"""Directions of search from what actions lead to: an independent oracle knows which inputs matter."""

from __future__ import annotations

import numpy as np
import pytest

from world_models.search.algorithms.influential_directions import foreseen_directions

N, D = 1500, 12


def problem(bias: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """States with entries of very different size, and gains (N, 2, 2) that two known directions tell, with noise."""
    rng = np.random.default_rng(7)
    scale = 10.0 ** rng.uniform(-2, 2, D)
    states = rng.standard_normal((N, D)) * scale + (5 * scale if bias else 0)
    weights = rng.standard_normal((2, D)) / scale
    told = (states - states.mean(0)) @ weights.T
    noise = told.std(0) * rng.standard_normal((N, 2))
    gains = np.stack([told + noise, 0.5 * told + noise], -1)
    return states.astype(np.float32), gains.astype(np.float32), told


@pytest.mark.parametrize("bias", [True, False])
def test_each_direction_moves_its_output_by_what_the_state_tells_of_the_gain(bias: bool):
    states, gains, told = problem(bias)
    rows = foreseen_directions(states, gains, bias)
    width = D + bias
    assert rows.shape == (4, 2 * width)
    for k, row in enumerate(rows):
        weight, offset = row[: 2 * D].reshape(2, D), row[2 * D :] if bias else np.zeros(2)
        outputs = states.astype(np.float64) @ weight.T + offset
        action = k // 2
        assert np.abs(outputs[:, 1 - action]).max() == 0
        assert outputs[:, action].std() == pytest.approx(3, rel=1e-3) and abs(outputs[:, action].mean()) < 0.3
        assert np.corrcoef(outputs[:, action], told[:, action])[0, 1] > 0.9


def test_one_outcome_beyond_all_others_does_not_decide():
    states, gains, told = problem(True)
    gains[3] = 60 * gains.std()
    outputs = states.astype(np.float64) @ foreseen_directions(states, gains, True)[0, :D]
    assert np.corrcoef(outputs, told[:, 0])[0, 1] > 0.5


def test_where_nothing_depends_on_an_action_there_is_no_direction():
    states, gains, _ = problem(True)
    gains[:, 1] = 2.0
    assert foreseen_directions(states, gains, True).shape == (2, 2 * (D + 1))
    assert foreseen_directions(states, np.zeros_like(gains), True).shape == (0, 2 * (D + 1))
