"""What every command does around its work: messages to stderr, mistakes as one sentence, exit codes."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable

from world_models.errors import WorldModelsError

INTERRUPTED = 130
MISTAKE = 2


def guarded(work: Callable[[], object]) -> int:
    """Run a command: exit code 0; 2 with one sentence for a user's mistake; 130 after Ctrl-C."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        work()
    except WorldModelsError as error:
        print(f"error: {error}", file=sys.stderr)
        return MISTAKE
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from here", file=sys.stderr)
        return INTERRUPTED
    return 0
