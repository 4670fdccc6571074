"""What all tests share: one core a process, no window, and properties that do not fail for being slow."""

from __future__ import annotations

import os
import signal
import threading

os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
os.environ.setdefault("SDL_AUDIODRIVER", "dummy")
os.environ.pop("WORLD_MODELS_BUDGET", None)  # tests of the documentation set it for themselves

import pytest
import torch
from hypothesis import settings

torch.set_num_threads(1)
# A busy machine makes single examples slow, and says nothing about the property.
settings.register_profile("world-models", deadline=None, max_examples=50, print_blob=True)
# In CI the examples are always the same ones: a change is judged by what it changed, not by the day's examples.
settings.register_profile("ci", settings.get_profile("world-models"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "world-models")

# A background job of a shell without job control ignores Ctrl-C, and so would every process that tests start.
if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out the long tests, and says so, where `-m` does not ask for them."""
    if "long" in config.getoption("-m"):
        return
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker(pytest.mark.skip(reason="long: make test-long runs it, and .ci/run"))
