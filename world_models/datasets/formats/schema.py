"""The schema of a rollout (specification, Stage 1, "Data pipeline"), and the sentences about what breaks it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from world_models.datasets.formats.npz import AnyArray
from world_models.errors import DataError
from world_models.types import FRAME_SHAPE, Rollout

DTYPES = {"observations": np.uint8, "actions": np.float32, "rewards": np.float32, "terminals": np.float32}
"""The keys of a rollout file and their dtypes."""

FORMS = {"observations": "(T, 64, 64, 3)", "actions": "(T, A)", "rewards": "(T,)", "terminals": "(T,)"}
"""Their shapes."""

MEND = "collect it again, or move the file out of the data folder"
TERMINALS_MEND = "write 1 where the task ended and 0 elsewhere"


class Wrong(NamedTuple):
    """One thing that is wrong with a rollout, and what to do about it."""

    what: str
    mend: str = MEND


def refuse(where: str, wrong: Sequence[Wrong]) -> None:
    """Raises DataError, beginning with `where`, with everything that is wrong; nothing where nothing is."""
    if wrong:
        told = " and ".join(each.what for each in wrong)
        mends = ", ".join(dict.fromkeys(each.mend for each in wrong))
        raise DataError(f"{where}: {told}; {mends}")


def check_rollout(rollout: Rollout, where: str) -> None:
    """Raises DataError, beginning with `where`, unless `rollout` meets the schema to the letter."""
    refuse(where, _wrong_dtypes(rollout) or wrong_shapes(rollout) or wrong_values(rollout))


def _wrong_dtypes(rollout: Rollout) -> list[Wrong]:
    wrong = []
    for key, dtype in DTYPES.items():
        found, wanted = getattr(rollout, key).dtype, np.dtype(dtype)
        if found != wanted:
            wrong.append(Wrong(f"{key} has dtype {found}, not {wanted}", f"store it with .astype(np.{wanted})"))
    return wrong


def wrong_shapes(rollout: Rollout) -> list[Wrong]:
    """What is wrong with the shapes: of each array, or else of them together."""
    wrong = []
    if rollout.observations.shape[1:] != FRAME_SHAPE:
        wrong.append(
            Wrong(
                f"observations have shape {rollout.observations.shape}, not {FORMS['observations']}",
                "resize the frames to 64x64 RGB before storing them (GymImageEnv does)",
            )
        )
    for key, ndim in (("actions", 2), ("rewards", 1), ("terminals", 1)):
        shape = getattr(rollout, key).shape
        if len(shape) != ndim or 0 in shape[1:]:
            wrong.append(Wrong(f"{key} have shape {shape}, not {FORMS[key]}"))
    return wrong or _wrong_rows(rollout)


def _wrong_rows(rollout: Rollout) -> list[Wrong]:
    steps = len(rollout.observations)
    if steps == 0:
        return [Wrong("the rollout has no rows (T = 0)")]
    rows = {key: len(getattr(rollout, key)) for key in ("actions", "rewards", "terminals")}
    odd = [f"{key} have {count} rows" for key, count in rows.items() if count != steps]
    if not odd:
        return []
    return [Wrong(f"{', '.join(odd)} and observations {steps}, one of each a step are needed")]


def wrong_values(rollout: Rollout) -> list[Wrong]:
    """What is wrong with the numbers: not finite, or terminals outside 0 to 1. The frames are not looked at."""
    wrong = [*filter(None, (_not_finite(getattr(rollout, key), key) for key in ("actions", "rewards", "terminals")))]
    outside = (rollout.terminals < 0) | (rollout.terminals > 1)
    if outside.any():
        row = int(np.argmax(outside))
        wrong.append(Wrong(f"terminals[{row}] is {rollout.terminals[row]}, outside 0 to 1", TERMINALS_MEND))
    return wrong


def first(array: AnyArray, where: AnyArray, key: str) -> str:
    """The first of the places `where` of an array and what stands there, e.g. "rewards[3] is nan"."""
    index = tuple(int(i) for i in np.unravel_index(int(np.argmax(where)), where.shape))
    return f"{key}[{', '.join(map(str, index))}] is {array[index]}"


def _not_finite(array: AnyArray, key: str) -> Wrong | None:
    bad = ~np.isfinite(array)
    return Wrong(first(array, bad, key)) if bad.any() else None
