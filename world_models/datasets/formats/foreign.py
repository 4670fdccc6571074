"""Rollouts under other libraries' names: what the names mean, and the lines of Python that rename them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from world_models.datasets.formats.npz import AnyArray, lacks
from world_models.datasets.formats.schema import DTYPES, FORMS, MEND
from world_models.errors import DataError

_NAMES = {
    "observations": ("obs", "observation", "states", "state", "frames", "images", "image", "pixels", "pixel"),
    "actions": ("action", "acts", "act"),
    "rewards": ("reward", "rews", "rew"),
    "terminals": ("terminal", "terminations", "terminated", "dones", "done"),
}


class ForeignKeys(DataError):
    """A file has other libraries' names for the arrays.

    Attributes:
        names: {our key: the file's name of it}, of those that are known.
        lacking: our keys of which there is no name.
        actions: (T, A) float32, as they would be read; None where something else is wrong with the file.
        choices: where they would have to become one-hot rows, of how many; else None.
    """

    def __init__(
        self, message: str, names: Mapping[str, str], lacking: Sequence[str], actions: AnyArray | None = None
    ) -> None:
        super().__init__(message)
        self.names, self.lacking, self.actions = dict(names), tuple(lacking), actions
        self.choices: int | None = None

    def besides(self, more: str) -> ForeignKeys:
        """The same, with something else that is wrong."""
        return ForeignKeys(f"{self}; besides, {more}", self.names, self.lacking, self.actions)


def foreign_keys(path: Path, present: Sequence[str]) -> ForeignKeys | None:
    """What is to be renamed in a file; None where it has the schema's keys.

    Raises:
        DataError: a key is missing, and no other name of it is there.
    """
    missing = [key for key in DTYPES if key not in present]
    if not missing:
        return None
    names = {key: found for key in missing if (found := _found(key, present))}
    lacking = [key for key in missing if key not in names]
    message = lacks(path, missing, present)
    if not names or {"observations", "actions"} & set(lacking):
        raise DataError(f"{message}; {MEND}")
    mends = [f"rename {', '.join(f'{name} to {key}' for key, name in names.items())}"]
    if lacking:
        mends.append(f"add {', '.join(f'{key} {FORMS[key]}' for key in lacking)}")
    return ForeignKeys(f"{message}; {' and '.join(mends)}", names, lacking)


def _found(key: str, present: Sequence[str]) -> str | None:
    lower = {name.lower(): name for name in reversed(present)}
    return next((lower[name] for name in (key, *_NAMES[key]) if name in lower), None)


def conversion(folder: Path, found: Sequence[ForeignKeys], choices: int | None = None) -> str:
    """Lines of Python that write the rollouts of `folder` under our names, into a folder beside it.

    Args:
        folder: the data folder.
        found: what was found in its files.
        choices: actions are numbers of one of so many, and become one-hot rows; None: they stay as they are.
    """
    # Ours comes last: where a file has it, it counts.
    names = {key: list(dict.fromkeys([*(each.names.get(key, key) for each in found), key])) for key in DTYPES}
    here = _quoted(str(folder))
    lines = [
        "from pathlib import Path",
        "",
        "import numpy as np",
        "",
        "from world_models.datasets.rollout_files import find_rollouts",
        "",
        "names = {",
        *(f"    {_quoted(key)}: {_quoted(value)}," for key, value in names.items()),
        "}",
        f"for path in find_rollouts({here}):",
        "    with np.load(path) as data:",
        "        new = {key: data[name] for key in names for name in names[key] if name in data}",
        *_repairs(found, choices),
        f'    target = Path({_quoted(str(converted(folder)))}, path.relative_to({here})).with_suffix(".npz")',
        "    target.parent.mkdir(parents=True, exist_ok=True)",
        "    np.savez_compressed(target, **new)",
    ]
    return "\n".join(lines)


def _quoted(value: str | Sequence[str]) -> str:
    """Text, or a list of it, as a program has it."""
    return json.dumps(value, ensure_ascii=False)


def converted(folder: Path) -> Path:
    """The folder that the lines of `conversion` write."""
    named = folder if folder.name.strip(".") else folder.resolve()
    return named.with_name(f"{named.name}_converted")


def _repairs(found: Sequence[ForeignKeys], choices: int | None) -> list[str]:
    """Lines for what is not only another name."""
    lines = []
    lacking = {key for each in found for key in each.lacking}
    if "rewards" in lacking:
        lines.append('    new.setdefault("rewards", np.zeros(len(new["actions"])))  # none are stored')
    if "terminals" in lacking:
        lines.append('    new.setdefault("terminals", np.zeros(len(new["actions"])))  # put 1 where the task ended')
    if any(each.names.get("terminals", "").lower().startswith("done") for each in found):
        lines.append("    # done is often 1 at a time limit, too; terminals are 1 only where the task itself ended.")
    if choices is not None:
        lines.append('    if new["actions"].size == len(new["actions"]):  # one number a step becomes a one-hot row')
        lines.append(f'        new["actions"] = np.eye({choices})[new["actions"].astype(int).ravel()]')
    return lines
