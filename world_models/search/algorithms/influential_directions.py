"""Directions of search that M foresees to matter: which inputs of C tell what an action leads to.

A regression of what each output brings (`rollout.consequences`) on what C sees, [z, h, c]. Principal components of
that are of what varies most, walls and floors, and may lack what kills, a fireball of a few pixels; this asks for it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from world_models.types import DoubleArray, FloatArray

# A step along such a direction moves the output by so many steps of a component.
_LENGTH = 3.0
_RIDGES = (0.03, 0.1, 0.3, 1.0, 3.0)  # of the number of states: what is tried on held-out ones
_HELD_OUT = 0.2
_LIMIT = 4.0  # standard deviations beyond which a state's gain counts as that many: one death is no four


def foreseen_directions(states: npt.NDArray[np.floating], gains: FloatArray, bias: bool) -> DoubleArray:
    """One direction of C's flat parameters (m, P) for each output and horizon, ridge regression's weights.

    How strong the ridge is, held-out states decide. Where nothing varies there is no direction.

    Args:
        states: What C sees (n, D).
        gains: (n, A, H), see `Consequences`.
        bias: Whether C has one; the output at the mean state then stays as it is.
    """
    actions, horizons = gains.shape[1:]
    center, spread = _scale(states, bias)
    scaled = (states - center) / spread
    wanted = gains.reshape(len(gains), -1).astype(np.float64)
    limit = _LIMIT * wanted.std(0)
    weights = _ridge(scaled, np.clip(wanted, -limit, limit), bias)
    size = actions * (states.shape[1] + int(bias))
    rows = []
    for column in np.flatnonzero(limit > 1e-6):
        own = np.zeros((actions, states.shape[1]))
        own[column // horizons] = _LENGTH * weights[:, column] / ((scaled @ weights[:, column]).std() + 1e-12) / spread
        rows.append(np.concatenate([own.ravel(), -own @ center]) if bias else own.ravel())
    return np.stack(rows) if rows else np.zeros((0, size))


def _scale(states: npt.NDArray[np.floating], bias: bool) -> tuple[DoubleArray, DoubleArray]:
    states = states.astype(np.float64)
    center: DoubleArray = states.mean(0) if bias else np.zeros(states.shape[1])
    spread: DoubleArray = states.std(0) + 1e-6
    return center, spread


def _ridge(inputs: DoubleArray, wanted: DoubleArray, centred: bool) -> DoubleArray:
    """Weights (D, M) for M columns, each with the ridge that does best on the last fifth of the rows.

    That is told by a fit to the other rows; the weights are of all.
    """
    split = len(inputs) - max(1, int(len(inputs) * _HELD_OUT))
    if centred:
        wanted = np.subtract(wanted, wanted[:split].mean(0))
    fitted = _solutions(inputs[:split], wanted[:split])
    errors = [((inputs[split:] @ weights - wanted[split:]) ** 2).mean(0) for weights in fitted]
    best = np.argmin(errors, 0)
    return np.asarray(_solutions(inputs, wanted)[best, :, np.arange(len(best))].T, np.float64)


def _solutions(inputs: DoubleArray, wanted: DoubleArray) -> DoubleArray:
    """Weights (ridges, D, M)."""
    products, sums, one = inputs.T @ inputs, inputs.T @ wanted, np.eye(inputs.shape[1])
    return np.stack([np.linalg.solve(products + ridge * len(inputs) * one, sums) for ridge in _RIDGES])
