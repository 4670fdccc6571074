"""Gymnasium's API, held to: what `reset` and `step` give is looked at before it is taken apart."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import gymnasium

from world_models.envs.contract.pictures import name_of
from world_models.errors import ObservationError

_RETURNS = {
    "reset": "reset(seed=None, options=None) returns (observation, info)",
    "step": "step returns (observation, reward, terminated, truncated, info); an old environment's `done` does not say "
    "whether the task ended or a time limit cut it",
}
# Gymnasium's wrappers take results apart before we see them, and its checker asserts: what these files raise of one of
# these kinds is about the environment's results.
_ROOT = Path(gymnasium.__file__).parent
_JUDGES = {str(_ROOT / name) for name in ("utils/passive_env_checker.py", "wrappers/common.py", "core.py")} | {__file__}
_JUDGED = (AssertionError, ValueError, TypeError, gymnasium.error.Error)


def checked_reset(
    env: gymnasium.Env[Any, Any], seed: int | None = None, options: dict[str, Any] | None = None
) -> tuple[Any, dict[str, Any]]:
    """`env.reset`, with its result checked.

    Raises:
        ObservationError: it takes no seed or options, or gives anything but an observation and a dictionary.
    """
    try:
        result: Any = env.reset(seed=seed, options=options)
    except _JUDGED as error:
        what = _breach_in(error)
        if what is None:
            raise
        raise _breach(env, "reset", what) from error
    if not isinstance(result, tuple) or len(result) != 2 or not isinstance(result[1], dict):
        raise _breach(env, "reset", _told(result))
    return result


def checked_step(env: gymnasium.Env[Any, Any], action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
    """`env.step`, with its result checked.

    Raises:
        ObservationError: it gives anything but five values.
    """
    try:
        result: Any = env.step(action)
    except _JUDGED as error:
        what = _breach_in(error)
        if what is None:
            raise
        raise _breach(env, "step", what) from error
    if not isinstance(result, tuple) or len(result) != 5:
        raise _breach(env, "step", _told(result))
    return result


def _told(result: Any) -> str:
    if not isinstance(result, tuple):
        return f"{type(result).__name__} came, no tuple"
    return f"a tuple of {len(result)} came: {', '.join(type(each).__name__ for each in result)}"


def _breach(env: gymnasium.Env[Any, Any], method: str, what: str) -> ObservationError:
    return ObservationError(f"{name_of(env)}.{method}() does not keep to Gymnasium's API ({what}): {_RETURNS[method]}.")


def _breach_in(error: Exception) -> str | None:
    """What an error says of the API, if it was raised on the way from the environment to here; None: by itself."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    known = trace is not None and trace.tb_frame.f_code.co_filename in _JUDGES
    if not known or isinstance(error, gymnasium.error.ResetNeeded):
        return None
    missing = re.search(r"unexpected keyword argument '(seed|options)'", str(error))
    return f"it takes no {missing[1]}" if missing else " ".join(str(error).rstrip(".").split())
