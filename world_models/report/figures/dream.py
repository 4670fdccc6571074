"""A dream beside reality: M, warmed up on real frames, goes on alone with the real actions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from world_models.errors import CheckpointError, DataError
from world_models.models.mdrnn import MDRNN, MDRNNCell
from world_models.models.sampling import sample_mixture
from world_models.types import FloatArray, MemoryState, Mixture, Rollout, UInt8Array
from world_models.vision.frames import frames_from_images
from world_models.vision.latents import encode
from world_models.vision.VAE.ConvVAE import ConvVAE

_BATCH = 256  # frames through V at a time


@dataclass(frozen=True)
class Dream:
    """Frames (T, 64, 64, 3) uint8 of equal length: what happened, what V keeps of it, what M expected.

    The first `warm_up` rows of `dreamed` are V's reconstructions: M was still looking.
    """

    real: UInt8Array
    reconstructed: UInt8Array
    dreamed: UInt8Array
    warm_up: int
    temperature: float = 1.0


@torch.no_grad()
def decode(vae: ConvVAE, latents: torch.Tensor) -> UInt8Array:
    """Frames (T, 64, 64, 3) of latents (T, Z)."""
    parts = (latents[start : start + _BATCH] for start in range(0, len(latents), _BATCH))
    return np.concatenate([frames_from_images(vae.decoder(part)) for part in parts])


def sample(mixture: Mixture, temperature: float, generator: torch.Generator) -> torch.Tensor:
    """A next latent (B, Z) with the generator's chances, see `sample_mixture`."""
    shape, device = mixture.mus[..., 0, :].shape, mixture.mus.device
    pick = torch.rand(shape[:-1], generator=generator, device=device)
    noise = torch.randn(shape, generator=generator, device=device)
    return sample_mixture(mixture, temperature, pick, noise)[0]


@torch.no_grad()
def dream_latents(
    cell: MDRNNCell, latents: torch.Tensor, actions: torch.Tensor, warm_up: int, temperature: float, seed: int
) -> torch.Tensor:
    """Latents (T, Z) where row t >= warm_up is what M expected of its own row t - 1.

    Args:
        cell: M.
        latents: (T, Z) what V saw; rows from `warm_up` on are not looked at.
        actions: (T, A) what was really done.
        warm_up: Real latents that M sees first, at least 1.
        temperature: More is more uncertain; 1 is M as trained.
        seed: Of the dream's noise.
    """
    generator = torch.Generator(device=latents.device).manual_seed(seed)
    hidden: MemoryState = cell.get_init_hidden(1)
    dreamed = [latents[0]]
    for t in range(1, len(latents)):
        *mixture, _, _, hidden = cell(actions[t - 1 : t], dreamed[-1][None], hidden)
        expected = sample(Mixture(*mixture), temperature, generator)[0]
        dreamed.append(latents[t] if t < warm_up else expected)
    return torch.stack(dreamed)


def richest_start(rewards: FloatArray, length: int) -> int:
    """Where the window of `length` rows with the greatest sum of rewards (T,) starts; the first of equals."""
    totals = np.concatenate([[0.0], np.cumsum(rewards, dtype=np.float64)])
    return int(np.argmax(totals[length:] - totals[: len(totals) - length]))


def dream_beside(
    vae: ConvVAE,
    memory: MDRNN | MDRNNCell,
    rollout: Rollout,
    *,
    warm_up: int = 40,
    steps: int = 60,
    temperature: float = 1.0,
    seed: int = 0,
) -> Dream:
    """Dreams `steps` frames on from a warmed-up start, where the rollout earned most and so moved.

    Short rollouts give a shorter dream, half of it warm-up at most.

    Raises:
        DataError: The rollout has fewer than two steps, or its actions are not of M's size.
        CheckpointError: V and M have other latent sizes.
    """
    if len(rollout) < 2:
        raise DataError(f"a rollout of {len(rollout)} step is too short to dream beside; record at least 2 steps.")
    if vae.latent_size != memory.latents:
        raise CheckpointError(f"V has {vae.latent_size} latents and M takes {memory.latents}: train M again on this V.")
    if rollout.actions.shape[1] != memory.actions:
        raise DataError(
            f"the rollout's actions have {rollout.actions.shape[1]} numbers and M takes {memory.actions}: "
            "give the data folder that M was trained on."
        )
    cell = MDRNNCell.from_mdrnn(memory) if isinstance(memory, MDRNN) else memory
    warm_up = max(1, min(warm_up, len(rollout) // 2))
    length = min(warm_up + steps, len(rollout))
    start = richest_start(rollout.rewards, length)
    window = slice(start, start + length)
    seen, _ = encode(vae, torch.from_numpy(rollout.observations[window]))
    actions = torch.tensor(rollout.actions[window]).to(seen)
    dreamed = dream_latents(cell, seen, actions, warm_up, temperature, seed)
    return Dream(rollout.observations[window], decode(vae, seen), decode(vae, dreamed), warm_up, temperature)
