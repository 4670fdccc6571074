"""Every documented flag reaches both entry points; flag, preset and default count in this order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.small_envs import STEER
from tests.small_runs import save_run
from world_models import cli
from world_models.commands import train
from world_models.envs import registry
from world_models.envs.registry import env_spec
from world_models.runs.evaluation import run_recipe
from world_models.runs.resolve import resolve
from world_models.training import train_world_model

ENTRIES = ((train_world_model.main, []), (cli.main, ["train"]))
VALUES = {
    "--env": "CartPole-v1",
    "--stage": "rnn",
    "--data_dir": "some/data",
    "--logdir": "some/run",
    "--device": "cpu",
    "--preset": "tiny",
    "--backend": "gymnasium",
    "--policy": "uniform",
    "--set": "ctrl.sigma=0.25",
    **dict.fromkeys(("--vae_lr", "--rnn_lr", "--ctrl_target"), "0.25"),
    **dict.fromkeys(
        (
            *("--latent_size", "--rnn_hidden", "--gmm_components", "--action_size", "--seq_len", "--seed"),
            *("--vae_epochs", "--vae_batch_size", "--rnn_epochs", "--rnn_batch_size", "--num_test_files"),
            *("--ctrl_pop_size", "--ctrl_samples", "--ctrl_workers", "--ctrl_time_limit", "--ctrl_generations"),
            *("--num_rollouts", "--rollout_len", "--num_workers"),
        ),
        "7",
    ),
}
EITHER_WAY = ("precompute_latents", "amp")
SWITCHES = {
    **{f"--{name}": (name, True) for name in ("generate_only", "test", "noreload", "nosamples", *EITHER_WAY)},
    **{f"--no_{name}": (name, False) for name in EITHER_WAY},
    "--use_amp": ("amp", True),
}


def parsed(monkeypatch: pytest.MonkeyPatch, main: Callable[[list[str]], int], argv: list[str]) -> dict[str, object]:
    """What the command works with, without working."""
    seen: list[dict[str, object]] = []

    def catch(args: object) -> None:
        seen.append(vars(resolve(args)))  # type: ignore[arg-type]

    monkeypatch.setattr(train, "train_world_model", catch)
    assert main(argv) == 0
    return seen[0]


@pytest.mark.parametrize("flag", VALUES)
def test_every_documented_flag_reaches_both_entry_points(flag: str, monkeypatch: pytest.MonkeyPatch) -> None:
    value = VALUES[flag]
    for main, start in ENTRIES:
        settings = parsed(monkeypatch, main, [*start, flag, value])
        assert str(settings[flag[2:]]).strip("[']") == value


@pytest.mark.parametrize("flag", SWITCHES)
def test_every_documented_switch_reaches_both_entry_points(flag: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, value = SWITCHES[flag]
    for main, start in ENTRIES:
        assert parsed(monkeypatch, main, [*start, flag])[name] is value


def test_without_flags_the_specifications_defaults_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = parsed(monkeypatch, train_world_model.main, [])
    wanted = {"env": "CarRacing-v2", "latent_size": 32, "rnn_hidden": 256, "gmm_components": 5, "vae_epochs": 10}
    wanted |= {"rnn_epochs": 30, "data_dir": "./data/carracing", "logdir": "./results/carracing", "stage": "all"}
    assert {name: settings[name] for name in wanted} == wanted


def test_a_flag_counts_before_the_preset_and_the_preset_before_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = parsed(monkeypatch, train_world_model.main, ["--preset", "tiny", "--seq_len", "5"])
    assert (settings["seq_len"], settings["vae_epochs"], settings["latent_size"]) == (5, 1, 32)


def test_the_cap_of_an_environment_takes_the_place_of_1000_steps_and_a_flag_counts_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    capped = replace(env_spec("CartPole-v1"), max_steps=321)
    monkeypatch.setitem(registry._KNOWN, "CartPole-v1", capped)
    for env, flags, wanted in (
        ("CarRacing-v3", [], (1000, 1000)),
        ("CartPole-v1", [], (321, 321)),
        ("CartPole-v1", ["--ctrl_time_limit", "50"], (50, 321)),
        ("CartPole-v1", ["--rollout_len", "60"], (321, 60)),
        ("CartPole-v1", ["--preset", "tiny"], (60, 60)),
    ):
        settings = parsed(monkeypatch, train_world_model.main, ["--env", env, *flags])
        assert (settings["ctrl_time_limit"], settings["rollout_len"]) == wanted


def test_scores_are_cut_at_the_environments_cap_unless_a_limit_is_given(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    save_run(tmp_path, controller=True)
    assert run_recipe(tmp_path, STEER).time_limit == 1000
    monkeypatch.setitem(registry._KNOWN, STEER, replace(env_spec(STEER), max_steps=321))
    assert (run_recipe(tmp_path, STEER).time_limit, run_recipe(tmp_path, STEER, time_limit=7).time_limit) == (321, 7)


@pytest.mark.parametrize("command", ["run", "collect", "train", "evaluate", "report", "watch"])
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main([command, "--help"])
    assert stopped.value.code == 0
    assert "--logdir" in capsys.readouterr().out
