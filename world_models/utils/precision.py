"""Which number format a device computes convolutions in faster."""

from __future__ import annotations

import torch


def fast_precision(device: torch.device | str) -> str:
    """ "bf16" where the device multiplies bf16 natively (AMX or AVX-512 BF16 on a CPU, Ampere and newer
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
            flags = next((line for line in lines if line.startswith("flags")), "")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
