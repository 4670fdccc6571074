"""Untrained networks of the paper's sizes in a run folder; a network's speed does not depend on its weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from world_models.models.mdrnn import MDRNN
from world_models.utils.run_dir import best_path, save_checkpoint
from world_models.vision.VAE.ConvVAE import ConvVAE

LATENTS, HIDDENS, ACTIONS, GAUSSIANS = 32, 256, 3, 5
PARAMETERS = ACTIONS * (LATENTS + HIDDENS + 1)


def save_networks(logdir: Path) -> None:
    """V and M, as the stages would leave them."""
    torch.manual_seed(0)
    vae, mdrnn = ConvVAE(3, LATENTS), MDRNN(LATENTS, ACTIONS, HIDDENS, GAUSSIANS)
    sizes = {"latent_size": LATENTS, "img_channels": 3}
    save_checkpoint(best_path(logdir, "vae"), {"state_dict": vae.state_dict(), **sizes})
    save_checkpoint(best_path(logdir, "mdrnn"), {"state_dict": mdrnn.state_dict(), **mdrnn.sizes})


def controllers(count: int) -> npt.NDArray[np.float64]:
    """Flat parameters (count, 867) that roll slowly on, each its own way, so that nobody stands still."""
    parameters = np.random.default_rng(0).standard_normal((count, PARAMETERS)) * 0.02
    parameters[:, -ACTIONS:] = (0.0, -0.7, 0.0)
    return parameters
