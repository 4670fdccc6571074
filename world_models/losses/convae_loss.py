"""V's loss: summed squared error plus the divergence from the prior (specification, Loss Function Details)."""

from __future__ import annotations

import torch
from torch.nn import functional


def kl_per_latent(mu: torch.Tensor, logsigma: torch.Tensor) -> torch.Tensor:
    """KL(N(mu, sigma) || N(0, 1)) of every latent of every sample, in nats: the shape of `mu`."""
    return -0.5 * (1 + 2 * logsigma - mu.square() - (2 * logsigma).exp())


def vae_loss_parts(
    reconst: torch.Tensor,
    x: torch.Tensor,
    mu: torch.Tensor,
    logsigma: torch.Tensor,
    free_bits: float = 0.0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The two parts of V's loss, each summed over everything: squared error and divergence (0-d).

    `free_bits` (nats a latent) is a floor under each latent's divergence, averaged over the batch: a
    latent that costs less pays nothing, so it need not collapse. The reference implementation floors the
    sum over latents at 0.5 a latent; the floor under each one keeps more of them alive.
    """
    squared_error = functional.mse_loss(reconst, x, reduction="sum")
    divergence = kl_per_latent(mu, logsigma)
    if free_bits <= 0:
        return squared_error, divergence.sum()
    batch_mean = divergence.reshape(-1, divergence.shape[-1]).mean(0)
    samples = divergence.numel() // divergence.shape[-1]
    return squared_error, batch_mean.clamp_min(free_bits).sum() * samples


def conv_vae_loss_fn(
    reconst: torch.Tensor,
    x: torch.Tensor,
    mu: torch.Tensor,
    logsigma: torch.Tensor,
    free_bits: float = 0.0,
) -> torch.Tensor:
    """V's documented loss, 0-d: squared error summed over pixels and batch plus KL summed over latents.

    Args:
        reconst: Reconstructions (B, C, H, W).
        x: Images of the same shape, in [0, 1].
        mu: Means (B, Z).
        logsigma: Logs of the standard deviations (B, Z).
        free_bits: Floor under each latent's divergence in nats; 0 is the documented loss.
    """
    squared_error, divergence = vae_loss_parts(reconst, x, mu, logsigma, free_bits)
    return squared_error + divergence
