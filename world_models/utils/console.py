"""What every command does around its work: messages to stderr, mistakes as one sentence, exit codes."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable

from world_models import budgets
from world_models.errors import WorldModelsError

INTERRUPTED = 130
MISTAKE = 2


def guarded(work: Callable[[], object]) -> int:
    """Run a command: exit code 0; 2 with one sentence for a user's mistake; 130 after Ctrl-C."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    _without_a_screen()
    try:
        from world_models.utils.precision import forced_precision  # and PyTorch, while Ctrl-C is heard

        forced_precision()  # a wrong name is said now, not when the first network is made
        budgets.announce()
        work()
    except WorldModelsError as error:
        print(f"error: {error}", file=sys.stderr)
        return MISTAKE
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from here", file=sys.stderr)
        return INTERRUPTED
    return 0


def _without_a_screen() -> None:
    """Where Linux has no screen, SDL (CartPole and others draw with it) shall not look for one and complain."""
    if sys.platform == "linux" and not {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys():
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
