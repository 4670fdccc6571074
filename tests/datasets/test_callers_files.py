"""The documented datasets over rollout files as their callers write them, with `np.savez` and no more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from world_models.datasets.wm_dataset import ObservationDataset, RolloutDataset, SequenceDataset


def save(folder: Path, rows: int = 10, files: int = 3, size: int = 64, **changes: Any) -> list[dict[str, Any]]:
    """Writes episodes of random frames and gives their arrays; a change is a dtype, or a number of further rows."""
    rng, episodes = np.random.default_rng(0), []
    for index in range(files):
        actions = rows + changes.get("more_actions", 0)
        arrays = {
            "observations": rng.integers(0, 255, (rows, size, size, 3), dtype=np.uint8),
            "actions": rng.normal(size=(actions, 3)).astype(changes.get("actions", np.float32)),
            "rewards": rng.normal(size=rows).astype(changes.get("rewards", np.float32)),
            "terminals": (np.arange(rows) == rows - 1).astype(changes.get("terminals", np.float32)),
        }
        np.savez_compressed(folder / f"rollout_{index}.npz", **arrays)
        episodes.append(arrays)
    return episodes


@pytest.mark.parametrize(
    "changes",
    [
        {"terminals": bool},
        {"terminals": np.int64},
        {"terminals": np.float64, "rewards": np.float64, "actions": np.float64},
        {"more_actions": 1},
        {"terminals": bool, "more_actions": 1, "rows": 15},
    ],
    ids=str,
)
def test_what_loses_nothing_is_read_by_every_documented_dataset(tmp_path: Path, changes: dict[str, Any]) -> None:
    first, *_ = save(tmp_path, **changes)
    rows = len(first["rewards"])
    steps = RolloutDataset(tmp_path, buffer_size=2, num_test_files=1)
    assert len(steps) == 2 * rows
    for t in (0, rows - 1):
        sample = steps[t]
        assert {value.dtype for value in sample.values()} == {torch.float32}
        np.testing.assert_array_equal(sample["action"], first["actions"][t].astype(np.float32))
        assert sample["terminal"] == float(t == rows - 1) and sample["reward"] == np.float32(first["rewards"][t])
    assert sum(map(len, DataLoader(ObservationDataset(tmp_path, num_test_files=0), batch_size=4))) == 3 * rows
    now, action, reward, terminal, then = SequenceDataset(tmp_path, num_test_files=0, seq_len=5)[rows - 6]
    assert now.shape == then.shape == (5, 3, 64, 64) and torch.equal(now[1:], then[:-1])
    assert action.shape == (5, 3) and reward.shape == terminal.shape == (5,) and not terminal.any()
    assert action.dtype == terminal.dtype == torch.float32


def test_frames_of_another_size_come_out_as_v_sees_them(tmp_path: Path) -> None:
    save(tmp_path, size=96)

    def quarter(*, image: np.ndarray[Any, Any]) -> dict[str, Any]:
        return {"image": image[::2, ::2]}

    assert ObservationDataset(tmp_path, num_test_files=0)[0].shape == (3, 64, 64)
    smaller = ObservationDataset(tmp_path, transform=quarter, num_test_files=0)[0]
    assert smaller.shape[0] == 3 and smaller.shape[1] == smaller.shape[2]
