"""What the report tells of a data folder is what lies in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.doubles import counting_rollout, decode_time, noise_rollout
from world_models.datasets.rollout_files import write_rollout
from world_models.errors import DataError
from world_models.report.data import read_data


def test_counts_returns_and_origins(tmp_path: Path) -> None:
    for number, (length, policy) in enumerate([(4, "brownian"), (6, "agent"), (5, "agent")]):
        meta = {"env_id": "CarRacing-v3", "backend": "redrawn", "policy": policy}
        write_rollout(tmp_path / f"rollout_{number}.npz", counting_rollout(length, terminal=number == 1), meta)

    data = read_data(tmp_path)

    assert (data.files, data.lengths, data.returns) == (3, (4, 6, 5), (6.0, 15.0, 10.0))
    assert data.terminals == 1 and data.actions.shape == (15, 3)
    assert data.origins == ((("CarRacing-v3", "redrawn", "agent"), 2), (("CarRacing-v3", "redrawn", "brownian"), 1))
    assert data.rollout_file == "rollout_1.npz" and len(data.rollout) == 6
    assert sorted(decode_time(frame) for frame in data.frames) == sorted([*range(4), *range(6), *range(5)])


def test_facts_that_nobody_recorded_are_said_to_be_missing(tmp_path: Path) -> None:
    write_rollout(tmp_path / "rollout_0.npz", noise_rollout(3))
    assert read_data(tmp_path).origins == ((("not recorded",) * 3, 1),)


def test_of_many_files_some_evenly_spread_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("world_models.report.data._MOST_FILES", 3)
    for number in range(9):
        write_rollout(tmp_path / f"rollout_{number}.npz", counting_rollout(number + 1))

    data = read_data(tmp_path)

    assert (data.files, data.looked_at, data.lengths) == (9, 3, (1, 5, 9))


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    write_rollout(tmp_path / "rollout_0.npz", noise_rollout(3))
    (tmp_path / "rollout_1.npz").write_bytes(b"no archive")
    with pytest.raises(DataError, match=r"rollout_1\.npz"):
        read_data(tmp_path)
