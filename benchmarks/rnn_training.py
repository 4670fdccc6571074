"""M's training: from the latents file against batches in memory."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch

from benchmarks.common import InMemory, interleaved, rate_of, report, size, synchronised
from world_models.datasets.latents import Latents, load_latents, save_latents
from world_models.datasets.loaders import SequenceBatches
from world_models.models.mdrnn import MDRNN
from world_models.training.fit.devices import has_fused_adam
from world_models.training.fit.passes import Learner, train_pass
from world_models.training.train_mdn_rnn import MDRNNLoss
from world_models.utils.device import resolve_device

BATCH, STEPS, EPISODES, ROWS, BATCHES = size(64), 32, size(400), 300, size(50)


def some_latents() -> Latents:
    """400 episodes of 300 rows of noise: their values do not change what a step costs."""
    rng, rows = np.random.default_rng(0), EPISODES * ROWS

    def noise(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        return rng.standard_normal(shape, dtype=np.float32)

    return Latents(
        mu=noise(rows, 32),
        logsigma=noise(rows, 32) - 2,
        actions=noise(rows, 3),
        rewards=noise(rows),
        terminals=np.zeros(rows, np.float32),
        lengths=np.full(EPISODES, ROWS),
        fingerprint="benchmark",
    )


def main() -> None:
    """50 batches of 64 sequences of 32 steps a turn."""
    device = resolve_device("auto")
    torch.manual_seed(0)
    mdrnn = MDRNN(32, 3, 256, 5).to(device)
    learner = Learner(
        model=mdrnn,
        loss_fn=MDRNNLoss(mdrnn, device),
        device=device,
        optimizer=torch.optim.Adam(mdrnn.parameters(), fused=has_fused_adam(device)),
        grad_clip=1.0,
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "latents_32.npz"
        save_latents(path, some_latents())
        file = SequenceBatches(load_latents(path), range(EPISODES), BATCH, STEPS, 0, True, device, max_batches=BATCHES)
        memory = InMemory(list(file))

        def passed(batches: SequenceBatches | InMemory[dict[str, torch.Tensor]]) -> float:
            train_pass(learner, batches, 0)
            synchronised(device)
            return BATCHES * BATCH

        rates = interleaved(
            {
                "from the file": lambda: rate_of(lambda: passed(file)),
                "in memory": lambda: rate_of(lambda: passed(memory)),
            }
        )
    goals = {("from the file", "in memory"): 0.95}
    report("rnn_training", "sequences/s", rates, goals, batch_size=BATCH, seq_len=STEPS)


if __name__ == "__main__":
    main()
