"""A trained run as it is passed on: what is used of it, small; not what training would go on from."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from world_models.datasets.latents import vae_fingerprint
from world_models.errors import CheckpointError, ConfigError
from world_models.models.load import load_vae
from world_models.utils.run_dir import STAGES, best_path, load_checkpoint, log_path, save_checkpoint


@dataclass(frozen=True)
class Pack:
    """What was written: the folder, and each file's bytes by its path in it."""

    folder: Path
    sizes: dict[str, int]


def pack_run(logdir: str | Path, out: str | Path) -> Pack:
    """Copies a run's best.tar files, logs and summary; V's weights as bfloat16, half their size.

    V's encoder computes in bfloat16 anyway where a machine is faster at it (`models.agent`). M and C stay
    float32: M's errors would add up over an episode.

    Args:
        logdir: The run, with V, M and C.
        out: A new folder.

    Raises:
        CheckpointError: A stage is missing.
        ConfigError: `out` is not empty.
    """
    source, folder = Path(logdir), Path(out)
    missing = [str(best_path(source, stage)) for stage in STAGES if not best_path(source, stage).is_file()]
    if missing:
        raise CheckpointError(f"{missing[0]} does not exist: a run is packed when all of its stages are trained.")
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"--out {folder} is not empty: name a new folder, or remove it first.")
    for stage in STAGES:
        save_checkpoint(best_path(folder, stage), _packed(load_checkpoint(best_path(source, stage)), stage))
        if log_path(source, stage).is_file():
            shutil.copyfile(log_path(source, stage), log_path(folder, stage))
    _say_rounded_vae(folder)
    for path in (source / "summary.json", source / "settings.json", source / "mdrnn" / "starts.npz"):
        if path.is_file():
            shutil.copyfile(path, folder / path.relative_to(source))
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return Pack(folder, {str(path.relative_to(folder)): path.stat().st_size for path in files})


def _packed(checkpoint: dict[str, Any], stage: str) -> dict[str, Any]:
    if stage != "vae":
        return checkpoint
    weights = {name: weight.to(torch.bfloat16) for name, weight in checkpoint["state_dict"].items()}
    return checkpoint | {"state_dict": weights}


def _say_rounded_vae(folder: Path) -> None:
    """M's checkpoint names the V that it belongs to, which is the rounded one now."""
    path = best_path(folder, "mdrnn")
    memory = load_checkpoint(path)
    if "vae_fingerprint" in memory:
        save_checkpoint(path, memory | {"vae_fingerprint": vae_fingerprint(load_vae(folder).state_dict())})
