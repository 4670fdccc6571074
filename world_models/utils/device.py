"""Which device a setting means on this machine: the only place that decides."""

from __future__ import annotations

import functools
import logging

import torch

from world_models.errors import ConfigError

_LOG = logging.getLogger(__name__)


def resolve_device(name: str, strict: bool = False) -> torch.device:
    """The device to compute on.

    Args:
        name: "cpu", "cuda", "mps" or "xpu", with an index if wanted ("cuda:1"), or "auto": the GPU where
            there is one, else the CPU.
        strict: Whether a named device that is missing is an error, as on the command line. Otherwise it
            means the CPU, which the log says once: "cuda" is the documented default of the configs.

    Raises:
        ConfigError: The name is no device, or `strict` and the device is missing.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"device is {name!r}, which torch does not know; use one of {_present()}") from error
    if _is_there(device):
        return device
    if strict:
        raise ConfigError(f"device is {name!r}, which this machine does not have; use one of {_present()}")
    _say_once(name)
    return torch.device("cpu")


def _is_there(device: torch.device) -> bool:
    if device.type == "cpu":
        return True
    counts = {"cuda": torch.cuda.device_count, "mps": torch.mps.device_count, "xpu": torch.xpu.device_count}
    return device.type in counts and (device.index or 0) < counts[device.type]()


def _present() -> str:
    there = [name for name in ("cpu", "cuda", "mps", "xpu") if _is_there(torch.device(name))]
    return ", ".join(["auto", *there])


@functools.cache
def _say_once(name: str) -> None:
    _LOG.warning("device %r is not on this machine; computing on the CPU", name)
