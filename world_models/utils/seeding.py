"""Reproducible random numbers: seeds derived from names, and random states that a checkpoint can hold."""

from __future__ import annotations

import hashlib
import random
from typing import Any

import numpy as np
import torch

_SEED_MASK = 0x7FFFFFFF  # 31 bits: what every generator here takes (numpy's legacy one refuses negative seeds)


def derive_seed(*parts: int | str) -> int:
    """A seed of 31 bits that depends on all parts and their order, and on nothing else.

    The same on every machine, process and Python (unlike `hash`), so that each purpose ("vae", "epoch", 3)
    has random numbers of its own. `1` and `"1"` are different parts.
    """
    named = [part if isinstance(part, str) else int(part) for part in parts]
    return int.from_bytes(hashlib.sha256(repr(named).encode()).digest()[:4], "big") & _SEED_MASK


def seed_everything(seed: int) -> None:
    """Seeds Python's, numpy's and torch's (CPU and GPU) global generators.

    Raises:
        ValueError: Where seed is not in 0 .. 2**32 - 1.
    """
    if not 0 <= seed < 2**32:
        raise ValueError(f"the seed is {seed}, and must be at least 0 and below 2**32")
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def rng_state() -> dict[str, Any]:
    """The states of torch's (CPU and GPU) and numpy's global generators: tensors, numbers and texts alone.

    Python's own `random` is left out: nothing in the package draws from it.
    """
    name, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)
    numpy_state = {
        "name": str(name),
        "keys": torch.from_numpy(np.asarray(keys, dtype=np.int64)),
        "position": int(position),
        "has_gauss": int(has_gauss),
        "gauss": float(gauss),
    }
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {"torch": torch.get_rng_state(), "cuda": cuda, "numpy": numpy_state}


def set_rng_state(state: dict[str, Any]) -> None:
    """Restores the states that `rng_state()` gave.

    GPU states are put back where there are as many GPUs as then; a run that moved to another machine goes
    on with the states of its CPU generators.
    """
    torch.set_rng_state(state["torch"].cpu())
    saved = state["numpy"]
    keys = saved["keys"].cpu().numpy().astype(np.uint32)
    np.random.set_state((saved["name"], keys, saved["position"], saved["has_gauss"], saved["gauss"]))
    if torch.cuda.is_available() and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([each.cpu() for each in state["cuda"]])
