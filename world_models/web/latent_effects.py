"""What each latent draws, in words: where the picture changes most when it alone is pulled, and how."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from world_models.types import DoubleArray, FloatArray
from world_models.vision.VAE.ConvVAE import ConvVAE

_ROWS, _COLUMNS = ("top", "middle", "bottom"), ("left", "centre", "right")
_PULL = 2.0  # standard deviations to either side
_LEAST = 1.0  # of a latent that V hardly uses: what its slider reaches is wider, too
_SEEN = 0.004  # mean change of a pixel, of 1: one level of 255
_ONE_WAY = 0.5  # of a region's change that goes the same way
_SECOND = 0.6  # of the first region's change, to be named beside it


@torch.no_grad()
def latent_effects(vae: ConvVAE, mean: FloatArray, std: FloatArray) -> list[dict[str, Any]]:
    """For each latent {"moved", "says"}: how much pulling it changes a pixel on average, and what in words.

    Args:
        vae: V.
        mean, std: (Z,) of the latents over frames; the others stay at their means.
    """
    reach = np.maximum(_PULL * std, _LEAST)
    base = torch.from_numpy(np.repeat(mean[None], len(mean), 0))
    pull = torch.from_numpy(np.diag(reach).astype(np.float32))
    change = (vae.decoder(base + pull) - vae.decoder(base - pull)).mean(1).double().numpy()
    return [{"moved": round(float(np.abs(each).mean()), 4), "says": change_text(each)} for each in change]


def change_text(change: DoubleArray) -> str:
    """A change of brightness (H, W) in words, such as "top left brighter, top right darker"."""
    if np.abs(change).mean() < _SEEN:
        return "changes next to nothing"
    regions = _regions(change)
    first, second = sorted(regions, key=lambda name: -np.abs(regions[name]).sum())[:2]
    named = [first]
    if np.abs(regions[second]).sum() >= _SECOND * np.abs(regions[first]).sum():
        named.append(second)
    return ", ".join(f"{name} {_how(regions[name])}" for name in named)


def _regions(change: DoubleArray) -> dict[str, DoubleArray]:
    """Nine parts of the picture by name."""
    parts = {}
    for row, band in zip(_ROWS, np.array_split(change, 3, 0), strict=True):
        for column, part in zip(_COLUMNS, np.array_split(band, 3, 1), strict=True):
            parts["centre" if row == "middle" and column == "centre" else f"{row} {column}"] = part
    return parts


def _how(part: DoubleArray) -> str:
    net = part.sum() / np.abs(part).sum()
    if abs(net) < _ONE_WAY:
        return "moves"
    return "brighter" if net > 0 else "darker"
