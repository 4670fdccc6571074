"""`--config RUN/settings.json` repeats a run: the same losses and returns from the file alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.small_runs import inline_executors
from world_models import cli
from world_models.datasets.rollout_files import list_rollouts
from world_models.runs.pipeline import Pipeline
from world_models.runs.repeat import commit
from world_models.utils.run_dir import STAGES, best_path, load_checkpoint, log_path, read_jsonl

SIZES = "--rnn_hidden 24 --latent_size 4 --gmm_components 2 --seq_len 4 --num_rollouts 5 --rollout_len 12 --seed 3"
FLAGS = f"{SIZES} --num_workers 1 --ctrl_workers 1 --ctrl_time_limit 12 --ctrl_generations 2 --nosamples --device cpu"
SET = "--set ctrl.components=2 --set vae.free_bits=0.2 --set ctrl.hopeless=5"


@pytest.fixture(autouse=True)
def _inline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    inline_executors(monkeypatch)


def done(*argv: str) -> None:
    assert cli.main([argument for part in argv for argument in part.split()]) == 0


def losses_and_returns(logdir: Path, *folders: str) -> dict[str, Any]:
    """Every log without what tells the time, and the weights' sums."""
    found: dict[str, Any] = {}
    for folder in ("", *folders):
        for stage in STAGES:
            records = read_jsonl(log_path(logdir / folder, stage))
            found[f"{folder} {stage}"] = [
                {name: value for name, value in record.items() if name not in ("seconds", "time")} for record in records
            ]
    state = load_checkpoint(best_path(logdir, "ctrl"))["state_dict"]
    return found | {"c": {name: value.tolist() for name, value in state.items()}}


def test_a_run_of_rounds_is_repeated_from_its_settings_file() -> None:
    done(f"train --env CartPole-v1 --preset tiny --rounds 2 --data_dir data --logdir first {FLAGS} {SET}")
    done("train --config first/settings.json --logdir second")
    folders = [f"round_{k}" for k in (1, 2)]
    first = losses_and_returns(Path("first"), *folders)
    assert first["c"] and all(first[name] for name in first)
    assert losses_and_returns(Path("second"), *folders) == first
    assert len(list_rollouts("second/rollouts")) == len(list_rollouts("data"))
    kept = [json.loads(Path(f"{run}/settings.json").read_text()) for run in ("first", "second")]
    for part in ("run", "repeat", "made_by"):
        assert kept[0][part] == kept[1][part], "and is itself repeated so"


def test_a_whole_run_is_repeated_with_its_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pipeline, "report", lambda pipeline, summary: Path("none"))
    done(f"run --env CartPole-v1 --preset tiny --data_dir data --logdir first --episodes 3 {FLAGS} {SET}")
    done("run --config first/settings.json --logdir second")
    first, second = (json.loads(Path(f"{run}/summary.json").read_text()) for run in ("first", "second"))
    for who in ("random", "trained"):
        assert len(first[who]["returns"]) == 3
        assert first[who] == second[who]
    assert losses_and_returns(Path("second")) == losses_and_returns(Path("first"))


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    done(f"train --env CartPole-v1 --preset tiny --data_dir data --logdir first {FLAGS} {SET} --ctrl_target inf")
    return tmp_path / "first" / "settings.json"


def test_the_file_says_everything_and_where_nothing_lay(settings_file: Path) -> None:
    parts = json.loads(settings_file.read_text())
    assert parts["run"]["vae_lr"] == 1e-3 and parts["run"]["seq_len"] == 4, "defaults, too"
    assert parts["vae"]["free_bits"] == 0.2 and parts["vae"]["compile"] is True
    assert parts["ctrl"]["early_termination"] == 5 and parts["ctrl"]["selection_episodes"] == 0
    assert parts["repeat"]["preset"]["ctrl"]["components"] == 2
    made_by = parts["made_by"]
    assert made_by["commit"] == commit() and made_by["cores"] >= 1 and made_by["machine"] and made_by["version"]
    assert "--rnn_hidden 24" in made_by["command"] and "--preset tiny" in made_by["command"]
    assert str(settings_file.parents[1]) not in settings_file.read_text() and "--logdir" not in made_by["command"]


def test_flags_beside_the_file_count_before_it(settings_file: Path) -> None:
    done(f"train --config {settings_file} --logdir other --seed 4 --ctrl_generations 1 --set ctrl.components=3")
    other = json.loads(Path("other/settings.json").read_text())
    assert (other["run"]["seed"], other["run"]["ctrl_generations"], other["run"]["rnn_hidden"]) == (4, 1, 24)
    assert other["ctrl"]["components"] == 3 and other["ctrl"]["early_termination"] == 5
    assert other["run"]["ctrl_target"] is None, "no target, as JSON has no infinity"
    assert len(read_jsonl(log_path("other", "ctrl"))) == 1


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ("--config nowhere.json --logdir new", "there is no such file"),
        ("--config first/settings.json", "give --logdir"),
        ("--config first/settings.json --logdir new --preset tiny", "leave out --preset"),
        ("--config old/settings.json --logdir new", "does not say all settings"),
    ],
)
def test_what_cannot_be_repeated_is_said(argv: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    for folder, parts in (("first", {"run": {}, "repeat": {"given": {}, "preset": {}}}), ("old", {"run": {"seed": 1}})):
        Path(folder).mkdir()
        Path(folder, "settings.json").write_text(json.dumps(parts))
    assert cli.main(["train", *argv.split()]) == 2
    assert says in capsys.readouterr().err and not Path("new").exists()
