"""What an environment raises, as one sentence: the exception, and the line of the user's code that raised it."""

from __future__ import annotations

import importlib
import os
import sysconfig
import traceback
from pathlib import Path

import gymnasium

_FILES = (str(gymnasium.__file__), Path(__file__).parents[1], str(importlib.__file__))
_PACKAGES = tuple(str(Path(place).parent) for place in _FILES)
_LIBRARIES = tuple(dict.fromkeys(sysconfig.get_paths()[name] for name in ("stdlib", "purelib", "platlib")))
_LONGEST = 300


def raised(error: BaseException) -> str:
    """ "ValueError: no such level (raised in my_env.py:12)"; without the place where it is ours or Gymnasium's."""
    error = _own(error)
    words = " ".join(str(error).split())
    short = words if len(words) <= _LONGEST else f"{words[:_LONGEST]}..."
    where = _place(error)
    said = f"{type(error).__name__}: {short.rstrip('.')}" if short else type(error).__name__
    return f"{said} (raised in {where})" if where else said


def _own(error: BaseException) -> BaseException:
    """The constructor's own TypeError, where Gymnasium has wrapped it in another one."""
    cause = error.__cause__
    wrapped = isinstance(error, TypeError) and "was raised from the environment creator" in str(error)
    return cause if wrapped and cause is not None else error


def _place(error: BaseException) -> str:
    """ "file:line" of the last line in the user's own code, or else in whatever package; "" where there is none."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{_short(error.filename)}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    others = [frame for frame in frames if not frame.filename.startswith((*_PACKAGES, "<frozen"))]
    own = [frame for frame in others if not frame.filename.startswith(_LIBRARIES)]
    return next((f"{_short(frame.filename)}:{frame.lineno}" for frame in reversed(own or others)), "")


def _short(filename: str) -> str:
    """The path, relative to the current folder where it lies below that."""
    near = os.path.relpath(filename) if os.path.isabs(filename) else filename
    return filename if near.startswith("..") else near
