"""V, M and C as a run's folder: checkpoints as training leaves them, which every command reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from world_models.datasets.dream_starts import DreamStarts, save_starts, starts_path
from world_models.errors import ConfigError
from world_models.models.controller import Controller
from world_models.models.mdrnn import MDRNN
from world_models.utils.run_dir import STAGES, best_path, checkpoint_path, load_checkpoint, save_checkpoint
from world_models.vision.VAE.ConvVAE import ConvVAE

Facts = Mapping[str, Mapping[str, Any]]
"""What the checkpoints of the stages "vae", "mdrnn" and "ctrl" say beside their weights."""


def facts_of(logdir: str | Path) -> dict[str, dict[str, Any]]:
    """The facts of a run; {} of a stage that it lacks."""
    told: dict[str, dict[str, Any]] = {}
    for stage in STAGES:
        path = best_path(logdir, stage)
        stored = load_checkpoint(path) if path.is_file() else {}
        told[stage] = {name: value for name, value in stored.items() if name != "state_dict"}
    return told


def save_run(
    logdir: str | Path,
    vae: ConvVAE,
    mdrnn: MDRNN,
    controller: Controller | None,
    starts: DreamStarts | None,
    facts: Facts,
) -> None:
    """Writes `<logdir>/{vae,mdrnn,ctrl}/best.tar`, and M's starts.

    Raises:
        ConfigError: there is a run in that folder.
        CheckpointError: it cannot be written.
    """
    for stage in STAGES:
        for path in (best_path(logdir, stage), checkpoint_path(logdir, stage)):
            if path.exists():
                raise ConfigError(f"{path} is there already: name a new folder, or remove that run first.")
    parts: dict[str, tuple[ConvVAE | MDRNN | Controller, dict[str, Any]]] = {
        "vae": (vae, {"latent_size": vae.latent_size, "img_channels": vae.img_channels}),
        "mdrnn": (mdrnn, mdrnn.sizes),
    }
    if controller is not None:
        parts["ctrl"] = (controller, controller.settings)
    for stage, (module, sizes) in parts.items():
        save_checkpoint(best_path(logdir, stage), {**facts[stage], **sizes, "state_dict": module.state_dict()})
    if starts is not None:
        save_starts(starts_path(logdir), starts)
