"""Which number format a device computes in: what "auto" means, and the setting that forces it."""

from __future__ import annotations

import itertools
import os
import platform
from collections.abc import Iterator

import torch

from world_models.errors import ConfigError

VARIABLE = "WORLD_MODELS_PRECISION"
"""Environment variable: the format in the place of "auto", for all commands, worker processes and tests."""

_NAMES = {"auto": None, "": None, "fp32": "fp32", "float32": "fp32", "bf16": "bf16", "bfloat16": "bf16"}


def fast_precision(device: torch.device | str) -> str:
    """What "auto" means on a device: "bf16" where it multiplies bf16 faster than float32, else "fp32".

    Faster in bf16 are AMX, AVX-512 BF16 on an AMD CPU, Ampere and newer GPUs. `WORLD_MODELS_PRECISION` (float32 or
    bfloat16) decides in the device's place.

    Raises:
        ConfigError: the variable names no format.
    """
    asked = forced_precision()
    if asked is not None:
        return asked
    device = torch.device(device)
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    if device.type == "cpu":
        return "bf16" if _cpu_has_bf16() else "fp32"
    return "fp32"


def forced_precision() -> str | None:
    """The format that `WORLD_MODELS_PRECISION` asks for; None where it is not set, empty or "auto".

    Raises:
        ConfigError: it names no format.
    """
    asked = os.environ.get(VARIABLE, "").strip().lower()
    if asked not in _NAMES:
        raise ConfigError(f"{VARIABLE}={asked!r} is no number format: set it to float32, bfloat16 or auto.")
    return _NAMES[asked]


def arithmetic(device: torch.device | str = "cpu") -> dict[str, str]:
    """What a result's last digits depend on: the processor, and the number format that "auto" meant.

    Returns:
        processor: its name; number_format: "fp32" or "bf16"; number_format_by: who chose it.
    """
    device = torch.device(device)
    on_gpu = device.type == "cuda" and torch.cuda.is_available()
    return {
        "processor": torch.cuda.get_device_name(device) if on_gpu else processor_name(),
        "number_format": fast_precision(device),
        "number_format_by": "the processor" if forced_precision() is None else VARIABLE,
    }


def processor_name() -> str:
    """The CPU's name as it gives it, else its architecture."""
    named = (line.partition(":")[2].strip() for line in _first_processor() if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


def _first_processor() -> Iterator[str]:
    """The lines of /proc/cpuinfo on the first processor; none where there is no such file."""
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="ignore") as lines:
            yield from list(itertools.takewhile(str.strip, lines))
    except OSError:
        return


def _cpu_has_bf16() -> bool:
    # PyTorch's own oneDNN check is private; the lines of /proc are the fallback's truth on Linux.
    first = list(_first_processor())
    flags = next((set(line.split()) for line in first if line.startswith("flags")), set())
    # Intel's bf16 is for AMX: of AVX-512's an Emerald Rapids whose AMX was masked, as in some virtual machines, did
    # half as much as of float32. Other processors of Intel's were not measured.
    return "amx_bf16" in flags or ("avx512_bf16" in flags and any("AuthenticAMD" in line for line in first))
