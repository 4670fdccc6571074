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
    rows = []
    for action in range(actions):
        for horizon in range(horizons):
            gain = gains[:, action, horizon].astype(np.float64)
            if gain.std() < 1e-6:
                continue
            weight = _ridge(scaled, np.clip(gain, *_LIMIT * gain.std() * np.array([-1.0, 1.0])), bias)
            own = np.zeros((actions, states.shape[1]))
            own[action] = _LENGTH * weight / ((scaled @ weight).std() + 1e-12) / spread
            rows.append(np.concatenate([own.ravel(), -own @ center]) if bias else own.ravel())
    size = actions * (states.shape[1] + int(bias))
    return np.stack(rows) if rows else np.zeros((0, size))


def _scale(states: npt.NDArray[np.floating], bias: bool) -> tuple[DoubleArray, DoubleArray]:
    states = states.astype(np.float64)
    center: DoubleArray = states.mean(0) if bias else np.zeros(states.shape[1])
    spread: DoubleArray = states.std(0) + 1e-6
    return center, spread


def _ridge(inputs: DoubleArray, wanted: DoubleArray, centred: bool) -> DoubleArray:
    """Weights (D,) on all rows, with the ridge that does best on the last fifth when fitted to the rest."""
    split = len(inputs) - max(1, int(len(inputs) * _HELD_OUT))
    if centred:
        wanted = np.subtract(wanted, wanted[:split].mean())
    products, sums = inputs[:split].T @ inputs[:split], inputs[:split].T @ wanted[:split]
    one = np.eye(inputs.shape[1])
    errors = [
        ((inputs[split:] @ np.linalg.solve(products + ridge * split * one, sums) - wanted[split:]) ** 2).mean()
        for ridge in _RIDGES
    ]
    ridge = _RIDGES[int(np.argmin(errors))] * len(inputs)
    weight = np.linalg.solve(inputs.T @ inputs + ridge * one, inputs.T @ wanted)
    return np.asarray(weight, np.float64)
