"""A run as it is passed on: it drives as the run does, is small, and says which V its M belongs to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.small_runs import save_run
from world_models.cli import main
from world_models.datasets.latents import vae_fingerprint
from world_models.errors import CheckpointError, ConfigError
from world_models.models.load import load_cell, load_controller, load_vae
from world_models.runs.pack import pack_run
from world_models.utils.run_dir import best_path, load_checkpoint


@pytest.fixture
def run(tmp_path: Path) -> Path:
    logdir = save_run(tmp_path / "run", controller=True)
    (logdir / "summary.json").write_text(json.dumps({"trained": {"mean": 1.0}}))
    return logdir


def test_v_is_half_as_large_and_m_and_c_are_as_they_were(run: Path, tmp_path: Path) -> None:
    pack = pack_run(run, tmp_path / "pack")
    assert pack.sizes["vae/best.tar"] < 0.51 * best_path(run, "vae").stat().st_size + 20_000
    for load in (load_cell, lambda folder: load_controller(folder)[0]):
        for mine, theirs in zip(load(run).parameters(), load(pack.folder).parameters(), strict=True):
            assert torch.equal(mine, theirs)
    for mine, theirs in zip(load_vae(run).parameters(), load_vae(pack.folder).parameters(), strict=True):
        assert theirs.dtype == torch.float32
        assert torch.equal(mine.to(torch.bfloat16).float(), theirs)
    assert json.loads((pack.folder / "summary.json").read_text()) == {"trained": {"mean": 1.0}}
    assert not list(pack.folder.rglob("checkpoint.tar"))


def test_m_is_rounded_where_that_is_asked_for(run: Path, tmp_path: Path) -> None:
    pack_run(run, tmp_path / "pack", half_memory=True)
    for mine, theirs in zip(load_cell(run).parameters(), load_cell(tmp_path / "pack").parameters(), strict=True):
        assert torch.equal(mine.to(torch.bfloat16).float(), theirs) and not torch.equal(mine, theirs)


def test_m_names_the_v_that_it_is_packed_with(run: Path, tmp_path: Path) -> None:
    path = best_path(run, "mdrnn")
    memory = load_checkpoint(path)
    torch.save(memory | {"vae_fingerprint": vae_fingerprint(load_vae(run).state_dict())}, path)
    pack = pack_run(run, tmp_path / "pack")
    said = load_checkpoint(best_path(pack.folder, "mdrnn"))["vae_fingerprint"]
    assert said == vae_fingerprint(load_vae(pack.folder).state_dict())
    assert said != vae_fingerprint(load_vae(run).state_dict())


def test_a_run_without_all_stages_and_a_folder_in_use_are_refused(run: Path, tmp_path: Path) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "thesis.tex").write_text("years of work")
    with pytest.raises(ConfigError, match="not empty"):
        pack_run(run, tmp_path / "used")
    best_path(run, "ctrl").unlink()
    with pytest.raises(CheckpointError, match=r"ctrl.best\.tar does not exist"):
        pack_run(run, tmp_path / "pack")
    assert not (tmp_path / "pack").exists()


def test_the_command_line_lists_what_it_wrote(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "run", "--logdir", str(run), "--out", str(tmp_path / "pack")]) == 0
    said = capsys.readouterr().out
    assert all(f"{stage}/best.tar: " in said for stage in ("vae", "mdrnn", "ctrl"))
    assert main(["export", "run", "--logdir", str(run), "--out", str(tmp_path / "pack")]) == 2
