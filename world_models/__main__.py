"""`python -m world_models`, and the command `world-models`."""

from __future__ import annotations

import sys


def main() -> int:
    """The command line; returns the exit code. Ctrl-C is heard from the first import on."""
    try:
        from world_models.cli import main as command_line
    except KeyboardInterrupt:
        print("\nstopped before anything was begun", file=sys.stderr)
        return 130
    return command_line()


if __name__ == "__main__":
    raise SystemExit(main())
