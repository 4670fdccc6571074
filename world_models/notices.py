"""Notices: remarks that are logged once, on input that is used all the same, such as a retired id or scaled pictures.

The main process speaks; worker processes, which meet the same input, stay silent.
"""

from __future__ import annotations

import logging
import multiprocessing
import threading

_said: set[str] = set()
_lock = threading.Lock()


def say_once(log: logging.Logger, message: str, *values: object) -> None:
    """Logs a warning, unless the same words were logged before in this process, or this is a worker process."""
    text = message % values if values else message
    if multiprocessing.parent_process() is not None:
        return
    with _lock:  # files are read by several threads
        if text in _said:
            return
        _said.add(text)
    log.warning("%s", text)


def forget() -> None:
    """Lets everything be said again; for tests."""
    _said.clear()
