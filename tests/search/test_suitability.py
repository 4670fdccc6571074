"""What cannot work with environment, sizes or data is refused before a step is driven or an epoch trained."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.doubles import make_rollouts
from tests.search import evolutions
from tests.small_envs import STEER
from tests.small_runs import HIDDENS, LATENTS, inline_executors, save_run
from world_models import cli, notices
from world_models.commands.flags import add_training_flags
from world_models.configs.presets import PRESETS
from world_models.datasets.rollout_files import read_rollout, write_rollout
from world_models.envs.registry import EnvSpec, env_spec
from world_models.envs.vizdoom_env import TAKE_COVER
from world_models.errors import ConfigError, MissingDependencyError
from world_models.rollout import loop
from world_models.runs.resolve import resolve
from world_models.runs.settings import RunSettings
from world_models.runs.stages import read_stages
from world_models.search.suitability import check_preset
from world_models.training.fit import loop as fit_module
from world_models.typed import check
from world_models.types import Rollout

SIZES = f"--latent_size {LATENTS} --rnn_hidden {HIDDENS} --gmm_components 2 --seq_len 4 --device cpu --nosamples"


class Counted:
    """Steps driven and epochs trained."""

    def __init__(self) -> None:
        self.steps, self.epochs = 0, 0


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Counted]:
    """Counts, in an empty folder and without worker processes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORLD_MODELS_QUIET", "1")
    inline_executors(monkeypatch)
    count, drive, train_pass = Counted(), loop.drive, fit_module.train_pass

    def driving(*args: Any, **more: Any) -> Any:
        count.steps += 1
        return drive(*args, **more)

    def training(*args: Any, **more: Any) -> Any:
        count.epochs += 1
        return train_pass(*args, **more)

    monkeypatch.setattr("world_models.rollout.driver.drive", driving)
    monkeypatch.setattr(fit_module, "train_pass", training)
    yield count


def command(*argv: str, env: str = STEER, preset: str = "tiny") -> list[str]:
    folders = ["--data_dir", "data", "--logdir", "run"]
    return ["train", "--env", env, "--preset", preset, *folders, *SIZES.split(), *argv]


SETTINGS = {  # what is given on the command line, and what the sentence says
    "--set ctrl.components=11": ("components=11", "C sees 10 numbers"),
    "--set ctrl.components=5 --set ctrl.use_hidden=false": ("components=5", "C sees 4 numbers"),
    "--set ctrl.components=17 --set ctrl.use_cell=true": ("components=17", "C sees 16 numbers"),
    "--set ctrl.components=6 --set ctrl.whitening_episodes=1 --ctrl_time_limit 5": ("components=6", "5 states"),
    "--set ctrl.initial_bias=[0,0,0]": ("initial_bias has 3 numbers", "2 actions"),
    "--set collect.mirrored=true": ("mirrored", "not known to be alike left and right"),
    "--set collect.mirrored=no": ("mirrored is 'no'", "true or false"),
    "--set collect.early_termination=-4": ("early_termination is -4",),
    "--set vae.free_bits=-1": ("free_bits is -1",),
    "--set vae.precision=fp8": ("precision is 'fp8'", "bf16"),
    "--set vae.anneal=2": ("anneal is 2",),
    "--set vae.frames_per_epoch=0": ("frames_per_epoch is 0",),
    "--set vae.compile=maybe": ("compile is 'maybe'",),
    "--set rnn.optimizer=sgd": ("optimizer is 'sgd'",),
    "--set rnn.grad_clip=-1": ("grad_clip is -1",),
    "--set rnn.reward_smoothing=1.5": ("reward_smoothing is 1.5",),
    "--set rnn.terminal_weight=NaN": ("terminal_weight is nan",),
    "--set rnn.from_previous_round=1": ("from_previous_round is 1", "true or false"),
    "--set ctrl.use_hidden=no": ("use_hidden is 'no'", "true or false"),
    "--rounds 2 --stage vae": ("--rounds 2", "--stage all"),
    "--rnn_lr 1e30": ("rnn_lr is 1e+30", "at most 1"),
    "--spread nan": ("spread is nan",),
    "--rnn_hidden 100000000": ("hidden_size=100000000", "GiB"),
    "--latent_size 1000000000": ("latent_size=1000000000", "GiB"),
    "--ctrl_pop_size 100000000000": ("pop_size=100000000000", "GiB"),
}


