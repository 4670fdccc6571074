"""Which number format a device computes convolutions in faster."""

from __future__ import annotations

import itertools

import torch


def fast_precision(device: torch.device | str) -> str:
    """ "bf16" where the device multiplies bf16 faster than float32 (AMX, AVX-512 BF16 on an AMD CPU, Ampere and newer
    GPUs), else "fp32"."""
    device = torch.device(device)
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    if device.type == "cpu":
        return "bf16" if _cpu_has_bf16() else "fp32"
    return "fp32"


def _cpu_has_bf16() -> bool:
    # PyTorch's own oneDNN check is private; the lines of /proc are the fallback's truth on Linux.
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="ignore") as lines:
            first = list(itertools.takewhile(str.strip, lines))  # of the first processor
    except OSError:
        return False
    flags = next((set(line.split()) for line in first if line.startswith("flags")), set())
    # Intel's bf16 is for AMX: of AVX-512's an Emerald Rapids whose AMX was masked, as in some virtual machines, did
    # half as much as of float32. Other processors of Intel's were not measured.
    return "amx_bf16" in flags or ("avx512_bf16" in flags and any("AuthenticAMD" in line for line in first))
