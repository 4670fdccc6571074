"""`--help` of every command: there at once, in groups, each flag with its default."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator

import pytest

from world_models.cli import make_parser

# What takes seconds to import, and is imported when work begins.
HEAVY = ("torch", "matplotlib", "cma", "PIL", "tensorboard", "pydantic")


def parsers(parser: argparse.ArgumentParser, *command: str) -> Iterator[tuple[list[str], argparse.ArgumentParser]]:
    """Every command, and every command of a command."""
    yield list(command), parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                yield from parsers(inner, *command, name)


COMMANDS = list(parsers(make_parser()))


def heavy_after(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip().splitlines()[-1]


def test_no_help_waits_for_what_only_work_needs() -> None:
    code = f"""
import sys
from world_models.cli import main
for command in {[command for command, _ in COMMANDS]}:
    try:
        main([*command, "--help"])
    except SystemExit as stopped:
        assert stopped.code == 0
print([name for name in {HEAVY} if name in sys.modules])
"""
    assert heavy_after(code) == "[]"


def test_the_documented_script_has_its_help_without_pytorch_and_its_functions_all_the_same() -> None:
    code = f"""
import sys
from world_models.training.train_world_model import main
try:
    main(["--help"])
except SystemExit as stopped:
    assert stopped.code == 0
print([name for name in {HEAVY} if name in sys.modules])
"""
    assert heavy_after(code) == "[]"
    code = "from world_models.training.train_world_model import generate_rollouts, test_trained_model as t\n"
    assert heavy_after(code + "print(generate_rollouts.__name__, t.__name__)") == "generate_rollouts test_trained_model"


def flags_of(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    return [each for each in parser._actions if each.option_strings and each.dest != "help"]


@pytest.mark.parametrize(("command", "parser"), [pytest.param(*each, id=" ".join(each[0])) for each in COMMANDS])
def test_every_flag_stands_in_a_group_and_says_its_default_or_that_it_is_required(
    command: list[str], parser: argparse.ArgumentParser
) -> None:
    grouped = {each for group in parser._action_groups[2:] for each in group._group_actions}
    for flag in flags_of(parser):
        if flag.help is argparse.SUPPRESS:
            assert flag.option_strings[0].startswith("--no_")
            continue
        assert flag in grouped, flag
        assert flag.help is not None and ("(required)" in flag.help if flag.required else "(default: " in flag.help)
        assert flag.required or "(default: None" not in flag.help
    assert parser.format_help()


def test_both_names_of_mixed_precision_are_there() -> None:
    (train,) = (parser for command, parser in COMMANDS if command == ["train"])
    for given, wanted in (("--amp", True), ("--use_amp", True), ("--no_amp", False)):
        assert train.parse_args([given]).amp is wanted
    assert train.parse_args([]).amp is None
