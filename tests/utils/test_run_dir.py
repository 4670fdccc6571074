"""The run's folder: what is written can be read back, and only that."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from world_models.errors import CheckpointError, DataError
from world_models.utils.run_dir import (
    STAGES,
    JsonlLog,
    best_path,
    checkpoint_path,
    load_checkpoint,
    load_weights,
    log_path,
    read_jsonl,
    save_checkpoint,
)

torch.set_num_threads(1)

scalars = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text()
nested = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3),
    max_leaves=10,
)


@pytest.mark.parametrize("stage", STAGES)
def test_each_stage_has_its_own_folder_and_the_documented_names(stage: str, tmp_path: Path) -> None:
    assert best_path(tmp_path, stage) == tmp_path / stage / "best.tar"
    assert checkpoint_path(str(tmp_path), stage) == tmp_path / stage / "checkpoint.tar"
    assert log_path(tmp_path, stage) == tmp_path / stage / "log.jsonl"


def test_an_unknown_stage_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'rnn'"):
        best_path(tmp_path, "rnn")


@settings(max_examples=30, deadline=None)
@given(extra=nested)
def test_nested_plain_values_come_back_equal(extra: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("plain") / "checkpoint.tar"
    save_checkpoint(path, {"state_dict": {}, "extra": extra})
    assert load_checkpoint(path)["extra"] == extra


def test_tensors_and_numpy_values_come_back_as_tensors_and_numbers(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "best.tar"
    payload = {
        "state_dict": OrderedDict(w=torch.arange(6.0).view(2, 3)),
        "scalar": np.float64(0.5),
        "array": np.arange(3, dtype=np.int64),
        "pair": (np.int32(1), np.bool_(True)),
        "half": torch.ones(2, dtype=torch.bfloat16),
    }
    save_checkpoint(path, payload)
    loaded = load_checkpoint(path)
    torch.testing.assert_close(loaded["state_dict"]["w"], payload["state_dict"]["w"])
    assert loaded["scalar"] == 0.5 and type(loaded["scalar"]) is float
    assert loaded["array"].tolist() == [0, 1, 2]
    assert loaded["pair"] == (1, True)
    assert loaded["half"].dtype is torch.bfloat16


def test_a_view_does_not_drag_its_whole_storage_into_the_file(tmp_path: Path) -> None:
    path = tmp_path / "best.tar"
    save_checkpoint(path, {"state_dict": {"w": torch.zeros(1_000_000)[:2]}})
    assert path.stat().st_size < 10_000


@pytest.mark.parametrize("value", [object(), {1, 2}, Path("x"), np.array(["a"]), lambda: None])
def test_what_a_checkpoint_cannot_hold_is_named_and_nothing_is_written(value: Any, tmp_path: Path) -> None:
    path = tmp_path / "best.tar"
    with pytest.raises(CheckpointError, match=r"payload\['a'\]\[0\]"):
        save_checkpoint(path, {"state_dict": {}, "a": [value]})
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_keeps_the_old_checkpoint_and_leaves_no_rubbish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "checkpoint.tar"
    save_checkpoint(path, {"state_dict": {}, "epoch": 1})

    def interrupted(payload: Any, stream: Any) -> None:
        stream.write(b"half of it")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(torch, "save", interrupted)
        save_checkpoint(path, {"state_dict": {}, "epoch": 2})
    assert load_checkpoint(path)["epoch"] == 1
    assert [item.name for item in tmp_path.iterdir()] == ["checkpoint.tar"]


def test_a_reader_beside_a_writer_always_finds_a_whole_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.tar"
    save_checkpoint(path, {"state_dict": {}, "epoch": 0})

    def write() -> None:
        for epoch in range(1, 30):
            save_checkpoint(path, {"state_dict": {"w": torch.zeros(1000)}, "epoch": epoch})

    writer = threading.Thread(target=write)
    writer.start()
    seen = [load_checkpoint(path)["epoch"]]
    while writer.is_alive():
        seen.append(load_checkpoint(path)["epoch"])
    writer.join()
    assert seen == sorted(seen)


@pytest.mark.parametrize(("stage", "flag"), [("vae", "vae"), ("mdrnn", "rnn"), ("ctrl", "ctrl")])
def test_a_missing_checkpoint_names_the_stage_to_train(stage: str, flag: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=rf"{stage}.best\.tar.*no such.*{stage} stage.*--stage {flag}"):
        load_checkpoint(best_path(tmp_path, stage))


class Opaque:
    """A class that no checkpoint may name."""


@pytest.mark.parametrize("kind", ["text", "empty", "cut", "object", "tensor", "no state_dict", "folder"])
def test_what_is_not_a_checkpoint_is_refused_with_its_path(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "best.tar"
    contents: dict[str, Any] = {
        "object": {"state_dict": {}, "x": Opaque()},
        "tensor": torch.ones(2),
        "no state_dict": {"epoch": 1},
    }
    if kind == "folder":
        path.mkdir()
    elif kind in contents:
        torch.save(contents[kind], path)
    else:
        torch.save({"state_dict": {"w": torch.ones(1000)}}, path)
        whole = path.read_bytes()
        path.write_bytes({"text": b"hello\n" * 100, "empty": b"", "cut": whole[: len(whole) // 2]}[kind])
    with pytest.raises(CheckpointError, match=r"best\.tar"):
        load_checkpoint(path)


def test_weights_load_into_a_module_even_from_a_compiled_one(tmp_path: Path) -> None:
    source, target = nn.Linear(3, 2), nn.Linear(3, 2)
    renamed = {f"_orig_mod.{name}": value for name, value in source.state_dict().items()}
    load_weights(target, {"state_dict": renamed}, tmp_path)
    torch.testing.assert_close(target.weight, source.weight)


def test_weights_of_other_sizes_are_refused_naming_tensor_and_both_shapes() -> None:
    module = nn.Linear(3, 2)
    before = module.weight.detach().clone()
    with pytest.raises(CheckpointError, match=r"run/best\.tar.*'weight'.*\(2, 5\).*\(2, 3\)"):
        load_weights(module, {"state_dict": nn.Linear(5, 2).state_dict()}, "run/best.tar")
    torch.testing.assert_close(module.weight, before)


def test_a_missing_or_a_surplus_tensor_is_named() -> None:
    module = nn.Linear(3, 2)
    with pytest.raises(CheckpointError, match="'bias'"):
        load_weights(module, {"state_dict": {"weight": module.weight}}, "x")
    with pytest.raises(CheckpointError, match="'surplus'"):
        load_weights(module, {"state_dict": {**module.state_dict(), "surplus": torch.ones(1)}}, "x")


def test_log_lines_come_back_in_order_as_plain_json(tmp_path: Path) -> None:
    log = JsonlLog(tmp_path / "vae" / "log.jsonl")
    log.write({"epoch": 1, "loss": np.float32(0.5), "bad": float("nan"), "list": [torch.tensor(2)]})
    log.write({"epoch": 2})
    assert read_jsonl(log.path) == [{"epoch": 1, "loss": 0.5, "bad": None, "list": [2]}, {"epoch": 2}]
    assert all(json.loads(line) for line in log.path.read_text().splitlines())


def test_a_cut_last_line_is_left_out_and_replaced_by_the_next_write(tmp_path: Path) -> None:
    log = JsonlLog(tmp_path / "log.jsonl")
    log.write({"epoch": 1})
    with log.path.open("a") as stream:
        stream.write('{"epoch": 2, "lo')
    assert read_jsonl(log.path) == [{"epoch": 1}]
    log.write({"epoch": 2})
    assert read_jsonl(log.path) == [{"epoch": 1}, {"epoch": 2}]


def test_a_broken_line_in_the_middle_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"epoch": 1}\nrubbish\n{"epoch": 3}\n')
    with pytest.raises(DataError, match="line 2"):
        read_jsonl(path)


def test_a_log_that_does_not_exist_is_empty(tmp_path: Path) -> None:
    assert read_jsonl(tmp_path / "log.jsonl") == []


def test_rewinding_keeps_only_what_came_before(tmp_path: Path) -> None:
    log = JsonlLog(tmp_path / "log.jsonl")
    log.rewind("epoch", 3)
    for epoch in range(1, 6):
        log.write({"epoch": epoch})
    log.rewind("epoch", 3)
    assert [record["epoch"] for record in read_jsonl(log.path)] == [1, 2, 3]
