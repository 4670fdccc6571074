"""Run folders with a tiny random V and M (and C), saved as training saves them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from world_models.models.controller import Controller
from world_models.models.mdrnn import MDRNN
from world_models.utils.run_dir import best_path, save_checkpoint
from world_models.vision.VAE.ConvVAE import ConvVAE

LATENTS, HIDDENS, GAUSSIANS = 4, 6, 2


def save_vae(logdir: Path, latents: int = LATENTS, seed: int = 0) -> ConvVAE:
    """A random V, in the run and returned."""
    torch.manual_seed(seed)
    vae = ConvVAE(3, latents)
    facts = {"latent_size": latents, "img_channels": 3, "epoch": 1, "test_loss": 1.0}
    save_checkpoint(best_path(logdir, "vae"), {"state_dict": vae.state_dict(), **facts})
    return vae.eval()


def save_mdrnn(logdir: Path, actions: int = 2, latents: int = LATENTS, hiddens: int = HIDDENS) -> MDRNN:
    """A random M, in the run and returned."""
    torch.manual_seed(1)
    mdrnn = MDRNN(latents, actions, hiddens, GAUSSIANS)
    facts = {**mdrnn.sizes, "epoch": 1, "test_loss": 1.0}
    save_checkpoint(best_path(logdir, "mdrnn"), {"state_dict": mdrnn.state_dict(), **facts})
    return mdrnn.eval()


def save_controller(logdir: Path, actions: int = 2, **changes: Any) -> Controller:
    """A random C, in the run and returned."""
    torch.manual_seed(2)
    sizes = {"latent_size": LATENTS, "hidden_size": HIDDENS, "action_size": actions, **changes}
    controller = Controller(**sizes)
    payload = {"state_dict": controller.state_dict(), **sizes, "env_name": "Steer-v0", "return_mean": 0.0}
    save_checkpoint(best_path(logdir, "ctrl"), {**payload, "hidden_layers": list(controller.hidden_layers)})
    return controller.eval()


def copy_of_run(source: Path, target: Path) -> Path:
    """A run folder with the V and M of another one, without a copy of their bytes."""
    target.mkdir(parents=True)
    for stage in ("vae", "mdrnn"):
        (target / stage).symlink_to(source / stage, target_is_directory=True)
    return target
