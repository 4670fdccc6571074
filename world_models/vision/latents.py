"""V's posterior of frames, draws from it, and frames of latents."""

from __future__ import annotations

import torch

from world_models.vision.frames import frames_from_images, images_from_frames
from world_models.vision.VAE.ConvVAE import ConvVAE

FRAMES_AT_ONCE = 512  # 60 MB of activations in the first layer


@torch.no_grad()
def encode(vae: ConvVAE, frames: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """V's mu and logsigma (..., Z) of frames uint8 (..., 64, 64, 3), in float32 on V's device."""
    device = next(vae.parameters()).device
    flat = frames.reshape(-1, *frames.shape[-3:])
    with torch.autocast(device.type, enabled=False):  # bf16 here would shift z, not only its gradient
        parts = [vae.encoder(images_from_frames(part.to(device))) for part in torch.split(flat, FRAMES_AT_ONCE)]
    mu, logsigma = (torch.cat(each).reshape(*frames.shape[:-3], -1) for each in zip(*parts, strict=True))
    return mu, logsigma


@torch.no_grad()
def decode(vae: ConvVAE, latents: torch.Tensor) -> torch.Tensor:
    """V's pictures (..., 64, 64, 3) uint8, on the CPU, of latents (..., Z)."""
    device = next(vae.parameters()).device
    flat = latents.reshape(-1, latents.shape[-1]).to(device)
    parts = [torch.from_numpy(frames_from_images(vae.decoder(part))) for part in torch.split(flat, FRAMES_AT_ONCE)]
    frames = torch.cat(parts)
    return frames.reshape(*latents.shape[:-1], *frames.shape[1:])


def draw_latents(mu: torch.Tensor, logsigma: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
    """z = mu + exp(logsigma) * eps, with eps drawn from `generator` (on mu's device), or the global one."""
    noise = torch.randn(mu.shape, device=mu.device, dtype=mu.dtype, generator=generator)
    return mu + logsigma.exp() * noise
