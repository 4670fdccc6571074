"""The program behind the table of ablations, in miniature: what its cases are, and that it does each once."""

import argparse
import json

import pytest
import torch

from benchmarks import ablations
from benchmarks.networks import save_networks
from tests.small_envs import STEER
from tests.small_runs import driven_run, inline_executors, save_vae
from world_models.configs.presets import Preset
from world_models.search.settings import ControllerSettings
from world_models.search.setup import make_template
from world_models.utils.run_dir import best_path, checkpoint_path, load_checkpoint

SMALL = Preset(
    flags={"ctrl_samples": 2, "ctrl_pop_size": 4},
    ctrl={
        "from_previous_round": False,
        "components": 3,
        "standardized": True,
        "eval_every": 2,
        "eval_episodes": 2,
        "phases": [],
    },
    rounds=(Preset(),),
)


@pytest.fixture
def command(tmp_path, monkeypatch):
    """The command line, on a small run with data of its agent."""
    inline_executors(monkeypatch)
    monkeypatch.setattr(ablations, "ENV", STEER)
    monkeypatch.setattr(ablations, "BACKEND", "gymnasium")
    monkeypatch.setattr(ablations, "ANEW", {})
    monkeypatch.setattr(ablations, "preset", lambda name: SMALL)
    return [*driven_run(tmp_path), "--env_steps", "150", "--episodes", "3"]


def stage(out, case: str, name: str) -> dict:
    return load_checkpoint(best_path(out / case, name))["state_dict"]


def test_each_case_is_evolved_and_scored_once_and_stands_in_the_table(command, tmp_path, capsys, monkeypatch):
    ablations.main(["z_h", "z", "z_h_untrained_m", *command])
    first = capsys.readouterr().out
    records, out = [json.loads(line) for line in first.splitlines()], tmp_path / "out"
    assert [each["case"] for each in records] == ["z_h", "z", "z_h_untrained_m"]
    assert [each["parameters"] for each in records] == [22, 10, 22]
    assert all(each["env_steps"] >= 150 and each["curve"] for each in records)
    table = (out / "ablations.md").read_text()
    assert table.count("\n") == 5 and f"| z | 0 | 10 | {records[1]['episodes']:,} |" in table
    monkeypatch.setattr(ablations, "train_controller", lambda config: pytest.fail("evolved again"))
    ablations.main(["z_h", "z", "z_h_untrained_m", *command])
    assert capsys.readouterr().out == first


def test_a_case_of_another_budget_or_another_v_is_refused_and_stays(command, tmp_path):
    ablations.main(["z", *command])
    done = tmp_path / "out" / "z_seed0" / "ablation.json"
    before = done.read_bytes()
    with pytest.raises(SystemExit, match=r"'env_steps': 150.*'env_steps': 300.*another --out"):
        ablations.main(["z", *command, "--env_steps", "300"])
    save_vae(tmp_path / "run", seed=7)
    with pytest.raises(SystemExit, match=r"vae.best\.tar is another one than .*name another --out"):
        ablations.main(["z", *command])
    assert done.read_bytes() == before


def test_v_and_m_are_the_runs_but_where_m_is_untrained(command, tmp_path):
    ablations.main(["z_h", "z_h_untrained_m", *command])
    run, out = tmp_path / "run", tmp_path / "out"
    for case, name in (("z_h_seed0", "mdrnn"), ("z_h_seed0", "vae"), ("z_h_untrained_m_seed0", "vae")):
        mine, theirs = stage(out, case, name), load_checkpoint(best_path(run, name))["state_dict"]
        assert all(torch.equal(mine[key], theirs[key]) for key in theirs)
    untrained, trained = stage(out, "z_h_untrained_m_seed0", "mdrnn"), stage(out, "z_h_seed0", "mdrnn")
    assert all(untrained[key].shape == trained[key].shape for key in trained)
    assert not any(torch.equal(untrained[key], trained[key]) for key in trained)


@pytest.mark.parametrize("name", [name for name in ablations.CASES if name != ablations.CARRIED])
def test_every_case_of_car_racing_is_a_setting_that_works(tmp_path, name):
    save_networks(tmp_path / "run")
    changes = dict(ablations.CASES[name])
    ablations.prepare(tmp_path / "case", tmp_path / "run", changes.pop("untrained_m", False), 0)
    args = argparse.Namespace(data_dir="data", env_steps=1000)
    config = ablations.config(tmp_path / "case", changes, args, 3)
    settings = ControllerSettings.from_config(config)
    sizes = {"z": 99, "z_mlp_40": 1443, "z_own_parameters": 99}
    assert sum(p.numel() for p in make_template(config, settings).parameters()) == sizes.get(name, 867)
    assert settings.seed == 3 and settings.max_env_steps == 1000 and not settings.phases
    assert (config.n_samples, config.pop_size) == ({"six_episodes": 6, "one_episode": 1}.get(name, 2), 24)


def test_c_is_carried_over_from_an_earlier_round_where_one_is_named(command, tmp_path, capsys):
    run = str(tmp_path / "run")
    ablations.main([ablations.CARRIED, "--earlier", run, *command])
    assert json.loads(capsys.readouterr().out)["case"] == "carried"
    saved = load_checkpoint(checkpoint_path(tmp_path / "out" / "carried_seed0", "ctrl"))
    assert "offset" in saved["space"]
    assert "carried" in ablations.arguments(["--earlier", run, *command]).cases
    assert "carried" not in ablations.arguments(command).cases
    with pytest.raises(SystemExit):
        ablations.main([ablations.CARRIED, *command])
    assert "carried: give --earlier" in capsys.readouterr().err


def test_an_unknown_case_is_named(capsys):
    with pytest.raises(SystemExit):
        ablations.main(["zh", "--logdir", "a", "--data_dir", "b", "--out", "c"])
    assert "zh: no such case; there are z_h, z," in capsys.readouterr().err


def test_the_case_dreamt_begins_at_the_controller_of_another_run_in_this_m(command, tmp_path, monkeypatch, capsys):
    ablations.main(["z_h", *command])
    begun = []
    train = ablations.train_controller
    monkeypatch.setattr(ablations, "train_controller", lambda config: begun.append(config.extra) or train(config))
    ablations.main(["dreamt", "--dreamt", str(tmp_path / "out" / "z_h_seed0"), *command])
    assert begun[0]["warm_start"] == str(tmp_path / "out" / "z_h_seed0") and begun[0]["initial_bias"] == ()
    capsys.readouterr()
    with pytest.raises(SystemExit):
        ablations.main(["dreamt", *command])
    assert "dreamt: give --dreamt, the folder of the run whose C it begins at" in capsys.readouterr().err
