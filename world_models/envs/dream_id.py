"""The dream's id for Gymnasium, known to this process and to the worker processes that it starts.

A forked worker knows the id as its parent does. One that is spawned, or that the fork server makes, is a fresh
interpreter: it knows what the parent's main module imports at its top, and nothing of a notebook or of an import
inside a function. Each such process is therefore sent so that unpickling it imports this package first.
"""

from __future__ import annotations

from collections.abc import Callable
from multiprocessing import context
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import ForkingPickler
from typing import Any

import gymnasium

DREAM_ID = "world_models/Dream-v0"
_PROCESSES = ("Process", "SpawnProcess", "ForkServerProcess")  # the last one is not on every system


def register_dream() -> None:
    """Registers the id by name alone: what is behind it, and PyTorch, is imported when a dream is made."""
    gymnasium.register(
        DREAM_ID,
        entry_point="world_models.envs.dream_env:DreamEnv",
        vector_entry_point="world_models.envs.dream_vector_env:DreamVectorEnv",
    )
    for name in _PROCESSES:
        if hasattr(context, name):
            ForkingPickler.register(getattr(context, name), _sent)


def _sent(process: BaseProcess) -> tuple[Any, ...]:
    """A process as it is pickled anyway, made there by a function of this package."""
    reduced = process.__reduce_ex__(2)
    assert isinstance(reduced, tuple)  # a maker, its arguments, the state
    return (_made, reduced[:2], *reduced[2:])


def _made(make: Callable[..., BaseProcess], arguments: tuple[Any, ...]) -> BaseProcess:
    """Runs in the worker, where finding it has imported `world_models`."""
    return make(*arguments)
