"""Flags in groups, each with its default and its unit in `--help`; those of a part of the settings are its fields."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Sequence
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

from world_models.envs.env_kwargs import parse_env_kwargs
from world_models.runs.settings import Flag, RunSettings
from world_models.typed import about, default_of, kinds_of

_BOTH_WAYS = {"precompute_latents": (), "amp": ("--use_amp",), "tensorboard": (), "wandb": ()}


class Flags:
    """The flags of one command."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self._parser = parser
        self._groups: dict[str, Any] = {}

    def add(self, group: str, *names: str, help: str, unit: str = "", usually: str = "", **more: Any) -> None:
        """One flag.

        Args:
            group: The heading that it stands under.
            names: `--name` and what else it is called.
            help: A line.
            unit: Of its value.
            usually: What it is where it is not given, if that is no constant.
            more: As for `add_argument`.
        """
        default = f"default: {usually or _as_text(more.get('default'))}"
        told = "required" if more.get("required") else default
        if group not in self._groups:
            self._groups[group] = self._parser.add_argument_group(group)
        text = f"{help}{f' [{unit}]' if unit else ''} ({told})".replace("%", "%%")
        self._groups[group].add_argument(*names, help=text, **more)

    def add_env_kwargs(self, usually: str = "nothing", group: str = "environment") -> None:
        """The flag --env_kwargs; its text is left as it is, for `parse_env_kwargs`."""
        text = """what the environment is made with: '{"continuous": true}'"""
        self.add(group, "--env_kwargs", metavar="JSON", help=text, usually=usually)

    def add_fields(self, part: type[Any], names: Collection[str], group: str, **usually: str) -> None:
        """Fields of a part of the settings, with its own defaults."""
        for name in names:
            self._add_field(part, name, group, default_of(part, name), usually.get(name, ""))

    def _add_field(self, part: type[Any], name: str, group: str, default: Any, usually: str) -> None:
        said, kind = about(part, name), _plain_type(kinds_of(part)[name])
        common: dict[str, Any] = {"help": said.help, "unit": said.unit, "usually": usually, "default": default}
        metavar = getattr(said, "metavar", "")
        if kind is bool:
            common["action"] = "store_true"
        elif get_origin(kind) is Literal:
            common["choices"] = get_args(kind)
        else:
            common |= {"type": kind, "metavar": metavar or {int: "N", float: "X", str: "TEXT"}[kind]}
        self.add(group, f"--{name}", **common)

    def add_run_settings(self, leave_out: Collection[str] = ()) -> None:
        """Every field of `RunSettings`; one that is not given is None until `resolve` fills it in."""
        for name in kinds_of(RunSettings):
            said = about(RunSettings, name)
            if name in leave_out or not isinstance(said, Flag):
                continue
            usually = said.usually or _as_text(default_of(RunSettings, name))
            if name in _BOTH_WAYS:
                self.add(
                    said.group, f"--{name}", *_BOTH_WAYS[name],
                    dest=name, action="store_true", default=None, usually=usually,
                    help=f"{said.help}; --no_{name}: not",
                )  # fmt: skip
                self._parser.add_argument(
                    f"--no_{name}", dest=name, action="store_false", default=None, help=argparse.SUPPRESS
                )
            else:
                self._add_field(RunSettings, name, said.group, None, usually)
            if name == "env":
                self.add_env_kwargs("the run's or the data's, else nothing")
            if name == "preset":
                self.add(
                    "run", "--set", action="append", metavar="STAGE.NAME=VALUE", usually="the preset's",
                    help="a setting without a flag, such as ctrl.use_hidden=false; docs/settings.md has them all",
                )  # fmt: skip
                self.add(
                    "run", "--config", metavar="FILE", usually="no file",
                    help="settings.json of an earlier run: repeat it in another --logdir; other flags count before it",
                )  # fmt: skip


def add_training_flags(parser: argparse.ArgumentParser, leave_out: Sequence[str] = ("episodes",)) -> None:
    """Every documented flag of the training command."""
    Flags(parser).add_run_settings(leave_out)


def given_env_kwargs(args: argparse.Namespace) -> dict[str, Any] | None:
    """What --env_kwargs says; None where it is not given."""
    return None if args.env_kwargs is None else parse_env_kwargs(args.env_kwargs)


def _plain_type(kind: Any) -> Any:
    """The type of a field without its limits, its texts, and None."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    inner = [each for each in get_args(kind) if each is not NoneType]
    return _plain_type(inner[0]) if NoneType in get_args(kind) else kind


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:g}"
    return "none" if value is None else str(value)
