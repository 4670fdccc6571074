"""Settings declared once: a dataclass a part, whose fields have a type, a default, limits, a unit and a line of help.

A field is `Annotated[type with its limits, About(help, unit)]`. Flags, `--set`, presets, settings files and the
documented configs are read through such a class by `read`; pydantic checks, and all that is wrong is said at once.
"""

from __future__ import annotations

import difflib
import functools
import logging
import math
import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, Union, get_args, get_origin
from typing import get_type_hints as hints

from annotated_types import Ge, Gt, Le, Lt, MinLen, Predicate

from world_models.errors import ConfigError
from world_models.notices import say_once
from world_models.old_names import todays_name

if TYPE_CHECKING:
    from pydantic import TypeAdapter

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class About:
    """What a field is: a line of help, and its unit where it has one."""

    help: str
    unit: str = ""


@dataclass(frozen=True)
class Needs:
    """What a type's limits come to in words, where they are no plain bounds."""

    words: str


Whole = Annotated[int, Ge(0)]
Count = Annotated[int, Ge(1)]
Number = Annotated[float, Ge(0), Lt(math.inf)]
Positive = Annotated[float, Gt(0), Lt(math.inf)]
Share = Annotated[float, Ge(0), Le(1)]
Fraction = Annotated[float, Gt(0), Lt(1)]
Finite = Annotated[float, Predicate(math.isfinite), Needs("a finite number")]
Target = Annotated[float, Predicate(lambda value: not math.isnan(value)), Needs("a number")]
Text = Annotated[str, MinLen(1), Needs("a text that is not empty")]


Part = TypeVar("Part")


def kinds_of(part: type[Any]) -> dict[str, Any]:
    """The types of those fields of a part that something is said about."""
    untyped: Any = part
    kinds: dict[str, Any] = _kinds_of(untyped)
    return kinds


@functools.cache
def _kinds_of(part: Any) -> dict[str, Any]:
    found = {field.name: hints(part, include_extras=True)[field.name] for field in fields(part)}
    return {name: kind for name, kind in found.items() if any(isinstance(n, About) for n in get_args(kind)[1:])}


def about(part: type[Any], name: str) -> About:
    """What is said of a field."""
    return next(note for note in get_args(kinds_of(part)[name])[1:] if isinstance(note, About))


def default_of(part: type[Any], name: str) -> Any:
    """A field's default; None where it has none."""
    field = next(field for field in fields(part) if field.name == name)
    if field.default_factory is not MISSING:
        return field.default_factory()
    return None if field.default is MISSING else field.default


def nearest(name: str, known: Collection[str], cutoff: float = 0.4) -> str:
    """ "did you mean ...?", or all there are."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=cutoff)
    return f"did you mean {near[0]!r}?" if near else f"it is one of {', '.join(sorted(known))}."


def renamed(values: Mapping[str, Any], known: Collection[str]) -> dict[str, Any]:
    """The values by today's names; each old one is said once."""
    found = {}
    for name, value in values.items():
        new = todays_name(name, known)
        if new != name:
            say_once(_LOG, "the setting %r is called %r now; the old name still works.", name, new)
            if new in values:
                continue
        found[new] = value
    return found


def read(part: type[Part], values: Mapping[str, Any], where: str = "", others: bool = False) -> Part:
    """The part with these values, by today's or old names.

    Args:
        part: A dataclass of settings.
        values: By name; what is not named has its default.
        where: Put before a field's name in messages, as in "phases[0].".
        others: Whether names that are none of the part's are left alone.

    Raises:
        ConfigError: Says everything that is wrong, each with the field's name, its value and what it must be.
    """
    known = kinds_of(part)
    values = renamed(values, known)
    wrong = [] if others else [f"there is no setting {where + n!r}: {nearest(n, known)}" for n in values.keys() - known]
    for field in fields(part):  # type: ignore[arg-type]
        if field.name not in values and field.default is MISSING and field.default_factory is MISSING:
            wrong.append(f"{where}{field.name} is missing, and must be {needs(known[field.name])}")
    checked, found = check(part, values, where)
    if wrong or found:
        raise ConfigError("; ".join([*wrong, *found]))
    made = part(**checked)
    contradictions = [f"{where.rstrip('.')}: {each}" if where else each for each in problems(made)]
    if contradictions:
        raise ConfigError("; ".join(contradictions))
    return made


