"""V's sample sheets: originals over reconstructions over samples from the prior, one PNG."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from world_models.report.pictures import sheet
from world_models.types import UInt8Array
from world_models.vision.frames import frames_from_images, images_from_frames
from world_models.vision.VAE.ConvVAE import ConvVAE


@torch.no_grad()
def sample_rows(vae: ConvVAE, frames: UInt8Array, seed: int = 0) -> list[tuple[str, UInt8Array]]:
    """Names and frames of the sheet's three rows.

    Args:
        vae: V, on any device.
        frames: (n, 64, 64, 3) uint8.
        seed: Of the latents drawn from the prior: equal for all sheets of a run, so that they compare.

    Returns:
        The originals, their reconstructions through mu, and n samples from N(0, 1), each (n, 64, 64, 3).
    """
    device = next(vae.parameters()).device
    mu, _ = vae.encoder(images_from_frames(frames).to(device))
    drawn = torch.randn(mu.shape, generator=torch.Generator().manual_seed(seed)).to(device)
    reconstructed, imagined = vae.decoder(mu), vae.decoder(drawn)
    return [
        ("original", frames),
        ("reconstruction", frames_from_images(reconstructed)),
        ("drawn from the prior", frames_from_images(imagined)),
    ]


def save_sample_sheet(path: Path, vae: ConvVAE, frames: UInt8Array, seed: int = 0) -> None:
    """Writes the sheet of `sample_rows` as a PNG; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet(sample_rows(vae, np.ascontiguousarray(frames), seed)).save(path, format="PNG")
