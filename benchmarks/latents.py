"""Precomputing latents (frames from the cache, V's encoder, the file) against the encoder on tensors in memory."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch

from benchmarks.common import interleaved, rate_of, report, size, synchronised
from benchmarks.frames import collect_frames
from benchmarks.networks import LATENTS, save_networks
from world_models.configs.wm_config import WMMDNRNNConfig, WMVAEConfig
from world_models.training.fit.latents import latent_source, precompute_latents
from world_models.utils.device import resolve_device
from world_models.vision.latents import encode

ROLLOUTS, STEPS, AT_ONCE = 6, size(500), 512


def main() -> None:
    """3,000 frames of real driving."""
    device = resolve_device("auto")
    with tempfile.TemporaryDirectory() as folder:
        data, logdir = Path(folder) / "data", Path(folder) / "run"
        save_networks(logdir)
        cache = collect_frames(data, ROLLOUTS, STEPS)
        configs = (
            WMVAEConfig(data_dir=str(data), logdir=str(logdir), latent_size=LATENTS),
            WMMDNRNNConfig(data_dir=str(data), logdir=str(logdir), latent_size=LATENTS),
        )
        source = latent_source(*configs)
        frames = torch.split(torch.from_numpy(np.array(cache.frames)).to(device), AT_ONCE)

        def precompute() -> float:
            source.path.unlink(missing_ok=True)
            precompute_latents(*configs)
            return float(cache.lengths.sum())

        def in_memory() -> float:
            for part in frames:
                encode(source.vae, part)
            synchronised(device)
            return float(cache.lengths.sum())

        rates = interleaved(
            {"precompute": lambda: rate_of(precompute), "the encoder alone": lambda: rate_of(in_memory)}
        )
    report("latents", "frames/s", rates, {("precompute", "the encoder alone"): 0.8}, frames=int(cache.lengths.sum()))


if __name__ == "__main__":
    main()
