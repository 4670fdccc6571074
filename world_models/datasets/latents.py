"""The latents file: what V makes of all frames, once, for the training of M (specification, Stage 2).

Beside the documented keys (`latents`, `actions`, `rewards`, `terminals`) it holds logsigma, so that z can be
drawn afresh for each batch, the episode lengths, so that no window crosses an episode, and fingerprints of
the V and of the rollouts that it was made from, so that stale latents are refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from world_models.datasets.formats.npz import open_npz, read_array, write_npz
from world_models.errors import DataError
from world_models.types import FloatArray, IntArray

_FLOATS = {"mu": 2, "logsigma": 2, "actions": 2, "rewards": 1, "terminals": 1}  # name: dimensions
_MEND = "remove it and run precompute_latents again"


@dataclass(frozen=True)
class Latents:
    """The latents of E episodes, one after the other: N rows in all, row r belongs to transition r.

    Attributes:
        mu, logsigma: (N, Z) float32, V's mean and log standard deviation of each frame.
        actions: (N, A) float32; `rewards`, `terminals`: (N,) float32.
        lengths: (E,) int64, rows of each episode; they sum to N.
        fingerprint: of the V that made them (`vae_fingerprint`).
        data_fingerprint: of the rollouts (`FrameCache.fingerprint`); "" where that is not known.
    """

    mu: FloatArray
    logsigma: FloatArray
    actions: FloatArray
    rewards: FloatArray
    terminals: FloatArray
    lengths: IntArray
    fingerprint: str
    data_fingerprint: str = ""

    def __post_init__(self) -> None:
        check_latents(self, "these latents")

    @property
    def offsets(self) -> IntArray:
        """(E,) the first row of each episode."""
        return np.cumsum(self.lengths) - self.lengths


def save_latents(path: str | Path, latents: Latents) -> None:
    """Writes latents to `path`, whole or not at all; mu also stands under the documented key `latents`.

    Raises:
        DataError: the file cannot be written.
    """
    arrays = {name: getattr(latents, name) for name in (*_FLOATS, "lengths")}
    facts = {name: np.asarray(getattr(latents, name)) for name in ("fingerprint", "data_fingerprint")}
    write_npz(Path(path), {"latents": latents.mu} | arrays | facts, compress=False)


def load_latents(path: str | Path, fingerprint: str | None = None, data_fingerprint: str | None = None) -> Latents:
    """Reads latents, checked.

    Args:
        path: the latents_<Z>.npz file.
        fingerprint: refuse latents that another V made (None: take any).
        data_fingerprint: refuse latents of other rollouts (None: take any).

    Raises:
        DataError: the file is missing, damaged, breaks the schema, or is stale.
    """
    path = Path(path)
    with open_npz(path, _MEND) as archive:
        arrays = {name: read_array(archive, name) for name in (*_FLOATS, "lengths")}
        made_by = str(read_array(archive, "fingerprint"))
        made_from = str(read_array(archive, "data_fingerprint"))
    _refuse_stale(path, "V", made_by, fingerprint)
    _refuse_stale(path, "set of rollouts", made_from, data_fingerprint)
    try:
        return Latents(**arrays, fingerprint=made_by, data_fingerprint=made_from)
    except DataError as error:
        raise DataError(f"{path}: {error}; {_MEND}") from error


def check_latents(latents: Latents, where: str) -> None:
    """Raises DataError, beginning with `where`, where dtypes, shapes or episode lengths are at odds."""
    rows = len(latents.mu)
    for name, ndim in _FLOATS.items():
        array = getattr(latents, name)
        if array.dtype != np.float32 or array.ndim != ndim or len(array) != rows:
            raise DataError(
                f"{where}: {name} is {array.dtype} of shape {array.shape}, "
                f"not float32 of {ndim} dimensions with {rows} rows"
            )
        if not np.isfinite(array).all():
            raise DataError(f"{where}: {name} holds values that are not finite")
    if latents.logsigma.shape != latents.mu.shape:
        raise DataError(f"{where}: logsigma has shape {latents.logsigma.shape} and mu {latents.mu.shape}")
    lengths = latents.lengths
    if lengths.dtype != np.int64 or lengths.ndim != 1 or (lengths < 1).any() or lengths.sum() != rows:
        raise DataError(f"{where}: the episode lengths (sum {lengths.sum()}) do not make up its {rows} rows")


def vae_fingerprint(state_dict: Mapping[str, torch.Tensor]) -> str:
    """A sha256 (hexadecimal) of a V's weights: names, dtypes, shapes and bytes.

    It is the same for a compiled V (whose names begin with "_orig_mod.") and on every device.
    """
    digest = hashlib.sha256()
    tensors = {name.removeprefix("_orig_mod."): tensor for name, tensor in state_dict.items()}
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _refuse_stale(path: Path, what: str, found: str, wanted: str | None) -> None:
    if wanted is not None and found != wanted:
        raise DataError(
            f"{path}: these latents were made from another {what} (fingerprint {found[:12] or 'none'}, "
            f"not {wanted[:12]}); {_MEND}"
        )
