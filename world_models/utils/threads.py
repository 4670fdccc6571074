"""The cores of this process, and PyTorch's threads where several processes share them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import torch


def cpu_count() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextlib.contextmanager
def one_torch_thread() -> Iterator[None]:
    """The block computes on one thread.

    A block of frames, or of dreams, is too little work for two threads to gain anything, and PyTorch's waiting
    threads spin: beside a simulator's own threads, or another process, they cost up to nine tenths of the speed.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
