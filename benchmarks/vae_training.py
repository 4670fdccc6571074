"""V's training: from disk against tensors in memory, plain fp32 eager, and a whole .npz read per frame."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from benchmarks.common import InMemory, interleaved, rate_of, report, size, synchronised
from benchmarks.frames import collect_frames
from world_models.datasets.loaders import FrameBatches
from world_models.losses.convae_loss import conv_vae_loss_fn
from world_models.training.fit.devices import autocast_for, compiled, has_fused_adam
from world_models.training.fit.passes import Learner, train_pass
from world_models.training.train_convvae import VAELoss, reconstruct_with
from world_models.utils.device import resolve_device
from world_models.utils.precision import fast_precision
from world_models.vision.VAE.ConvVAE import ConvVAE, ConvVAEDecoder

BATCH, LATENTS, ROLLOUTS, STEPS = size(64), 32, 6, size(500)
BATCHES, PLAIN_BATCHES, LITERAL_FRAMES = size(30), size(10), size(16)


class PlainDecoder(ConvVAEDecoder):
    """The decoder as the specification's table has it, layer by layer."""

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Decode latents (B, Z)."""
        x = self.fc(z)[:, :, None, None]
        for layer in (self.deconv1, self.deconv2, self.deconv3):
            x = functional.relu(layer(x))
        return torch.sigmoid(self.deconv4(x))


def make_learner(device: torch.device) -> Learner:
    """V and how stage V trains it."""
    vae = ConvVAE(3, LATENTS).to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    forward = compiled(lambda images, noise: reconstruct_with(vae, images, noise), device, True)
    return Learner(
        model=vae,
        loss_fn=VAELoss(forward, LATENTS, device),
        device=device,
        optimizer=torch.optim.Adam(vae.parameters(), fused=has_fused_adam(device)),
        autocast=autocast_for(device, fast_precision(device) == "bf16"),
    )


class Plain:
    """The textbook's step: fp32, eager, the layers as they are named."""

    def __init__(self, device: torch.device) -> None:
        self.vae = ConvVAE(3, LATENTS)
        self.vae.decoder = PlainDecoder(LATENTS, 3)
        self.vae.to(device)
        self.device = device
        self.optimizer = torch.optim.Adam(self.vae.parameters())

    def step(self, frames: torch.Tensor) -> None:
        """One batch of frames uint8 (B, 64, 64, 3)."""
        images = (frames.to(self.device).float() / 255).permute(0, 3, 1, 2).contiguous()
        self.optimizer.zero_grad()
        reconstructed, mu, logsigma = self.vae(images)
        conv_vae_loss_fn(reconstructed, images, mu, logsigma).backward()
        self.optimizer.step()


def main() -> None:
    """3,000 frames of real driving; 30 batches of 64 a turn, 10 of plain eager, 16 frames the literal way."""
    device = resolve_device("auto")
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        cache = collect_frames(Path(folder), ROLLOUTS, STEPS)
        disk = FrameBatches(cache, range(len(cache.files)), BATCH, True, 0, max_batches=BATCHES)
        memory = InMemory([batch.to(device) for batch in disk])
        learner, plain = make_learner(device), Plain(device)
        order = np.random.default_rng(0)

        def passed(batches: FrameBatches | InMemory[torch.Tensor]) -> float:
            train_pass(learner, batches, 0)
            synchronised(device)
            return BATCHES * BATCH

        def plain_in_memory() -> float:
            for batch in memory.batches[:PLAIN_BATCHES]:
                plain.step(batch)
            synchronised(device)
            return PLAIN_BATCHES * BATCH

        def literal() -> float:
            frames = []
            for _ in range(LITERAL_FRAMES):
                with np.load(cache.files[order.integers(len(cache.files))]) as rollout:
                    frames.append(torch.from_numpy(rollout["observations"][order.integers(STEPS)]))
            plain.step(torch.stack(frames))
            synchronised(device)
            return LITERAL_FRAMES

        rates = interleaved(
            {
                "from disk": lambda: rate_of(lambda: passed(disk)),
                "in memory": lambda: rate_of(lambda: passed(memory)),
                "plain fp32 eager": lambda: rate_of(plain_in_memory),
                "literal": lambda: rate_of(literal),
            }
        )
    goals = {
        ("from disk", "in memory"): 0.95,
        ("from disk", "literal"): 8.0,
        ("in memory", "plain fp32 eager"): 1.5,
    }
    report("vae_training", "frames/s", rates, goals, batch_size=BATCH, rows_a_file=STEPS)


if __name__ == "__main__":
    main()
