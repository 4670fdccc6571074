"""Converts a stored rollout to the schema's form where that loses nothing, and remarks on each conversion."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from world_models.datasets.formats import stored_frames
from world_models.datasets.formats.npz import AnyArray
from world_models.datasets.formats.schema import FORMS, Wrong, refuse, wrong_shapes, wrong_values
from world_models.types import Rollout

_DIMENSIONS = {"actions": 2, "rewards": 1, "terminals": 1}
_LARGEST = float(np.finfo(np.float32).max)


def canonical_rollout(
    arrays: Mapping[str, AnyArray], where: str, outlined: bool = False
) -> tuple[Rollout, list[str], tuple[int, int]]:
    """The arrays of a file as a rollout of the schema.

    Read as if they were stored to the letter: numbers of any format; axes of length 1; actions (T,); actions beyond
    the last frame, which were drawn in advance; one frame more than there are steps, the one after the last of them;
    frames of other layouts, formats and sizes (stored_frames.py).

    Args:
        arrays: what stands under the schema's four keys.
        where: what a message begins with.
        outlined: `observations` is an outline: zeros of the stored shape, of a dtype and shape that say all.

    Returns:
        The rollout, its remarks (equal words for equal kinds), and height and width of its frames as stored.

    Raises:
        DataError: the arrays have no plain meaning; everything that is wrong stands in the message.
    """
    wrong: list[Wrong] = []
    remarks: list[str] = []
    size = (0, 0)
    pictures = stored_frames.as_pictures(arrays["observations"])
    frames = arrays["observations"]
    if isinstance(pictures, Wrong):
        wrong.append(pictures)
    else:
        size = pictures.size
        frames = _frames(pictures, outlined, wrong, remarks)
    numbers = {key: _numbers(arrays[key], key, wrong, remarks) for key in _DIMENSIONS}
    refuse(where, wrong)
    rollout = _paired(Rollout(frames, **numbers), remarks)
    refuse(where, wrong_shapes(rollout) or wrong_values(rollout))
    return rollout, remarks, size


def _frames(pictures: stored_frames.Pictures, outlined: bool, wrong: list[Wrong], remarks: list[str]) -> AnyArray:
    if outlined:
        remarks += stored_frames.remarks_on(pictures)
        return stored_frames.outline(pictures)
    made = stored_frames.stored(pictures)
    if isinstance(made, Wrong):
        wrong.append(made)
        return pictures.frames
    remarks += made[1]
    return made[0]


def _numbers(array: AnyArray, key: str, wrong: list[Wrong], remarks: list[str]) -> AnyArray:
    """Actions, rewards or terminals as float32 of the schema's dimensions."""
    if array.dtype.kind not in "biuf":
        wrong.append(Wrong(f"{key} are {array.dtype}, not numbers"))
        return array
    shaped = _shaped(array, _DIMENSIONS[key])
    if shaped.ndim != _DIMENSIONS[key]:
        wrong.append(Wrong(f"{key} have shape {array.shape}, not {FORMS[key]}"))
        return array
    if shaped.shape != array.shape:
        form = ", ".join(["T", *map(str, array.shape[1:])]) + ("," if array.ndim == 1 else "")
        remarks.append(f"{key} of shape ({form}) are read as {FORMS[key]}")
    if array.dtype == np.float32:
        return shaped
    remarks.append(f"{key} are stored as {array.dtype} and read as float32")
    beyond = np.isfinite(shaped) & (np.abs(shaped.astype(np.float64)) > _LARGEST)
    if beyond.any():
        value = shaped[np.unravel_index(int(np.argmax(beyond)), beyond.shape)]
        wrong.append(Wrong(f"{key} have the value {value}, beyond what float32 can hold"))
        return array
    return shaped.astype(np.float32)


def _shaped(array: AnyArray, dimensions: int) -> AnyArray:
    """The array without axes of length 1 that it has too many, or with one that it lacks."""
    while array.ndim > dimensions and 1 in array.shape[1:]:
        axis = 1 if array.shape[1] == 1 else 1 + array.shape[1:].index(1)
        array = array.squeeze(axis)
    return array[:, None] if array.ndim == dimensions - 1 == 1 else array


def _paired(rollout: Rollout, remarks: list[str]) -> Rollout:
    """One frame and one action a step, where there are more in a way that is plain.

    Action t is what was done at frame t, so what is too much stands at the end.
    """
    steps, frames, actions = len(rollout.rewards), rollout.observations, rollout.actions
    if len(rollout.terminals) != steps or steps == 0:
        return rollout
    if len(frames) == steps + 1 and len(actions) == steps:
        remarks.append("the frame after the last step is left out")
        frames = frames[:-1]
    if len(frames) == steps < len(actions):
        remarks.append("actions beyond the last frame are left out: action t is what was done at frame t")
        actions = actions[:steps]
    return Rollout(frames, actions, rollout.rewards, rollout.terminals)
