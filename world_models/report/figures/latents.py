"""What V's latents hold: how much each tells, what each draws, and what V imagines with none given."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from world_models.losses.convae_loss import kl_per_latent
from world_models.types import DoubleArray, UInt8Array
from world_models.vision.frames import frames_from_images, images_from_frames
from world_models.vision.VAE.ConvVAE import ConvVAE

_BATCH = 256
ACTIVE_VARIANCE = 0.01
"""A latent is active when its mean varies by more than this over frames (Burda et al. 2015, section 5.1)."""


@dataclass(frozen=True)
class LatentFacts:
    """Over some frames, for each latent (Z,): the mean KL to the standard normal in nats, mu's mean and variance."""

    kl: DoubleArray
    mean: DoubleArray
    variance: DoubleArray

    @property
    def order(self) -> list[int]:
        """The latents' numbers, the one that tells most first."""
        return [int(index) for index in np.argsort(-self.kl, kind="stable")]

    @property
    def active(self) -> int:
        """How many latents are active."""
        return int((self.variance > ACTIVE_VARIANCE).sum())


@torch.no_grad()
def latent_facts(vae: ConvVAE, frames: UInt8Array) -> LatentFacts:
    """The facts over frames (N, 64, 64, 3) uint8."""
    device = next(vae.parameters()).device
    kls, mus = [], []
    for start in range(0, len(frames), _BATCH):
        images = images_from_frames(torch.from_numpy(frames[start : start + _BATCH]).to(device))
        mu, logsigma = vae.encoder(images)
        kls.append(kl_per_latent(mu, logsigma).double().cpu())
        mus.append(mu.double().cpu())
    all_mu = torch.cat(mus)
    return LatentFacts(torch.cat(kls).mean(0).numpy(), all_mu.mean(0).numpy(), all_mu.var(0, correction=0).numpy())


@torch.no_grad()
def traversals(
    vae: ConvVAE,
    frame: UInt8Array | None,
    facts: LatentFacts | None,
    rows: int = 8,
    columns: int = 7,
    reach: float = 3.0,
) -> list[tuple[str, UInt8Array]]:
    """A row of pictures a latent, in which it alone goes from -reach to reach standard deviations.

    Args:
        vae: V.
        frame: (64, 64, 3) uint8, whose other latents are kept; None keeps them at zero.
        facts: Which latents tell most, and their deviations; None takes the first ones and the prior's.
        rows: Latents at most.
        columns: Pictures a row, odd so that the middle one is the latent's mean.
        reach: In standard deviations of the latent's mu over frames.
    """
    device, size = next(vae.parameters()).device, vae.latent_size
    base = torch.zeros(1, size, device=device)
    if frame is not None:
        base = vae.encoder(images_from_frames(torch.from_numpy(frame[None]).to(device)))[0]
    chosen = (facts.order if facts is not None else list(range(size)))[:rows]
    made = []
    for latent in chosen:
        mean, deviation = (
            (0.0, 1.0) if facts is None else (float(facts.mean[latent]), float(np.sqrt(facts.variance[latent])))
        )
        moved = base.repeat(columns, 1)
        moved[:, latent] = mean + deviation * torch.linspace(-reach, reach, columns, device=device)
        told = "" if facts is None else f": {facts.kl[latent]:.2f} nats"
        made.append((f"latent {latent}{told}", frames_from_images(vae.decoder(moved))))
    return made


@torch.no_grad()
def sample_rows(vae: ConvVAE, frames: UInt8Array, seed: int = 0) -> list[tuple[str, UInt8Array]]:
    """Names and frames of a sample sheet's three rows.

    Args:
        vae: V, on any device.
        frames: (n, 64, 64, 3) uint8.
        seed: Of the latents drawn from the prior: equal for all sheets of a run, so that they compare.

    Returns:
        The originals, their reconstructions through mu, and n samples from N(0, 1), each (n, 64, 64, 3).
    """
    device = next(vae.parameters()).device
    mu, _ = vae.encoder(images_from_frames(frames).to(device))
    reconstructed, imagined = vae.decoder(mu), vae.decoder(_drawn(vae, len(mu), seed))
    return [
        ("original", frames),
        ("reconstruction", frames_from_images(reconstructed)),
        ("drawn from the prior", frames_from_images(imagined)),
    ]


@torch.no_grad()
def prior_row(vae: ConvVAE, count: int, seed: int = 0) -> tuple[str, UInt8Array]:
    """Name and `count` frames of latents drawn from N(0, 1): what V imagines where there is no data to show."""
    return "drawn from the prior", frames_from_images(vae.decoder(_drawn(vae, count, seed)))


def _drawn(vae: ConvVAE, count: int, seed: int) -> torch.Tensor:
    drawn = torch.randn(count, vae.latent_size, generator=torch.Generator().manual_seed(seed))
    return drawn.to(next(vae.parameters()).device)
