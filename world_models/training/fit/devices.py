"""How a model is computed on a device: number format, compilation, fused kernels."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import torch

_LOG = logging.getLogger(__name__)


def autocast_for(device: torch.device, bf16: bool) -> Callable[[], AbstractContextManager[Any]]:
    """A maker of contexts in which matrix products are computed in bf16 or, where not wanted, as ever."""
    return partial(torch.autocast, device.type, dtype=torch.bfloat16, enabled=bf16)


def has_fused_adam(device: torch.device) -> bool:
    """Whether Adam has a kernel on this device that steps all parameters at once."""
    return device.type in ("cuda", "cpu")


def compiled(function: Callable[..., Any], device: torch.device, wanted: bool) -> Callable[..., Any]:
    """`function` through torch.compile on CUDA, and as it is elsewhere.

    A machine may have a GPU and yet no compiler that torch.compile can use; the first call finds out, and the
    function is then used as it is, which the log says once. What is compiled is the function, never the
    module, so that checkpoints have plain names.
    """
    if device.type != "cuda" or not wanted:
        return function
    return _Compiled(function)


class _Compiled:
    def __init__(self, function: Callable[..., Any]) -> None:
        self.plain = function
        self.current = torch.compile(function)

    def __call__(self, *args: Any) -> Any:
        try:
            return self.current(*args)
        except (RuntimeError, ImportError, OSError) as error:
            if self.current is self.plain or isinstance(error, torch.OutOfMemoryError):
                raise
            reason = [*str(error).strip().splitlines(), type(error).__name__][0]
            _LOG.warning("torch.compile does not work here (%s); going on without it", reason)
            self.current = self.plain
            return self.plain(*args)
