"""Several rounds of driving and training as one command: what each adds, and going on after a stop."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.small_runs import inline_executors
from tests.training.runs import assert_equal
from world_models.configs.presets import PRESETS, Preset
from world_models.datasets.dream_starts import load_starts, starts_path
from world_models.datasets.rollout_files import list_rollouts, read_meta
from world_models.runs.pipeline import Pipeline
from world_models.training import train_world_model
from world_models.utils.run_dir import STAGES, best_path, load_checkpoint


def command(folder: Path, *more: str) -> list[str]:
    flags = "--env CartPole-v1 --preset tiny --rounds 2 --device cpu --nosamples --rnn_hidden 16 --ctrl_generations 1"
    flags += " --num_rollouts 5 --num_workers 1 --ctrl_workers 1 --rollout_len 20 --seq_len 4 --ctrl_time_limit 20"
    return [*flags.split(), "--data_dir", str(folder / "data"), "--logdir", str(folder / "run"), *more]


@pytest.fixture(autouse=True)
def _inline(monkeypatch: pytest.MonkeyPatch) -> None:
    inline_executors(monkeypatch)


def test_a_run_stopped_in_its_second_round_ends_as_one_that_was_not(tmp_path, monkeypatch):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert train_world_model.main(command(whole)) == 0

    with monkeypatch.context() as patch:
        train_rnn = Pipeline.train_rnn

        def stop_in_round_2(pipeline: Pipeline) -> None:
            if pipeline.earlier is not None:
                raise KeyboardInterrupt
            train_rnn(pipeline)

        patch.setattr(Pipeline, "train_rnn", stop_in_round_2)
        assert train_world_model.main(command(stopped)) == 130
    assert len(json.loads((stopped / "run" / "rounds.json").read_text())["rounds"]) == 1
    assert train_world_model.main(command(stopped)) == 0

    policies = [read_meta(path)["policy"] for path in list_rollouts(stopped / "data")]
    assert policies == ["brownian"] * 5 + ["agent"] * 5
    records = json.loads((whole / "run" / "rounds.json").read_text())["rounds"]
    assert [record["round"] for record in records] == [1, 2]
    best = max(reversed(records), key=lambda record: record["best_return"])
    for stage in STAGES:
        promoted = load_checkpoint(best_path(whole / "run", stage))
        assert_equal(promoted, load_checkpoint(best_path(whole / "run" / f"round_{best['round']}", stage)), stage)
        assert_equal(promoted["state_dict"], load_checkpoint(best_path(stopped / "run", stage))["state_dict"], stage)


@pytest.fixture
def _dreaming(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = PRESETS["tiny"]
    dreams = replace(tiny, rnn={**tiny.rnn, "terminal_weight": 10.0}, dream={"temperature": 1.15})
    monkeypatch.setitem(PRESETS, "tiny", dreams)


@pytest.mark.usefixtures("_dreaming")
def test_rounds_of_a_preset_that_dreams_never_drive_while_evolving_and_give_the_last_one(tmp_path):
    assert train_world_model.main(command(tmp_path)) == 0
    policies = [read_meta(path)["policy"] for path in list_rollouts(tmp_path / "data")]
    assert policies == ["brownian"] * 5 + ["agent"] * 5, "it drives to collect"
    last, run = tmp_path / "run" / "round_2", tmp_path / "run"
    facts = load_checkpoint(best_path(run, "ctrl"))
    assert (facts["trained_in"], facts["dream_temperature"]) == ("dream", 1.15)
    for stage in STAGES:
        assert_equal(load_checkpoint(best_path(run, stage)), load_checkpoint(best_path(last, stage)), stage)
    starts = load_starts(starts_path(run))
    np.testing.assert_array_equal(starts.warm_mu, load_starts(starts_path(last)).warm_mu)
    assert json.loads((run / "settings.json").read_text())["run"]["dream_temperature"] == 1.15


@pytest.mark.usefixtures("_dreaming")
@pytest.mark.parametrize(
    ("given", "says"),
    [("temperature=0", "temperature is 0"), ("temperature=warm", "'warm'"), ("pessimism=-1", "pessimism is -1")],
)
def test_a_dream_that_cannot_be_is_refused_before_anything_is_written(tmp_path, capsys, given, says):
    assert train_world_model.main(command(tmp_path, "--set", f"dream.{given}")) == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "data").exists() and not (tmp_path / "run").exists()


@pytest.fixture
def _keeping(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = PRESETS["tiny"]
    ctrl = {"components": 3, "sigma": 0.1, "initial_bias": ()}
    later = Preset(
        {"policy": "agent", "num_rollouts": 10}, vae={"frozen": True}, rnn={"from_previous_round": True}, ctrl=ctrl
    )
    monkeypatch.setitem(PRESETS, "tiny", replace(tiny, rounds=(later,)))


@pytest.mark.usefixtures("_keeping")
@pytest.mark.parametrize("stopped", [False, True])
def test_a_round_can_keep_v_and_go_on_with_the_weights_of_m(tmp_path, monkeypatch, stopped):
    begun = []
    train_rnn = Pipeline.train_rnn

    def listening(pipeline: Pipeline) -> None:
        if pipeline.earlier is not None:
            folders = pipeline.earlier, Path(pipeline.args.logdir)
            begun.append([load_checkpoint(best_path(folder, "mdrnn"))["state_dict"] for folder in folders])
            if stopped and len(begun) == 1:
                raise KeyboardInterrupt
        train_rnn(pipeline)

    monkeypatch.setattr(Pipeline, "train_rnn", listening)
    argv = command(tmp_path)
    del argv[(at := argv.index("--num_rollouts")) : at + 2]
    if stopped:
        assert train_world_model.main(argv) == 130
    assert train_world_model.main(argv) == 0
    first, second = (tmp_path / "run" / f"round_{k}" for k in (1, 2))
    assert len(begun) == 1 + stopped
    for mine, theirs in begun:
        assert_equal(mine, theirs, "M begins where the round before ended")
    vs = [load_checkpoint(best_path(folder, "vae")) for folder in (first, second)]
    assert_equal(vs[0], vs[1], "V is kept")
    assert (first / "vae" / "log.jsonl").read_bytes() == (second / "vae" / "log.jsonl").read_bytes()
    ms = [load_checkpoint(best_path(folder, "mdrnn")) for folder in (first, second)]
    assert ms[0]["data_contents"] != ms[1]["data_contents"], "M has seen the new rollouts"
    assert len((second / "mdrnn" / "log.jsonl").read_text().splitlines()) == 1, "its log is of this round"


def test_rounds_of_nothing_are_an_error(tmp_path, capsys):
    assert train_world_model.main(command(tmp_path, "--rounds", "0")) == 2
    assert "rounds is 0" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_later_round_has_the_settings_that_differ_and_the_last_ones_go_on():
    several = Preset(
        flags={"seed": 1, "vae_epochs": 2},
        ctrl={"sigma": 0.2},
        rounds=(Preset(flags={"vae_epochs": 3}), Preset(ctrl={"sigma": 0.1})),
    )
    assert several.of_round(1).flags == several.flags
    assert several.of_round(2).flags == {"seed": 1, "vae_epochs": 3}
    assert several.of_round(3).ctrl == several.of_round(7).ctrl == {"sigma": 0.1}
    assert PRESETS["tiny"].of_round(2).flags["policy"] == "agent"
