"""The `world-models` command: joins the commands, one file each in `commands/`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from world_models.commands import collect, doctor, dream, evaluate, export, report, run, train, watch
from world_models.utils.console import guarded

COMMANDS = {
    "run": (run, "collect, train V, M and C, score and report, in one go"),
    "collect": (collect, "write rollouts into --data_dir"),
    "train": (train, "the specification's training command"),
    "evaluate": (evaluate, "the score of a trained run"),
    "dream": (dream, "train C inside M, or score it there"),
    "report": (report, "one HTML page of a run"),
    "export": (export, "ONNX graphs, the page to dream in, or a run to pass on"),
    "watch": (watch, "see the trained agent drive, and what V sees and M dreams"),
    "doctor": (doctor, "try an environment, look at data and at a run, say what is wrong"),
}


def make_parser() -> argparse.ArgumentParser:
    """The parser of all commands; what a command works with, and PyTorch, is imported when it begins to work."""
    parser = argparse.ArgumentParser(prog="world-models", description="World Models: V sees, M remembers, C drives.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (command, text) in COMMANDS.items():
        command.add(commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + "."))
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code: 0, 2 for a mistake that a sentence explains, 130 after Ctrl-C."""
    args = make_parser().parse_args(argv)
    return guarded(lambda: args.work(args))


if __name__ == "__main__":
    raise SystemExit(main())
