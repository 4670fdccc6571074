"""V's training over a set of 2,000,000 frames (24.6 GB, sparse files): peak private memory, pass by pass.

Private memory is RssAnon of /proc/self/status (Linux): what the process owns. The mapped file's pages, which
the system takes back when it needs them, are not in it.
"""

from __future__ import annotations

import json
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from benchmarks.common import machine, size
from benchmarks.vae_training import make_learner
from world_models.datasets.cache_index import PARTS, CachedFile, CacheIndex
from world_models.datasets.frame_cache import FrameCache
from world_models.datasets.loaders import FrameBatches
from world_models.training.fit.passes import train_pass
from world_models.utils.device import resolve_device

FILES, ROWS, BATCH, BATCHES, PASSES = 2_000, 1_000, size(64), size(40), 3
GOAL_MB = 1_500.0


def sparse_cache(folder: Path) -> FrameCache:
    """A cache of 2,000 rollouts of 1,000 black frames that take no room on the disk."""
    names = [f"rollout_{i:05d}.npz" for i in range(FILES)]
    index = CacheIndex([CachedFile(name, 1, 1, ROWS, i * ROWS) for i, name in enumerate(names)], action_size=3)
    for part, name in PARTS.items():
        with open(folder / name, "wb") as file:
            file.truncate(index.nbytes(part))
    return FrameCache(folder, [folder / name for name in names], names, index)


def private_mb() -> float:
    """This process's own memory now."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(r"RssAnon:\s+(\d+) kB", status)
    if found is None:
        raise SystemExit("benchmarks/memory.py needs Linux: /proc/self/status has no RssAnon here.")
    return int(found[1]) / 1024


@contextmanager
def peak() -> Iterator[list[float]]:
    """The greatest private memory within the block, looked at every 5 ms; it stands in the list afterwards."""
    over, seen = threading.Event(), [private_mb()]

    def look() -> None:
        while not over.wait(0.005):
            seen[0] = max(seen[0], private_mb())

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()


def main() -> None:
    """Three passes of 40 batches of 64 frames out of 2,000,000."""
    device = resolve_device("cpu")
    torch.manual_seed(0)
    peaks = []
    with tempfile.TemporaryDirectory() as folder:
        cache = sparse_cache(Path(folder))
        batches = FrameBatches(cache, range(FILES), BATCH, True, 0, max_batches=BATCHES)
        learner = make_learner(device)
        for epoch in range(PASSES):
            with peak() as seen:
                train_pass(learner, batches, epoch)
            peaks.append(round(seen[0], 1))
    record = {
        "benchmark": "memory",
        "unit": "MB, peak private",
        "frames": FILES * ROWS,
        "passes": peaks,
        "peak": max(peaks),
        "goal": GOAL_MB,
        "growth": round(peaks[-1] - peaks[0], 1),
        "machine": machine(),
    }
    print(json.dumps(record), flush=True)


if __name__ == "__main__":
    main()
