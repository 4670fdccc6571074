"""The budget `WORLD_MODELS_BUDGET=tiny`: every command in miniature, to see that it runs.

With this environment variable every command and every library call that collects, trains, evaluates, dreams, films or
benchmarks goes through all of its stages in seconds, with the flags, presets and configs that it was given; only
numbers of how much (epochs, batches, rollouts, steps, candidates, generations, episodes, rounds, budgets of phases) are
cut to those of `MOST`. The scores of such a run mean nothing; the log says so once, and settings.json, summary.json and
scores as JSON have `"budget": "tiny"`. Without the variable nothing here changes anything.

The documentation's commands are tested so, as they stand there (`tests/docs`).
"""

from __future__ import annotations

import logging
import numbers
import os
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from world_models.errors import ConfigError
from world_models.notices import say_once
from world_models.old_names import OLD_NAMES

_LOG = logging.getLogger(__name__)

VARIABLE = "WORLD_MODELS_BUDGET"
TINY = "tiny"

MOST: dict[str, int] = {
    # Driving. A rollout is longer than M's windows.
    "rollout_len": 40,
    "seq_len": 32,
    "rounds": 2,
    "time_limit": 8,
    "ctrl_time_limit": 8,
    "episodes": 2,
    "num_lanes": 16,
    # V and M.
    "num_epochs": 1,
    "train_batch_size": 16,
    "batch_size": 8,
    "frames_per_epoch": 32,
    "batches_per_epoch": 2,
    "num_test_files": 1,
    # C: a generation for each phase; simulator steps are spent in the preparation of phases as well.
    "pop_size": 4,
    "n_samples": 1,
    "samples": 1,
    "max_samples": 2,
    "max_generations": 1,
    "phase_generations": 1,
    "eval_every": 2,
    "eval_episodes": 1,
    "selection_episodes": 1,
    "whitening_episodes": 2,
    "initial_horizon": 8,
    "components": 8,  # more than few states can tell
    "action_effect_states": 8,
    # The gradient: what its scales are taken from in a dream, some updates of the critic alone, and one of C as well.
    "gradient_steps": 1500,
    "scaled_by": 2,
    "update_steps": 8,
    "updates": 7,
    # What is looked at, and measured.
    "temperatures": 2,
    "starts": 1,
    "film_steps": 8,
    "looked_from": 4,
    "dreams": 4,
    "repeats": 1,
    "benchmark": 8,
    "seconds": 1,
}
"""The most that there is of each, by the name of the setting."""


def chosen() -> str | None:
    """The value of the environment variable; None where it is not set, or empty.

    Raises:
        ConfigError: there is no budget of that name.
    """
    said = os.environ.get(VARIABLE) or None
    if said not in (None, TINY):
        raise ConfigError(f"{VARIABLE}={said!r} is unknown: it is {TINY!r}, or not set.")
    return said


def announce() -> None:
    """Logs once that budgets are cut, if they are."""
    if chosen():
        say_once(_LOG, "%s=%s: everything is done in miniature; scores mean nothing.", VARIABLE, TINY)


def facts() -> dict[str, str]:
    """{"budget": "tiny"} for what is written down, {} without the variable."""
    return {"budget": TINY} if chosen() else {}


_Value = TypeVar("_Value")


def at_most(name: str, value: _Value) -> _Value:
    """The setting `name` within its budget; as it is without the variable, or where it is no number."""
    if not chosen():
        return value
    announce()
    name = OLD_NAMES.get(name, name) if name not in MOST else name
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    return min(value, MOST[name]) if whole and name in MOST else value  # type: ignore[call-overload]


def settings(given: Mapping[str, Any], limits: Iterable[str] = ()) -> dict[str, Any]:
    """A copy of the settings of a stage within their budgets, those of its phases (`phases`) too.

    Args:
        given: By name.
        limits: Names that are limited even where they are absent or None.
    """
    found = {name: at_most(name, value) for name, value in given.items()}
    if not chosen():
        return found
    found |= {name: MOST[name] for name in limits if found.get(name) is None}
    phases = found.get("phases")
    if isinstance(phases, list | tuple) and all(isinstance(phase, Mapping) for phase in phases):
        found["phases"] = [settings(phase) for phase in phases]
        found["max_generations"] = min(given.get("max_generations") or len(phases) + 1, len(phases) + 1)
    return found


def rollouts(asked: int, there: int) -> int:
    """How many rollouts a folder shall have in the end, where `asked` are asked for and `there` are there.

    With the variable it is as many as the number has binary digits (1000: 10), and never fewer than there are: who asks
    for more than before gets more.
    """
    if not chosen():
        return asked
    announce()
    return min(asked, max(there, asked.bit_length()))


def rollout_len(asked: int) -> int:
    """Steps of a rollout at most, where `asked` are asked for.

    With the variable a game of more than 1,000 steps has an eighth of them: where episodes end is learned from rollouts
    that come to their end (TakeCover's, after some 320 of 2,100 steps).
    """
    return asked // 8 if chosen() and asked > 1000 else at_most("rollout_len", asked)