def check(part: type[Any], values: Mapping[str, Any], where: str = "") -> tuple[dict[str, Any], list[str]]:
    """The values of a part's fields as their types have them, and a sentence on each that cannot work."""
    found, wrong = {}, list[str]()
    for name, kind in kinds_of(part).items():
        if name in values:
            try:
                found[name] = as_type(kind, values[name], f"{where}{name}")
            except ConfigError as error:
                wrong.append(str(error))
    return found, wrong


def as_type(kind: Any, value: Any, name: str) -> Any:
    """The value as a type of settings has it. Raises ConfigError with its name, the value, and what it must be."""
    from pydantic import ValidationError  # 0.1 s that --help does not wait for

    try:
        return _adapter(kind).validate_python(_with_parts(kind, plain(value), name))
    except ValidationError:
        raise ConfigError(f"{name} is {value!r}, and must be {needs(kind)}") from None


def _part_inside(kind: Any) -> type[Any] | None:
    """P of a list of tables `tuple[P, ...]`; None for any other type."""
    inner = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    items = get_args(inner) if get_origin(inner) is tuple else ()
    return items[0] if items and is_dataclass(items[0]) else None  # type: ignore[return-value]


def _with_parts(kind: Any, value: Any, name: str) -> Any:
    """Of a list of tables: each read as a part of its own."""
    inner = _part_inside(kind)
    if inner is None or not isinstance(value, tuple):
        return value
    made, wrong = [], []
    for i, table in enumerate(value):
        try:
            made.append(read(inner, table, f"{name}[{i}].") if isinstance(table, Mapping) else table)
        except ConfigError as error:
            wrong.append(str(error))
    if wrong:
        raise ConfigError("; ".join(wrong))
    return tuple(made)


def problems(part: Any) -> Iterator[str]:
    """Which of its settings contradict each other, as sentences: what `problems` of the part itself says."""
    return part.problems() if hasattr(part, "problems") else iter(())


def plain(value: Any) -> Any:
    """The value as Python has it: numpy's numbers, paths, and lists as tuples, also inside of tables."""
    if type(value).__module__ == "numpy" and hasattr(value, "item") and not getattr(value, "ndim", 0):
        return value.item()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, list | tuple):
        return tuple({k: plain(v) for k, v in x.items()} if isinstance(x, Mapping) else plain(x) for x in value)
    return value


@functools.cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    from pydantic import ConfigDict, TypeAdapter

    # Strict: an int is no text, no float and no bool.
    return TypeAdapter(kind, config=ConfigDict(strict=True, arbitrary_types_allowed=True))


def needs(kind: Any) -> str:
    """What a type accepts, in words."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        words = [note.words for note in inner[1:] if isinstance(note, Needs)]
        return words[0] if words else _bounded(inner[0], inner[1:])
    if origin is Literal:
        return f"one of {', '.join(map(str, inner))}"
    if origin in (Union, UnionType):
        return ", or ".join(needs(each) if each is not NoneType else "null" for each in inner)
    if origin is tuple:
        return f"a list, each {needs(inner[0])}"
    if kind is bool:
        return "true or false"
    if kind is int:
        return "a whole number"
    return {float: "a number", str: "a text"}.get(kind, "a table")


def _bounded(kind: Any, notes: tuple[Any, ...]) -> str:
    if kind not in (int, float):
        return needs(kind)
    least = [f"of at least {note.ge}" for note in notes if isinstance(note, Ge)]
    least += [f"above {note.gt}" for note in notes if isinstance(note, Gt)]
    most = [f"at most {note.le}" for note in notes if isinstance(note, Le)]
    most += [f"below {note.lt}" for note in notes if isinstance(note, Lt) and note.lt != math.inf]
    finite = "finite " if any(isinstance(note, Lt) and note.lt == math.inf for note in notes) else ""
    noun = "a whole number" if kind is int else f"a {finite}number"
    return f"{noun} {', and '.join(least + most)}" if least + most else noun
