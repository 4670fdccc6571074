"""Variants of a known environment: its class with other arguments or under another id, or one derived from it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import gymnasium

from world_models.envs.contract.making import creator_of, plain_id
from world_models.envs.known.env_spec import EnvSpec

_DRAWING = ("render", "_render", "_draw")  # beginnings of the names of methods that draw
_RULES = {"step", "reset"}


def variant_row(env_id: str, env_kwargs: Mapping[str, Any], known: Mapping[str, EnvSpec]) -> EnvSpec | None:
    """The row of the known environment that this one is a variant of, without what does not hold for it.

    One that is registered with wrappers is none: what they change is not known. EnvPool's environments take no
    arguments, so it never has it.

    Args:
        env_id: A known id, or "module:id".
        env_kwargs: What it is made with, beside what it is registered with.
        known: The table's rows; those with an `entry_point` can have variants.
    """
    registered = gymnasium.spec(plain_id(env_id))
    classes = _lineage(env_id)
    row = next((row for row in known.values() if row.entry_point in classes), None)
    if row is None or registered.additional_wrappers:
        return None
    row = replace(row, env_id=env_id, derived_from=row.env_id, envpool=False)
    if classes[0] != row.entry_point:
        row = _derived(row, env_id)
    if not {**registered.kwargs, **env_kwargs}.get("continuous", True):  # the one argument of CarRacing's that matters
        row = replace(row, squash=None, drift=None, mirror=())
    return row


def _lineage(env_id: str) -> list[str]:
    """ "module:name" of the class behind an id and of those that it is derived from; only "" for a function.

    Gymnasium's own classes are named, not imported: they need packages that may be missing.
    """
    entry = gymnasium.spec(plain_id(env_id)).entry_point
    if isinstance(entry, str) and entry.startswith("gymnasium."):
        module, _, name = entry.partition(":")
        return [f"{module}.car_racing:{name}" if module == "gymnasium.envs.box2d" else entry]
    try:
        creator = creator_of(env_id)
    except Exception:  # to make it will say what is wrong
        return [""]
    if not inspect.isclass(creator):
        return [""]
    return [f"{each.__module__}:{each.__qualname__}" for each in inspect.getmro(creator)]


def _derived(row: EnvSpec, env_id: str) -> EnvSpec:
    """The row for a derived class: our drawing stands in for its own only where it draws and drives as its base."""
    derived: Any = creator_of(env_id)
    own: set[str] = set()
    for each in inspect.getmro(derived):
        if f"{each.__module__}:{each.__qualname__}" == row.entry_point:
            break
        own |= vars(each).keys()
    redraw = None if any(name.startswith(_DRAWING) for name in own) else row.redraw
    stop_drawing = None if own & _RULES or redraw is None else row.stop_drawing
    return replace(row, redraw=redraw, stop_drawing=stop_drawing, mirror=())