@pytest.mark.parametrize("given", SETTINGS)
def test_a_setting_that_cannot_work_is_refused_before_anything_is_driven(
    given: str, counted: Counted, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(command(*given.split())) == 2
    told = capsys.readouterr().err
    for words in SETTINGS[given]:
        assert words in told
    assert (counted.steps, counted.epochs) == (0, 0) and not Path("run").exists() and not Path("data").exists()


def test_what_the_counters_count_is_there_where_all_fits(counted: Counted) -> None:
    assert cli.main(command("--set", "ctrl.components=10", "--set", "ctrl.initial_bias=[0,0]")) == 0
    assert counted.steps > 3 and counted.epochs == 2


def without_ends(lengths: tuple[int, ...]) -> None:
    for path in make_rollouts(Path("data"), lengths, 2, seed=1):
        rollout = read_rollout(path)
        write_rollout(path, Rollout(rollout.observations, rollout.actions, rollout.rewards, 0 * rollout.terminals))


@pytest.mark.parametrize("stage", ["all", "rnn"])
def test_a_weight_of_ends_without_any_end_is_refused_before_v_and_m_are_trained(
    stage: str, counted: Counted, capsys: pytest.CaptureFixture[str]
) -> None:
    without_ends((9,) * 6)
    save_run(Path("run"))
    before = sorted(Path().rglob("*.tar"))
    assert cli.main(command("--set", "rnn.terminal_weight=5", "--stage", stage)) == 2
    told = capsys.readouterr().err
    assert "terminal_weight=5" in told and "none of the 5 episodes" in told and "--rollout_len" in told
    assert (counted.steps, counted.epochs) == (0, 0) and sorted(Path().rglob("*.tar")) == before


def test_an_end_in_the_held_out_part_alone_is_none(counted: Counted) -> None:
    without_ends((9,) * 6)
    last = Path("data/rollout_00005.npz")
    rollout = read_rollout(last)
    ends = np.eye(9, dtype=np.float32)[-1]
    write_rollout(last, Rollout(rollout.observations, rollout.actions, rollout.rewards, ends))
    assert cli.main(command("--set", "rnn.terminal_weight=5")) == 2
    assert cli.main(command("--set", "rnn.terminal_weight=5", "--num_test_files", "0", "--stage", "vae")) == 0


def test_short_episodes_are_said_before_v_is_trained(counted: Counted, caplog: pytest.LogCaptureFixture) -> None:
    make_rollouts(Path("data"), (9, 1, 3, 9, 4, 9), 2, seed=1)
    notices.forget()
    with caplog.at_level(logging.INFO):
        assert cli.main(command("--num_rollouts", "6")) == 0
    lines = [record.message for record in caplog.records]
    said = [line for line in lines if "M trains on 4 episodes (25 rows); 2 of them are shorter than" in line]
    assert len(said) == 1 and "1 more have too few rows" in said[0]
    assert lines.index(said[0]) < next(k for k, line in enumerate(lines) if line.startswith("vae: "))


# --- presets of other games

GAMES = {"quick": "CarRacing-v3", "carracing": "CarRacing-v3", "carracing-dream": "CarRacing-v3"}


@pytest.mark.parametrize("preset", GAMES)
def test_a_preset_of_another_game_is_refused_and_names_its_own(
    preset: str, counted: Counted, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(command(preset=preset)) == 2
    told = capsys.readouterr().err
    assert f"--preset {preset}" in told and GAMES[preset] in told and STEER in told
    assert (counted.steps, counted.epochs) == (0, 0)


def spec_of(env_id: str, **changes: Any) -> EnvSpec:
    return EnvSpec(env_id, **changes)


CAR = {"rows": 84, "squash": ("tanh", "sigmoid", "clipped_tanh"), "mirror": (0,)}


@pytest.mark.parametrize(
    ("preset", "spec", "fits"),
    [
        *((name, spec_of("Anything-v0"), True) for name in ("default", "tiny", "paper")),
        *((name, spec_of("CarRacing-v3", **CAR), True) for name in GAMES),
        ("carracing", spec_of("mine:MyCarRacing-v0", **CAR), True),
        ("carracing", spec_of("mine:CarOfButtons-v0", rows=84), False),
        ("takecover", spec_of("CarRacing-v3", **CAR), False),
    ],
)
def test_a_preset_fits_its_own_game_and_what_is_a_variant_of_it(
    preset: str, spec: EnvSpec, fits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    games = {"CarRacing-v3": env_spec("CarRacing-v3"), "TakeCover": spec_of("TakeCover", line=(1, 2))}
    monkeypatch.setattr("world_models.search.suitability.env_spec", games.__getitem__)
    if fits:
        check_preset(preset, PRESETS[preset], spec)
    else:
        with pytest.raises(ConfigError, match=f"--preset {preset} has settings for {PRESETS[preset].game}"):
            check_preset(preset, PRESETS[preset], spec)


def test_a_preset_of_a_game_that_is_not_installed_is_refused_for_the_game_and_not_for_the_package(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(env_name: str) -> EnvSpec:
        raise MissingDependencyError("pip install vizdoom")

    monkeypatch.setattr("world_models.search.suitability.env_spec", missing)
    with pytest.raises(ConfigError, match="--preset takecover has settings for TakeCover"):
        check_preset("takecover", PRESETS["takecover"], spec_of("CartPole-v1"))
    check_preset("takecover", PRESETS["takecover"], spec_of(TAKE_COVER))


def test_every_setting_of_a_stage_is_read_before_anything_is_driven() -> None:
    for table in PRESETS.values():
        rounds = [table.of_round(number) for number in range(1, 2 + len(table.rounds))]
        for each in rounds:
            read_stages(each)
            check(RunSettings, each.flags)


def test_a_preset_without_a_flag_for_the_environment_takes_its_own_game() -> None:
    parser = argparse.ArgumentParser()
    add_training_flags(parser)
    for name, game in GAMES.items():
        args = resolve(parser.parse_args(["--preset", name]))
        check_preset(name, args.table, env_spec(args.env))
        assert args.env == game


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"components": 11}, "components=11 .*C sees 10 numbers"),
        ({"components": 3, "max_env_steps": 9, "phases": [{**evolutions.FRESH[0], "components": 11}]}, "phases.0."),
        ({"components": 3, "initial_bias": (0.0,)}, "initial_bias has 1 numbers"),
    ],
)
def test_stage_c_alone_refuses_before_a_state_is_driven_for_its_space(
    changes: dict[str, Any], message: str, counted: Counted
) -> None:
    with pytest.raises(ConfigError, match=message):
        evolutions.train(save_run(Path("run")), **changes)
    assert counted.steps == 0 and not Path("run/ctrl").exists()
