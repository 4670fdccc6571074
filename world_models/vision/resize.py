"""Native frames to stored frames: crop and resize in one fused step on uint8."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from world_models.types import FRAME_SIZE, UInt8Array


def resize_frames(
    frames: UInt8Array, size: tuple[int, int] = (FRAME_SIZE, FRAME_SIZE), rows: int | None = None
) -> UInt8Array:
    """Resize frames (n, H, W, 3) uint8 to (n, *size, 3), after keeping the first `rows` rows only.

    Bilinear with anti-aliasing, like Pillow's. A frame's pixels do not depend on its neighbours in the batch.
    """
    cropped = frames[:, :rows]
    if cropped.shape[1:3] == size:
        return np.ascontiguousarray(cropped)
    # permute gives channels-last memory, which PyTorch resizes in uint8 without a copy.
    images = torch.from_numpy(np.ascontiguousarray(cropped)).permute(0, 3, 1, 2)
    resized = functional.interpolate(images, size=size, mode="bilinear", antialias=True)
    return np.ascontiguousarray(resized.permute(0, 2, 3, 1).numpy())


def stored_frames(pictures: torch.Tensor, rows: int | None = None) -> torch.Tensor:
    """Native pictures (..., H, W, 3) uint8 as frames (..., 64, 64, 3), on the CPU."""
    frames = resize_frames(pictures.reshape(-1, *pictures.shape[-3:]).cpu().numpy(), rows=rows)
    return torch.from_numpy(frames).reshape(*pictures.shape[:-3], *frames.shape[1:])
