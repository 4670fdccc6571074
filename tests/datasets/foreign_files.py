"""Rollouts as other programs write them: rows of (what is changed, what it means)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.doubles import noise_rollout
from world_models.datasets.rollout_files import DTYPES
from world_models.types import Rollout

STEPS, ACTIONS = 12, 2
Arrays = dict[str, np.ndarray[Any, Any]]


def whole_rollout() -> Rollout:
    """A rollout of which every form below can say the same: its actions and rewards are small whole numbers."""
    rollout = noise_rollout(STEPS, ACTIONS, seed=5)
    return Rollout(
        rollout.observations,
        (np.arange(STEPS * ACTIONS).reshape(STEPS, ACTIONS) % 3).astype(np.float32),
        (np.arange(STEPS) % 5).astype(np.float32),
        rollout.terminals,
    )


def arrays(**changes: Callable[[Any], Any] | None) -> Arrays:
    """The rollout's arrays; each change is applied to one of them, or leaves it out."""
    found = {key: getattr(whole_rollout(), key) for key in DTYPES}
    for key, change in changes.items():
        array = found.pop(key)
        if change is not None:
            found[key] = change(array)
    return found


def write(path: Path, **changes: Callable[[Any], Any] | None) -> Path:
    """Writes the changed arrays with numpy alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **arrays(**changes))  # type: ignore[arg-type]
    return path


def every(change: Callable[[Any], Any]) -> dict[str, Callable[[Any], Any]]:
    """The same change for actions, rewards and terminals."""
    return dict.fromkeys(("actions", "rewards", "terminals"), change)


def _alpha(value: int) -> Callable[[Any], Any]:
    return lambda a: np.concatenate([a, np.full_like(a[..., :1], value)], -1)


# form: (changes, words of the remark)
SAME = {
    "bool terminals": ({"terminals": lambda a: a.astype(bool)}, "terminals are stored as bool"),
    "int64": (every(lambda a: a.astype(np.int64)), "rewards are stored as int64"),
    "uint8": (every(lambda a: a.astype(np.uint8)), "actions are stored as uint8"),
    "float16": (every(lambda a: a.astype(np.float16)), "rewards are stored as float16"),
    "float64": (every(lambda a: a.astype(np.float64)), "actions are stored as float64"),
    "longdouble": (every(lambda a: a.astype(np.longdouble)), "rewards are stored as"),
    "big-endian": (every(lambda a: a.astype(">f4")), "rewards are stored as >f4"),
    "Fortran's order": ({"actions": np.asfortranarray, "observations": np.asfortranarray}, ""),
    "columns": ({"rewards": lambda a: a[:, None], "terminals": lambda a: a[:, None]}, "rewards of shape (T, 1)"),
    "one lane": ({**every(lambda a: a[:, None]), "observations": lambda a: a[:, None]}, "axis of length 1"),
    "actions ahead": ({"actions": lambda a: np.concatenate([a, a[:1]])}, "actions beyond the last frame"),
    "many actions ahead": ({"actions": lambda a: np.concatenate([a] * 9)}, "actions beyond the last frame"),
    "a last frame": ({"observations": lambda a: np.concatenate([a, a[:1]])}, "frame after the last step"),
    "channels first": ({"observations": lambda a: np.moveaxis(a, -1, 1)}, "channels come first"),
    "opaque alpha": ({"observations": _alpha(255)}, "alpha channel"),
    "alpha and channels first": ({"observations": lambda a: np.moveaxis(_alpha(255)(a), -1, 1)}, "alpha channel"),
    "int32 frames": ({"observations": lambda a: a.astype(np.int32)}, "int32 frames are read as uint8."),
    "big-endian frames": ({"observations": lambda a: a.astype(">u2")}, ">u2 frames are read as uint8."),
    "whole float frames": ({"observations": lambda a: a.astype(np.float32)}, "float32 frames are read as uint8."),
    "float32 of 0 to 1": ({"observations": lambda a: a / np.float32(255)}, "scaled from [0, 1] to 0 to 255."),
    "float64 of 0 to 1": ({"observations": lambda a: a / 255}, "scaled from [0, 1] to 0 to 255."),
    "float16 of 0 to 1": ({"observations": lambda a: (a / 255).astype(np.float16)}, "scaled from [0, 1] to 0 to 255."),
}

# form: (change of the frames, what they are read as, words of the remark)
OTHER_PICTURES = {
    "bool": (lambda a: a > 99, lambda a: (a > 99) * 255, "bool frames are scaled"),
    "rounded": (lambda a: a.astype(float) * 0.9 + 0.2, lambda a: np.rint(a * 0.9 + 0.2), "rounded to whole numbers"),
    "gray": (lambda a: a[..., 0], lambda a: a[..., :1].repeat(3, -1), "frames without a channel axis"),
    "gray, channel last": (lambda a: a[..., :1], lambda a: a[..., :1].repeat(3, -1), "gray frames"),
    "gray, channel first": (lambda a: a[:, None, :, :, 0], lambda a: a[..., :1].repeat(3, -1), "gray frames"),
}

# fault: (changes, words of the message)
REFUSED = {
    "complex": ({"rewards": lambda a: a.astype(complex)}, "rewards are complex128, not numbers"),
    "text": ({"actions": lambda a: a.astype(str)}, "actions are <U"),
    "dates": ({"terminals": lambda a: a.astype("datetime64[s]")}, "terminals are datetime64[s]"),
    "pickled objects": ({"rewards": lambda a: a.astype(object)}, "'rewards' cannot be read"),
    "pickled frames": ({"observations": lambda a: a.astype(object)}, "'observations' cannot be read"),
    "beyond float32": ({"rewards": lambda a: a.astype(np.float64) + 1e300}, "rewards have the value 1e+300"),
    "NaN": ({"actions": lambda a: a * np.nan}, "actions[0, 0] is nan"),
    "infinite": ({"rewards": lambda a: a + np.inf}, "rewards[0] is inf"),
    "terminals beyond 1": ({"terminals": lambda a: (a * 2).astype(int)}, "terminals[11] is 2"),
    "three-dimensional actions": ({"actions": lambda a: np.stack([a, a], 1)}, "actions have shape (12, 2, 2)"),
    "actions without columns": ({"actions": lambda a: a[:, :0]}, "actions have shape (12, 0)"),
    "0-d rewards": ({"rewards": lambda a: a[0]}, "rewards have shape ()"),
    "fewer actions": ({"actions": lambda a: a[:-1]}, "actions have 11 rows and observations 12"),
    "fewer frames": ({"observations": lambda a: a[:-1]}, "observations 11"),
    "two frames more": ({"observations": lambda a: np.concatenate([a, a[:2]])}, "observations 14"),
    "rewards ahead": ({"rewards": lambda a: np.append(a, a[:1])}, "rewards have 13 rows"),
    "no rows": ({**every(lambda a: a[:0]), "observations": lambda a: a[:0]}, "no rows"),
    "vectors": ({"observations": lambda a: a.reshape(STEPS, -1)}, "vectors, not pictures"),
    "numbers": ({"observations": lambda a: a[:, 0, 0, 0]}, "observations have shape (12,)"),
    "two channels": ({"observations": lambda a: a[..., :2]}, "(12, 64, 64, 2)"),
    "tiny pictures": ({"observations": lambda a: a[:, :4, :4]}, "(12, 4, 4, 3)"),
    "stacked frames": ({"observations": _alpha(7)}, "4 stacked frames"),
    "several lanes": ({"observations": lambda a: np.stack([a, a], 1)}, "(12, 2, 64, 64, 3)"),
    "negative pixels": ({"observations": lambda a: a.astype(np.int16) - 1}, "the pixel value -1"),
    "normalised pixels": ({"observations": lambda a: a / 127.5 - 1}, "the pixel value -"),
    "pixels beyond 255": ({"observations": lambda a: a.astype(np.uint16) * 257}, "observations (uint16)"),
    "NaN pixels": ({"observations": lambda a: a * np.float32("nan")}, "the pixel value nan"),
    "no rewards": ({"rewards": None}, "lacks the key 'rewards'"),
    "no keys": (dict.fromkeys(DTYPES), "lacks the keys"),
}
