"""From a run directory to V, M, the cell, C: the only loader. Sizes come from the checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from world_models.errors import CheckpointError
from world_models.models.controller import Controller
from world_models.models.mdrnn import MDRNN, MDRNNCell
from world_models.utils.run_dir import best_path, load_checkpoint, load_weights
from world_models.vision.VAE.ConvVAE import ConvVAE

_STAGE_NAMES = {"vae": "vae", "mdrnn": "rnn", "ctrl": "ctrl"}


def _best(logdir: str | Path, stage: str) -> tuple[dict[str, Any], Path]:
    path = best_path(logdir, stage)
    if not path.is_file():
        raise CheckpointError(
            f"{path} does not exist: train that stage first (--stage {_STAGE_NAMES[stage]} --logdir {logdir})."
        )
    return load_checkpoint(path), path


def _shape(checkpoint: dict[str, Any], name: str, path: Path) -> torch.Size:
    """The shape of one weight, from which sizes are read: a checkpoint from elsewhere may have nothing else."""
    weights = checkpoint["state_dict"]
    for key in (name, f"_orig_mod.{name}"):
        if key in weights:
            return torch.Size(weights[key].shape)
    raise CheckpointError(f"{path} has no weight {name!r}: it is a checkpoint of something else.")


def load_vae(logdir: str | Path, device: torch.device | str = "cpu") -> ConvVAE:
    """V from `<logdir>/vae/best.tar`, in evaluation mode."""
    checkpoint, path = _best(logdir, "vae")
    channels = _shape(checkpoint, "encoder.conv1.weight", path)[1]
    vae = ConvVAE(channels, _shape(checkpoint, "encoder.fc_mu.weight", path)[0])
    load_weights(vae, checkpoint, path)
    return vae.to(device).eval()


def load_mdrnn(logdir: str | Path, device: torch.device | str = "cpu") -> MDRNN:
    """M as a sequence model from `<logdir>/mdrnn/best.tar`, in evaluation mode."""
    checkpoint, path = _best(logdir, "mdrnn")
    outputs, hiddens = _shape(checkpoint, "gmm_linear.weight", path)
    inputs = _shape(checkpoint, "rnn.weight_ih_l0", path)[1]
    latents = checkpoint.get("latents")
    if not isinstance(latents, int):
        raise CheckpointError(f"{path} does not say 'latents' (its inputs are {inputs}): save it with its sizes.")
    gaussians = (outputs - 2) // (2 * latents + 1)
    mdrnn = MDRNN(latents, inputs - latents, hiddens, gaussians)
    load_weights(mdrnn, checkpoint, path)
    return mdrnn.to(device).eval()


def load_cell(logdir: str | Path, device: torch.device | str = "cpu") -> MDRNNCell:
    """M as a cell, from the sequence model's checkpoint."""
    return MDRNNCell.from_mdrnn(load_mdrnn(logdir, device))


def load_controller(logdir: str | Path, device: torch.device | str = "cpu") -> tuple[Controller, dict[str, Any]]:
    """C from `<logdir>/ctrl/best.tar`, and what else its checkpoint says (env_name, settings, score)."""
    checkpoint, path = _best(logdir, "ctrl")
    sizes = ("latent_size", "hidden_size", "action_size")
    missing = [name for name in sizes if not isinstance(checkpoint.get(name), int)]
    if missing:
        raise CheckpointError(f"{path} does not say {', '.join(missing)}: save it with its sizes.")
    arguments = {name: checkpoint[name] for name in sizes}
    # Checkpoints older than these settings had neither of them.
    further = {name: checkpoint[name] for name in ("hidden_layers", "use_cell", "bias") if name in checkpoint}
    controller = Controller(**arguments, **further)
    load_weights(controller, checkpoint, path)
    facts = {key: value for key, value in checkpoint.items() if key != "state_dict"}
    return controller.to(device).eval(), facts
