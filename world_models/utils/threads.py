"""PyTorch's threads, where several processes share the cores."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


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
