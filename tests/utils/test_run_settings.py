"""settings.json says what each stage was asked for and in which number format it computed, and no folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from world_models.errors import DataError
from world_models.utils.precision import arithmetic
from world_models.utils.run_settings import note_settings, read_settings, write_settings


def test_each_part_keeps_its_settings_and_is_replaced_by_its_next(tmp_path: Path) -> None:
    write_settings(tmp_path, "vae", {"learning_rate": 0.1})
    write_settings(tmp_path, "ctrl", {"pop_size": 8})
    write_settings(tmp_path, "vae", {"learning_rate": 0.2})

    settings = read_settings(tmp_path)

    assert settings["vae"]["learning_rate"] == 0.2 and settings["ctrl"]["pop_size"] == 8
    assert settings["vae"]["versions"]["torch"]
    assert settings["vae"]["arithmetic"] == arithmetic("cpu")
    assert [path.name for path in tmp_path.iterdir()] == ["settings.json"]


def test_folders_are_left_out(tmp_path: Path) -> None:
    folders = ("logdir", "data_dir", "refit_from", "warm_start", "whitening_rollouts", "start_from", "driving")
    values = {"seed": 3, **{name: f"/home/me/{name}" for name in folders}}
    path = write_settings(tmp_path, "ctrl", values)
    assert "/home/me" not in path.read_text() and read_settings(tmp_path)["ctrl"]["seed"] == 3


def test_a_stage_with_nothing_left_to_train_keeps_what_it_was_trained_with(tmp_path: Path) -> None:
    note_settings(tmp_path, "vae", {"learning_rate": 0.1}, training=False)
    note_settings(tmp_path, "vae", {"learning_rate": 0.2}, training=False)
    assert read_settings(tmp_path)["vae"]["learning_rate"] == 0.1
    note_settings(tmp_path, "vae", {"learning_rate": 0.3}, training=True)
    assert read_settings(tmp_path)["vae"]["learning_rate"] == 0.3


def test_a_run_without_settings_has_none(tmp_path: Path) -> None:
    assert read_settings(tmp_path) == {}


@pytest.mark.parametrize("content", ["{", "[]", '{"vae": 3}'])
def test_a_broken_file_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "settings.json").write_text(content)
    with pytest.raises(DataError, match=r"settings\.json"):
        read_settings(tmp_path)
