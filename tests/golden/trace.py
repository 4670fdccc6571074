"""What a run gave, in few numbers: the log's records, and each tensor of a file by its bytes and three sums."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from world_models.utils.run_dir import best_path, checkpoint_path, load_checkpoint, log_path, read_jsonl

TOLERANCE = 1e-5  # on another processor; of a tensor's sums, in shares of its size
EXACTLY = "(to the last bit or not at all)"  # ends a key that only the kind of machine which recorded it compares
_OF_THE_CLOCK = {"seconds", "versions", "arithmetic"}


def digest(values: Any) -> dict[str, Any]:
    """A tensor or array in a few numbers: shape, sum, sum of sizes, a weighted sum, and a hash of its bytes."""
    array = values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)
    array = np.ascontiguousarray(array)
    flat = array.ravel().astype(np.float64)
    weights = np.cos(np.arange(flat.size))  # tells two orders of the same numbers apart
    return {
        "shape": list(array.shape),
        "sums": [float(flat.sum()), float(np.abs(flat).sum()), float(flat @ weights)],
        "sha256": hashlib.sha256(f"{array.dtype}".encode() + array.tobytes()).hexdigest()[:16],
    }


def plain(value: Any) -> Any:
    """`value` as JSON has it, tensors and arrays as their digests, without what tells the time."""
    if isinstance(value, torch.Tensor | np.ndarray) and value.ndim:
        return digest(value)
    if isinstance(value, torch.Tensor | np.ndarray | np.generic):
        value = value.item()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items() if key not in _OF_THE_CLOCK}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def stage(logdir: Path, name: str) -> dict[str, Any]:
    """A stage of a run: its log, and what stands in its two checkpoints."""
    best = load_checkpoint(best_path(logdir, name))
    # Which of two equally good controllers is the best, a last digit decides.
    found_at = {key: best.pop(key) for key in ("generation", "env_steps") if key in best}
    # V's first weights themselves differ between processors in a last digit, and so does their hash.
    checkpoint = load_checkpoint(checkpoint_path(logdir, name))
    found_at |= {"vae_fingerprint": best.pop("vae_fingerprint", None)}
    checkpoint.pop("vae_fingerprint", None)
    return {
        "log": plain(read_jsonl(log_path(logdir, name))),
        "best": plain(best),
        f"facts {EXACTLY}": found_at,
        "checkpoint": plain(without_history(checkpoint)),
    }


def without_history(payload: dict[str, Any]) -> dict[str, Any]:
    """A checkpoint without the copy of the log, and without folders."""
    return {key: value for key, value in payload.items() if key not in {"history", "driving", "start_from"}}


def differences(kept: Any, found: Any, exact: bool, where: str = "") -> Iterator[str]:
    """Where two traces differ: at all (`exact`), or by more than the tolerance."""
    if isinstance(kept, dict) and isinstance(found, dict):
        if "sha256" in kept and "sha256" in found:
            yield from _of_tensors(kept, found, exact, where)
            return
        for key in sorted(kept.keys() | found.keys()):
            if key.endswith(EXACTLY) and not exact:
                continue
            if key not in kept or key not in found:
                yield f"{where}/{key}: only {'now' if key in found else 'in the trace'}"
            else:
                yield from differences(kept[key], found[key], exact, f"{where}/{key}")
    elif isinstance(kept, list) and isinstance(found, list) and len(kept) == len(found):
        for index, (old, new) in enumerate(zip(kept, found, strict=True)):
            yield from differences(old, new, exact, f"{where}/{index}")
    elif kept != found and (exact or not _near(kept, found, 1.0)):
        yield f"{where}: {kept} in the trace, {found} now"


def _of_tensors(kept: dict[str, Any], found: dict[str, Any], exact: bool, where: str) -> Iterator[str]:
    size = 1.0 + kept["sums"][1]
    near = all(_near(old, new, size) for old, new in zip(kept["sums"], found["sums"], strict=True))
    if kept["shape"] != found["shape"] or not near or (exact and kept["sha256"] != found["sha256"]):
        yield f"{where}: {kept} in the trace, {found} now"


def _near(kept: Any, found: Any, size: float) -> bool:
    numbers = all(isinstance(each, int | float) and not isinstance(each, bool) for each in (kept, found))
    return numbers and abs(kept - found) <= TOLERANCE * max(size, abs(kept))
