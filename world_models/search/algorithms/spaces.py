"""Where evolution searches: C's own parameters, or the whitened principal components of [z, h].

In the whitened space every coordinate moves the action by about as much as any other, which isotropic
first steps need: the raw components of [z, h] differ in scale by orders of magnitude and are correlated.
A candidate is folded back into the plain linear layer, so nothing else knows of the space.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from world_models.errors import ConfigError
from world_models.types import DoubleArray

# Steps of a gain and of a bias, in those of a component's weight: fast drivers and safe ones are that far apart.
_GAIN, _BIAS = 3.0, 5.0
# A space of all entries is made for the gradient; neighbours in it are about as far apart as in so many components.
_LIKE_COMPONENTS = 24
_LEAST_SPREAD = 1e-3  # an entry that never varies says nothing, whatever it is divided by


@dataclass(frozen=True)
class WhitenedSpace:
    """Linear controllers over k whitened components: x is (A, k) weights then (A,) biases, flat.

    center: (D,) mean of [z, h]; components: (k, D) rows that map a deviation from it to unit-variance
    coordinates; action_size: A; offset: (P,) the controller that x = 0 stands for, by default all zeros.
    Where C has no bias (`bias=False`) x is the weights alone, and nothing could make up for a center: it is 0, and
    the coordinates have a mean square of one, not a variance. further: (m, P) more directions, of the last m numbers
    of x (`with_gains`).
    """

    center: DoubleArray
    components: DoubleArray
    action_size: int
    offset: DoubleArray | None = None
    bias: bool = True
    further: DoubleArray | None = None

    @classmethod
    def fit(
        cls,
        states: npt.NDArray[np.floating[Any]],
        components: int,
        action_size: int,
        bias: bool = True,
        *,
        standardized: bool = False,
        offset: DoubleArray | None = None,
    ) -> WhitenedSpace:
        """The first `components` principal components of states [z, h] (n, D), scaled to unit variance.

        Args:
            states: What C sees.
            components: k.
            action_size: A.
            bias: Whether C has one; without it the components are those of the second moments about 0, of which the
                mean is a part.
            standardized: Of the states with each entry divided by its spread: what M's small numbers say (how fast
                the car is, how it turns) counts as much then as where the road lies in z.
            offset: See the class.

        Raises:
            ConfigError: there are not so many components.
        """
        states = np.asarray(states, dtype=np.float64)
        if components > min(states.shape):
            raise ConfigError(
                f"components={components} of [z, h] were asked for, but {states.shape[0]} states of "
                f"{states.shape[1]} numbers have only {min(states.shape)}: lower it or collect more data."
            )
        center = states.mean(0) if bias else np.zeros(states.shape[1])
        away = states - center
        spread = np.sqrt((away**2).mean(0)) + _LEAST_SPREAD if standardized else np.ones(states.shape[1])
        away = away / spread
        values, vectors = np.linalg.eigh(away.T @ away / (len(states) - int(bias)))
        order = np.argsort(values)[::-1][:components]
        scale = np.sqrt(np.maximum(values[order], 1e-8))
        basis = vectors[:, order]
        basis = basis * np.sign(basis[np.abs(basis).argmax(0), range(components)])  # eigh's signs are arbitrary
        return cls(center, (basis / scale).T / spread, action_size, offset, bias)

    @classmethod
    def of_entries(
        cls, states: npt.NDArray[np.floating[Any]], action_size: int, bias: bool, offset: DoubleArray
    ) -> WhitenedSpace:
        """The space of all numbers of C about `offset` (P,), each entry of states (n, D) by its spread.

        Nothing is left out of it, so that each controller has a point (`to_point`).
        """
        states = np.asarray(states, dtype=np.float64)
        center = states.mean(0) if bias else np.zeros(states.shape[1])
        spread = np.sqrt(((states - center) ** 2).mean(0)) + _LEAST_SPREAD
        size = np.sqrt(_LIKE_COMPONENTS / states.shape[1])
        return cls(center, np.diag(size / spread), action_size, offset, bias)

    @property
    def spread_of_entries(self) -> DoubleArray:
        """Of a space `of_entries`: (D,), what they were divided by."""
        return np.asarray(np.sqrt(_LIKE_COMPONENTS / len(self.center)) / np.diag(self.components))

    def to_point(self, parameters: DoubleArray) -> DoubleArray:
        """The point of a controller (P,) in a space `of_entries`: the inverse of `to_parameters`."""
        assert self.offset is not None and len(self.components) == len(self.center) and self.further is None
        cut = self.action_size * len(self.center)
        away = parameters - self.offset
        weight = away[:cut].reshape(self.action_size, -1)
        bias = away[cut:] + weight @ self.center if self.bias else away[cut:]
        return self._flat(weight / np.diag(self.components), bias)

    def with_gains(self) -> WhitenedSpace:
        """The space with one more number for each action's gain and one for its bias, which move in larger steps.

        A step in each of many components hardly changes how strongly a controller steers or brakes on the whole, and
        that is what decides between fast and safe. A gain leaves the action at the mean state what it is.
        """
        assert self.offset is not None
        weight = self.offset[: self.action_size * len(self.center)].reshape(self.action_size, -1)
        rows = []
        for action in range(self.action_size):
            own = np.zeros_like(weight)
            own[action] = weight[action]
            rows.append(_GAIN * self._flat(own, -own @ self.center))
            if self.bias:
                rows.append(_BIAS * self._flat(np.zeros_like(weight), np.eye(self.action_size)[action]))
        return replace(self, further=np.stack(rows))

    def with_directions(self, rows: DoubleArray) -> WhitenedSpace:
        """The space with a number more for each of `rows` (m, P), after those that it has."""
        return replace(self, further=rows if self.further is None else np.concatenate([self.further, rows]))

    def _flat(self, weight: DoubleArray, bias: DoubleArray) -> DoubleArray:
        return np.concatenate([weight.ravel(), bias]) if self.bias else weight.ravel()

    @property
    def _weights(self) -> int:
        return self.action_size * len(self.components)

    @property
    def size(self) -> int:
        """Numbers to find: A (k + 1), or A k without a bias, and one for each further direction."""
        more = 0 if self.further is None else len(self.further)
        return self._weights + (self.action_size if self.bias else 0) + more

    def to_parameters(self, x: DoubleArray) -> DoubleArray:
        """Flat parameters of the linear layer (..., P) for search points (..., size)."""
        inner = x[..., : self._weights].reshape(*x.shape[:-1], self.action_size, -1)
        weight = inner @ self.components
        parameters: DoubleArray = weight.reshape(*x.shape[:-1], -1)
        if self.bias:
            bias = x[..., self._weights : self._weights + self.action_size] - weight @ self.center
            parameters = np.concatenate([parameters, bias], axis=-1)
        if self.further is not None:
            parameters = parameters + x[..., -len(self.further) :] @ self.further
        return parameters if self.offset is None else parameters + self.offset

    def state_dict(self) -> dict[str, Any]:
        """Plain arrays."""
        arrays = {"offset": self.offset, "further": self.further}
        more = {"bias": self.bias} | {name: value for name, value in arrays.items() if value is not None}
        return {"center": self.center, "components": self.components, "action_size": self.action_size, **more}

    @classmethod
    def from_state_dict(cls, state: dict[str, Any]) -> WhitenedSpace:
        """The inverse of `state_dict`."""
        offset, further = (np.asarray(state[name]) if name in state else None for name in ("offset", "further"))
        arrays = np.asarray(state["center"]), np.asarray(state["components"])
        return cls(*arrays, int(state["action_size"]), offset, bool(state.get("bias", True)), further)


@dataclass(frozen=True)
class PlainSpace:
    """C's own flat parameters, of any architecture."""

    size: int

    def to_parameters(self, x: DoubleArray) -> DoubleArray:
        """The point itself."""
        return x

    def state_dict(self) -> dict[str, Any]:
        """The size alone."""
        return {"size": self.size}


Space = WhitenedSpace | PlainSpace


def space_from_state_dict(state: dict[str, Any]) -> Space:
    """The space that a checkpoint was searched in."""
    return WhitenedSpace.from_state_dict(state) if "components" in state else PlainSpace(int(state["size"]))
