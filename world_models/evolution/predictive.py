"""A small search space for a controller that already drives: what of [z, h] tells what the driver will do.

Most of the variance of [z, h] has nothing to do with driving, and evolution pays for every coordinate. The
driver's own next actions and rewards say what has: a reduced-rank regression (Izenman 1975) of them on
[z, h] gives the few directions that predict them best: where the road is, how it bends, how fast we are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from world_models.errors import ConfigError
from world_models.evolution.parameters import WhitenedSpace
from world_models.types import DoubleArray

WINDOWS = ((0, 2), (2, 5), (5, 10), (10, 15), (15, 25), (25, 40))
"""Steps ahead [from, to) over which actions and rewards are averaged: in CarRacing 0.8 seconds. Where half of
the episodes are shorter than a window ends, it is left out."""

_RIDGE = 200.0  # in standardised states: what a few hundred steps of driving weigh
_BLOCK = 1000  # neighbouring steps are alike: every fourth run of so many checks the regression
_MIN_STD = 1e-3


@dataclass(frozen=True)
class Drive:
    """One episode: states [z, h] (T, D), actions (T, A) and rewards (T,)."""

    states: DoubleArray
    actions: DoubleArray
    rewards: DoubleArray


def predictive_space(drives: Sequence[Drive], components: int, offset: DoubleArray, bias: bool = True) -> WhitenedSpace:
    """The space about the controller `offset` (P,) of the `components` directions that predict the driving best.

    There are at most as many as there is to predict: a number a window for the reward and each action.

    Raises:
        ConfigError: no episode is longer than one step.
    """
    states = np.concatenate([drive.states for drive in drives]).astype(np.float64)
    center, scale = states.mean(0), states.std(0) + _MIN_STD
    actions = drives[0].actions.shape[1]
    inputs, outputs = _pairs(drives, center, scale)
    components = min(components, outputs.shape[1], states.shape[1])
    directions = _reduced_rank(inputs, outputs, components) / scale[:, None]
    if not bias:
        center = np.zeros_like(center)  # a controller without a bias cannot take anything away
    spread = np.sqrt((((states - center) @ directions) ** 2).mean(0))
    return WhitenedSpace(center, (directions / np.maximum(spread, 1e-12)).T.copy(), actions, offset, bias)


def _pairs(drives: Sequence[Drive], center: DoubleArray, scale: DoubleArray) -> tuple[DoubleArray, DoubleArray]:
    """Standardised states (n, D) and, of the windows that follow them, actions and rewards (n, W (A + 1))."""
    usual = np.median([len(drive.rewards) for drive in drives])
    windows = [window for window in WINDOWS if window[1] < usual] or [(0, 1)]
    ahead = windows[-1][1]
    inputs, outputs = [], []
    for drive in drives:
        count = len(drive.rewards) - ahead
        if count <= 0:
            continue
        both = np.concatenate([drive.actions, drive.rewards[:, None]], 1).astype(np.float64)
        total = np.concatenate([np.zeros((1, both.shape[1])), both.cumsum(0)])
        means = [(total[b : b + count] - total[a : a + count]) / (b - a) for a, b in windows]
        inputs.append((drive.states[:count] - center) / scale)
        outputs.append(np.concatenate(means, 1))
    if not inputs:
        raise ConfigError("No episode of the driving is longer than one step: nothing follows that could be predicted.")
    return np.concatenate(inputs), np.concatenate(outputs)


def _reduced_rank(inputs: DoubleArray, outputs: DoubleArray, components: int) -> DoubleArray:
    """(D, k): directions whose projections predict most of the outputs, each weighed by what it can be."""
    outputs = (outputs - outputs.mean(0)) / (outputs.std(0) + 1e-6)
    held_out = np.arange(len(inputs)) // _BLOCK % 4 == 0
    if held_out.all():
        held_out[len(inputs) // 2 :] = False
    known, told = inputs[~held_out], outputs[~held_out]
    weights = np.linalg.solve(known.T @ known + _RIDGE * np.eye(known.shape[1]), known.T @ told)
    missed = ((outputs - inputs @ weights)[held_out] ** 2).mean(0)
    explained = np.clip(1 - missed / np.maximum(outputs[held_out].var(0), 1e-6), 0.01, 1)
    weights = weights * np.sqrt(explained)
    variances, mixes = np.linalg.eigh(np.cov((inputs @ weights).T))
    mixes = mixes[:, np.argsort(variances)[::-1][:components]]
    mixes = mixes * np.sign(mixes[np.abs(mixes).argmax(0), range(components)])  # eigh's signs are arbitrary
    directions: DoubleArray = weights @ mixes
    return directions
