"""Checks all files of a data folder before any is used, and reports everything that is wrong in one message."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from world_models.datasets.formats.foreign import ForeignKeys, conversion, converted
from world_models.datasets.rollout_files import inspect_file
from world_models.errors import DataError
from world_models.types import FloatArray

_MOST_KINDS = 12  # of differences in one message
_NUMBER = re.compile(r"-?\d[\d.,]*(e[+-]?\d+)?|\bnan\b|-?\binf\b")

Refusals = list[tuple[Path, DataError]]
"""Files that cannot be used, and why."""


@dataclass(frozen=True)
class Found:
    """The result of checking one file.

    Attributes:
        length: T, its steps.
        columns: A, of its actions.
        frame_size: height and width of its frames as they are stored.
        env_id: the environment that it names; "" where it names none.
        largest_number: where its actions are single whole numbers from 0 on, the largest of them; else None.
    """

    length: int
    columns: int
    frame_size: tuple[int, int]
    env_id: str
    largest_number: float | None


class OtherActions(DataError):
    """A rollout has another number of action columns than is wanted.

    Attributes:
        choices: how many actions its numbers may choose from; None where they cannot be choices.
    """

    def __init__(self, message: str, choices: int | None = None) -> None:
        super().__init__(message)
        self.choices = choices


def check_files(
    folder: str | Path, files: Sequence[Path], action_size: int | None = None, whose: str = ""
) -> list[Found]:
    """Inspects rollout files, and refuses them all where some cannot be used.

    Frames are read only where their header does not say all; a thousand files take seconds.

    Args:
        folder: the data folder, for messages.
        files: rollout files.
        action_size: columns that the actions must have; None: all as many as the first file's.
        whose: the environment, or the file, that has these columns, for messages.

    Returns:
        What was found in each file.

    Raises:
        DataError: files are missing, broken or foreign, or have other numbers of actions. Equal differences are
            counted together; where lines of Python mend them, they stand in the message.
    """
    found: list[Found] = []
    refused: Refusals = []
    for path in files:
        try:
            seen = _look(path)
            if action_size is None:
                action_size, whose = seen.columns, path.name
            if seen.columns != action_size:
                raise _other_actions(path, seen, action_size, whose)
            found.append(seen)
        except ForeignKeys as error:
            refused.append((path, _also_other_actions(path, error, action_size, whose)))
        except DataError as error:
            refused.append((path, error))
    if refused:
        raise DataError(_message(Path(folder), refused, len(files))) from refused[0][1]
    return found


def _look(path: Path) -> Found:
    """Checks a file once: each stage asks again, and some files have to be read whole."""
    size, mtime_ns = (path.stat().st_size, path.stat().st_mtime_ns) if path.is_file() else (0, 0)
    return _looked_at(path, size, mtime_ns)


@lru_cache(100_000)
def _looked_at(path: Path, size: int, mtime_ns: int) -> Found:
    seen = inspect_file(path)
    actions = seen.rollout.actions
    return _seen(actions, seen.frame_size, seen.env_id)


def _seen(actions: FloatArray, frame_size: tuple[int, int] = (0, 0), env_id: str = "") -> Found:
    numbers = actions.shape[1] == 1 and bool(((actions >= 0) & (actions % 1 == 0)).all())
    return Found(len(actions), actions.shape[1], frame_size, env_id, float(actions.max()) if numbers else None)


def _other_actions(path: Path, seen: Found, wanted: int, whose: str) -> OtherActions:
    columns = f"{path}: actions have {seen.columns} column{'s' * (seen.columns != 1)} and"
    if whose.lower().endswith(".npz"):
        return OtherActions(
            f"{columns} those of {whose} {wanted}; keep rollouts of different environments in different folders"
        )
    numbers = seen.largest_number is not None and seen.largest_number < wanted
    if numbers:
        mend = f"if they number one of {wanted} actions store them as one-hot rows, else name another --data_dir"
    else:
        mend = "it is a rollout of another environment, so name another --data_dir, or its --env"
    return OtherActions(f"{columns} {whose} has {wanted} actions; {mend}", wanted if numbers else None)


def _also_other_actions(path: Path, error: ForeignKeys, wanted: int | None, whose: str) -> ForeignKeys:
    """An error that also says where the actions would not fit under their right name."""
    actions = error.actions
    if actions is None or wanted is None or actions.shape[1] == wanted:
        return error
    other = _other_actions(path, _seen(actions), wanted, whose)
    also = error.besides(str(other).removeprefix(f"{path}: "))
    also.choices = other.choices
    return also


def _message(folder: Path, refused: Refusals, total: int) -> str:
    """One sentence for a single kind of difference, and a line for each of several."""
    kinds = Counter(_kind(*each) for each in refused)
    firsts = {_kind(path, error): str(error) for path, error in reversed(refused)}
    head = f"{folder}: {len(refused):,} of {total:,} rollout files cannot be used"
    if len(refused) == 1:
        told = str(refused[0][1])
    elif len(kinds) == 1:
        told = f"{head}, the first: {refused[0][1]}"
    else:
        lines = [f"{head}:"]
        for kind, count in kinds.most_common(_MOST_KINDS):
            lines.append(f"- {count:,} files, the first: {firsts[kind]}" if count > 1 else f"- {firsts[kind]}")
        left = len(refused) - sum(count for _, count in kinds.most_common(_MOST_KINDS))
        if left:
            lines.append(f"- and {left:,} more, of other kinds")
        told = "\n".join(lines)
    return told + _lines_that_convert(folder, refused)


def _kind(path: Path, error: DataError) -> str:
    """What is wrong, but for the numbers in it: equal for files with the same mistake."""
    return _NUMBER.sub("#", str(error).removeprefix(str(path)))


def _lines_that_convert(folder: Path, refused: Refusals) -> str:
    foreign = [error for _, error in refused if isinstance(error, ForeignKeys)]
    choices = [error.choices for _, error in refused if isinstance(error, ForeignKeys | OtherActions) and error.choices]
    mended = sum(isinstance(error, ForeignKeys) or getattr(error, "choices", None) is not None for _, error in refused)
    if not mended:
        return ""
    begin = "Move the other files away; then these lines" if mended < len(refused) else "These lines"
    return (
        f"\n\n{begin} of Python write them anew, in a form that is read, into {converted(folder)}; name it as "
        f"data_dir:\n\n{conversion(folder, foreign, choices[0] if choices else None)}"
    )
