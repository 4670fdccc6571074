"""V's sample sheets: originals over reconstructions over samples from the prior, one PNG."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from world_models.report.figures.latents import sample_rows
from world_models.report.figures.pictures import sheet
from world_models.types import UInt8Array
from world_models.vision.VAE.ConvVAE import ConvVAE


def save_sample_sheet(path: Path, vae: ConvVAE, frames: UInt8Array, seed: int = 0) -> Image.Image:
    """Writes the sheet of `sample_rows` as a PNG, and gives it; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made = sheet(sample_rows(vae, np.ascontiguousarray(frames), seed))
    made.save(path, format="PNG")
    return made
