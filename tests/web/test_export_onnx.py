"""`world-models export onnx`: what a run has, and nothing else; whole or not at all."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("onnx", reason="the extra `web` is not installed")
pytest.importorskip("onnxscript", reason="the extra `web` is not installed")
pytest.importorskip("onnxruntime", reason="the extra `web` is not installed")

import torch

from tests.cli_cases import Refused, snapshot
from tests.small_envs import PICK, STEER
from tests.small_runs import save_controller, save_mdrnn, save_run, save_vae
from tests.web_cases import Session, assert_near
from world_models import cli
from world_models.models.load import load_vae
from world_models.web import export as export_module

STAGES_OF = {"encoder": "vae", "decoder": "vae", "memory": "mdrnn", "controller": "ctrl"}


def manifest(folder: Path) -> Any:
    return json.loads((folder / "manifest.json").read_text("utf-8"))


def test_a_whole_run_gives_four_graphs_and_a_manifest_of_them(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run, out = save_run(tmp_path / "run"), tmp_path / "graphs"
    save_controller(run, env_name=STEER)
    assert cli.main(["export", "onnx", "--logdir", str(run), "--out", str(out)]) == 0
    said = capfd.readouterr()
    assert said.err == "", "the exporter's own talk is nobody's business"
    assert len(said.out.splitlines()) == 4
    facts = manifest(out)
    assert sorted(path.name for path in out.iterdir()) == sorted([*facts["files"], "manifest.json"])
    for name in STAGES_OF:
        data = (out / f"{name}.onnx").read_bytes()
        assert facts["files"][f"{name}.onnx"] == {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        shapes = Session(data).shapes()
        declared = facts["graphs"][name]
        assert list(shapes) == [*declared["inputs"], *declared["outputs"]]
        assert {key: list(shapes[key][0]) for key in declared["inputs"]} == declared["inputs"]
    sizes = ("latent_size", "hidden_size", "action_size", "gaussians")
    assert [facts[size] for size in sizes] == [4, 6, 2, 2]
    assert facts["env_id"] == STEER


def test_v_alone_gives_its_two_graphs_and_says_what_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, out = tmp_path / "run", tmp_path / "graphs"
    save_vae(run)
    assert cli.main(["export", "onnx", "--logdir", str(run), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "no M: memory" in said and "no C: controller" in said and "no V" not in said
    assert sorted(manifest(out)["files"]) == ["decoder.onnx", "encoder.onnx"]
    z = torch.randn(1, 4, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        wanted = {"image": load_vae(run).decoder(z)}
    assert_near(Session((out / "decoder.onnx").read_bytes())({"z": z}), wanted)


def test_m_and_c_without_v(tmp_path: Path) -> None:
    run, out = tmp_path / "run", tmp_path / "graphs"
    save_mdrnn(run, actions=3)
    save_controller(run, actions=3, env_name=PICK, hidden_size=0)
    assert cli.main(["export", "onnx", "--logdir", str(run), "--out", str(out)]) == 0
    assert sorted(manifest(out)["files"]) == ["controller.onnx", "memory.onnx"]
    act = Session((out / "controller.onnx").read_bytes())
    assert act.shapes()["h"][0] == (1, 6), "M's size, so that the page feeds h without asking whether C looks at it"


def test_an_empty_folder_is_an_error(refused: Refused) -> None:
    Path("run").mkdir()
    for logdir in ("run", "nowhere"):
        refused("export", "onnx", "--logdir", logdir, "--out", "graphs", says=(logdir, "nothing to export", "train"))


def test_a_controller_of_another_environment_is_refused(refused: Refused) -> None:
    save_controller(save_run(Path("run")), env_name=STEER)
    command = ("export", "onnx", "--logdir", "run", "--out", "graphs", "--env", PICK)
    refused(*command, says=("2 actions", "takes 3", "--env"))


def test_sizes_that_do_not_fit_are_refused(refused: Refused) -> None:
    save_controller(save_run(Path("run")), env_name=STEER)
    save_vae(Path("run"), latents=5)
    refused("export", "onnx", "--logdir", "run", "--out", "graphs", says=("5", "4"))


def test_somebodys_own_folder_is_left_alone_and_a_former_export_is_replaced(
    refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_module, "onnx_bytes", lambda graph: graph.name.encode())  # graphs are tested above
    save_vae(Path("run"))
    command = ("export", "onnx", "--logdir", "run", "--out", "out")
    Path("out").mkdir()
    Path("out", "thesis.tex").write_text("years of work")
    refused(*command, says=("out", "former export", "--out"))
    Path("out", "manifest.json").write_text("{}")
    refused(*command, says=("out", "former export", "--out"))
    for path in Path("out").iterdir():
        path.unlink()
    assert cli.main(command) == 0
    before = snapshot(Path("out"))
    Path("out", "decoder.onnx").write_bytes(b"old")
    assert cli.main(command) == 0
    assert snapshot(Path("out")) == before
    assert sorted(path.name for path in Path().iterdir()) == ["out", "run"], "no temporary folder is left"
    refused(*command[:-1], "out/decoder.onnx", says=("decoder.onnx is a file", "--out"))


@pytest.mark.parametrize("package", ["onnx", "onnxscript"])
def test_a_missing_package_is_named_with_the_line_that_installs_it(
    refused: Refused, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    save_vae(Path("run"))
    monkeypatch.setitem(sys.modules, package, None)
    words = (package, "pip install 'world-models-torch[web]'")
    refused("export", "onnx", "--logdir", "run", "--out", "graphs", says=words)
