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


def pack_run(logdir: str | Path, out: str | Path, half_memory: bool = False) -> Pack:
    """Copies a run's best.tar files, logs and figures; V's weights as bfloat16, half their size.

    V's encoder computes in bfloat16 anyway where a machine is faster at it (`models.agent`). M's errors add up
    over an episode: it is rounded only where that is asked for. Score what was packed, not what it was made from.

    Args:
        logdir: The run, with V, M and C.
        out: A new folder.
        half_memory: M's weights as bfloat16, too.

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
        checkpoint = load_checkpoint(best_path(source, stage))
        rounded = stage == "vae" or (stage == "mdrnn" and half_memory)
        save_checkpoint(best_path(folder, stage), _halved(checkpoint) if rounded else checkpoint)
        if log_path(source, stage).is_file():
            shutil.copyfile(log_path(source, stage), log_path(folder, stage))
    _say_rounded_vae(folder)
    for name in ("summary.json", "evaluation.json", "settings.json", "rounds.json"):
        if (source / name).is_file():
            shutil.copyfile(source / name, folder / name)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return Pack(folder, {str(path.relative_to(folder)): path.stat().st_size for path in files})


def _halved(checkpoint: dict[str, Any]) -> dict[str, Any]:
    return checkpoint | {
        "state_dict": {name: weight.to(torch.bfloat16) for name, weight in checkpoint["state_dict"].items()}
    }


def _say_rounded_vae(folder: Path) -> None:
    """M's checkpoint names the V that it belongs to, which is the rounded one now."""
    path = best_path(folder, "mdrnn")
    memory = load_checkpoint(path)
    if "vae_fingerprint" in memory:
        save_checkpoint(path, memory | {"vae_fingerprint": vae_fingerprint(load_vae(folder).state_dict())})
