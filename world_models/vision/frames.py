"""Frames to images and back: the one place where uint8 pixels become network input."""

from __future__ import annotations

import numpy as np
import torch

from world_models.types import UInt8Array


def images_from_frames(frames: torch.Tensor | UInt8Array) -> torch.Tensor:
    """Stored frames as the networks see them.

    Args:
        frames: uint8 (..., H, W, 3), a tensor on any device or an array.

    Returns:
        float32 (..., 3, H, W) in [0, 1]. It is a view of channels-last memory, which is what V's
        convolutions are fastest on, so no pixel is moved twice.
    """
    tensor = torch.from_numpy(np.ascontiguousarray(frames)) if isinstance(frames, np.ndarray) else frames
    return tensor.to(torch.float32).mul_(1 / 255).movedim(-1, -3)


def frames_from_images(images: torch.Tensor) -> UInt8Array:
    """Images (..., 3, H, W) in [0, 1] as frames: uint8 array (..., H, W, 3), rounded and clipped."""
    scaled = images.detach().float().mul(255).round().clamp(0, 255).to(torch.uint8)
    return np.ascontiguousarray(scaled.movedim(-3, -1).cpu().numpy())
