"""The command line: every flag, and every mistake as one sentence, exit code 2, nothing written or lost."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch

from tests.doubles import CountingEnv, make_rollouts, noise_rollout
from world_models import cli
from world_models.datasets.rollout_files import DTYPES
from world_models.models.controller import Controller
from world_models.models.mdrnn import MDRNN
from world_models.training import train_world_model
from world_models.training.arguments import resolve
from world_models.utils.run_dir import best_path, save_checkpoint
from world_models.vision.VAE.ConvVAE import ConvVAE

ROOT = Path(__file__).parents[1]
LATENTS, HIDDEN, ACTIONS = 4, 8, 2  # CartPole has two actions


@pytest.fixture(autouse=True)
def quiet_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In an empty folder, without worker processes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORLD_MODELS_QUIET", "1")
    for module in ("training.collect_stage", "training.evolution_run", "training.evaluation"):
        monkeypatch.setattr(f"world_models.{module}.make_executor", _inline)


def _inline(recipe: object, workers: int) -> object:
    from world_models.executors.local import InlineExecutor

    return InlineExecutor(recipe)  # type: ignore[arg-type]


def snapshot(folder: Path = Path(".")) -> dict[str, str]:
    """Every file below and its content; folders too."""
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        for path in sorted(folder.rglob("*"))
    }


class Refused:
    """Calls the command line, and asserts that it refuses as promised."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, *argv: str, says: tuple[str, ...]) -> str:
        before = snapshot()
        self.capsys.readouterr()
        assert cli.main(argv) == 2
        out, err = self.capsys.readouterr()
        message = next(line for line in err.splitlines() if line.startswith("error: "))
        assert err.rstrip().endswith(message), "the message is the last line, and one line"
        for words in says:
            assert words in message, message
        assert "Traceback" not in out + err
        assert snapshot() == before, "nothing is written and nothing is lost"
        return message


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Refused:
    return Refused(capsys)


def train(*argv: str, env: str = "CartPole-v1") -> list[str]:
    """A tiny training command."""
    sizes = ["--latent_size", str(LATENTS), "--rnn_hidden", str(HIDDEN), "--gmm_components", "2", "--seq_len", "4"]
    folders = ["--data_dir", "data", "--logdir", "run", "--device", "cpu", "--nosamples"]
    return ["train", "--env", env, "--preset", "tiny", *folders, *sizes, *argv]


def rollouts(lengths: tuple[int, ...] = (9, 8, 7), actions: int = ACTIONS) -> list[Path]:
    return make_rollouts(Path("data"), lengths, actions, seed=3)


def put_vae(latents: int = LATENTS) -> None:
    torch.manual_seed(0)
    weights = ConvVAE(3, latents).state_dict()
    save_checkpoint(best_path("run", "vae"), {"state_dict": weights, "latent_size": latents})


def put_mdrnn(latents: int = LATENTS, hiddens: int = HIDDEN, actions: int = ACTIONS) -> None:
    torch.manual_seed(0)
    mdrnn = MDRNN(latents, actions, hiddens, 2)
    save_checkpoint(best_path("run", "mdrnn"), {"state_dict": mdrnn.state_dict(), **mdrnn.sizes})


def put_controller(latents: int = LATENTS, hiddens: int = HIDDEN, actions: int = ACTIONS) -> None:
    torch.manual_seed(0)
    sizes = {"latent_size": latents, "hidden_size": hiddens, "action_size": actions}
    weights = Controller(**sizes).state_dict()
    save_checkpoint(best_path("run", "ctrl"), {"state_dict": weights, **sizes, "env_name": "CartPole-v1"})


def put_run() -> None:
    """V, M and C as training would leave them."""
    put_vae()
    put_mdrnn()
    put_controller()


# -- flags ---------------------------------------------------------------------------------------------

VALUES = {
    "--env": "CartPole-v1",
    "--stage": "rnn",
    "--data_dir": "some/data",
    "--logdir": "some/run",
    "--device": "cpu",
    "--preset": "tiny",
    "--backend": "gymnasium",
    "--policy": "uniform",
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
SWITCHES = {
    "--generate_only": ("generate_only", True),
    "--test": ("test", True),
    "--noreload": ("noreload", True),
    "--nosamples": ("nosamples", True),
    "--precompute_latents": ("precompute_latents", True),
    "--no_precompute_latents": ("precompute_latents", False),
    "--amp": ("amp", True),
    "--no_amp": ("amp", False),
}


def parsed(monkeypatch: pytest.MonkeyPatch, main: Callable[[list[str]], int], argv: list[str]) -> dict[str, object]:
    """What the command works with, without working."""
    seen: list[dict[str, object]] = []

    def catch(args: object) -> None:
        seen.append(vars(resolve(args)))  # type: ignore[arg-type]

    monkeypatch.setattr(train_world_model, "train_world_model", catch)
    monkeypatch.setattr(cli, "train_world_model", catch)
    assert main(argv) == 0
    return seen[0]


@pytest.mark.parametrize("flag", VALUES)
def test_every_documented_flag_reaches_both_entry_points(flag: str, monkeypatch: pytest.MonkeyPatch) -> None:
    value = VALUES[flag]
    for main, start in ((train_world_model.main, []), (cli.main, ["train"])):
        settings = parsed(monkeypatch, main, [*start, flag, value])
        assert str(settings[flag[2:]]) == value


@pytest.mark.parametrize("flag", SWITCHES)
def test_every_documented_switch_reaches_both_entry_points(flag: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, value = SWITCHES[flag]
    for main, start in ((train_world_model.main, []), (cli.main, ["train"])):
        assert parsed(monkeypatch, main, [*start, flag])[name] is value


def test_without_flags_the_specifications_defaults_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = parsed(monkeypatch, train_world_model.main, [])
    wanted = {"env": "CarRacing-v2", "latent_size": 32, "rnn_hidden": 256, "gmm_components": 5, "vae_epochs": 10}
    wanted |= {"rnn_epochs": 30, "data_dir": "./data/carracing", "logdir": "./results/carracing", "stage": "all"}
    assert {name: settings[name] for name in wanted} == wanted


def test_a_flag_counts_before_the_preset_and_the_preset_before_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = parsed(monkeypatch, train_world_model.main, ["--preset", "tiny", "--seq_len", "5"])
    assert (settings["seq_len"], settings["vae_epochs"], settings["latent_size"]) == (5, 1, 32)


@pytest.mark.parametrize("command", ["run", "collect", "train", "evaluate", "report"])
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main([command, "--help"])
    assert stopped.value.code == 0
    assert "--logdir" in capsys.readouterr().out


# -- settings ------------------------------------------------------------------------------------------


def test_an_unknown_environment_is_named_with_the_nearest(refused: Refused) -> None:
    refused(*train(env="CartPol-v1"), says=("'CartPol-v1'", "does not exist", "'CartPole-v1'"))


def test_a_retired_environment_gets_the_nearest_that_is_there(refused: Refused) -> None:
    refused(*train(env="LunarLander-v1"), says=("'LunarLander-v1'", "LunarLander-v3"))


@pytest.mark.parametrize(
    ("flag", "value", "says"),
    [
        ("--num_rollouts", "0", ("num_rollouts=0", "at least 1")),
        ("--num_rollouts", "-3", ("num_rollouts=-3", "at least 1")),
        ("--rollout_len", "0", ("rollout_len=0",)),
        ("--num_workers", "0", ("num_workers=0",)),
        ("--seed", "-1", ("seed=-1", "at least 0")),
        ("--num_test_files", "-1", ("num_test_files=-1", "at least 0")),
        ("--num_test_files", "6", ("test split is larger than the data", "num_test_files is 6")),
        ("--action_size", "3", ("--action_size 3", "CartPole-v1 has 2 actions")),
        ("--device", "cuda:7", ("'cuda:7'", "does not have", "cpu")),
        ("--device", "toaster", ("'toaster'", "cpu")),
        ("--preset", "tinny", ("'tinny'", "'tiny'")),
        ("--latent_size", "0", ("latent_size", "0")),
        ("--seq_len", "0", ("seq_len", "0")),
        ("--gmm_components", "0", ("gmm_components", "0")),
        ("--vae_lr", "-1", ("learning_rate", "-1")),
        ("--rnn_lr", "nan", ("learning_rate", "nan")),
        ("--vae_batch_size", "0", ("batch_size", "0")),
        ("--ctrl_pop_size", "0", ("pop_size", "0")),
        ("--ctrl_samples", "0", ("n_samples", "0")),
        ("--ctrl_workers", "0", ("max_workers", "0")),
        ("--ctrl_generations", "0", ("max_generations", "0")),
        ("--backend", "envpool", ("CartPole-v1", "--backend gymnasium")),
    ],
)
def test_a_setting_that_cannot_work_is_named_before_anything_is_collected(
    refused: Refused, flag: str, value: str, says: tuple[str, ...]
) -> None:
    if flag == "--backend":
        pytest.importorskip("envpool")
    refused(*train(flag, value), says=says)


class TwoChoices(CountingEnv):
    """Its action is a pair of choices."""

    def __init__(self, render_mode: str | None = None) -> None:
        super().__init__(render_mode=render_mode)
        self.action_space = gymnasium.spaces.MultiDiscrete([2, 3])  # type: ignore[assignment]


def test_an_action_space_that_cannot_be_driven_is_refused(refused: Refused) -> None:
    gymnasium.register("TwoChoices-v0", TwoChoices)
    try:
        refused(*train(env="TwoChoices-v0"), says=("TwoChoices-v0", "MultiDiscrete([2 3])", "wrap"))
    finally:
        del gymnasium.registry["TwoChoices-v0"]


def test_a_folder_that_is_a_file_is_refused(refused: Refused) -> None:
    Path("taken").write_text("not a folder")
    refused(*train("--data_dir", "taken"), says=("data_dir=taken", "is a file"))
    refused(*train("--logdir", "taken/run"), says=("logdir=taken/run", "is a file"))


@pytest.mark.parametrize("command", [["run", *train()[1:]], ["evaluate", "--logdir", "run"]])
def test_no_episodes_to_evaluate_are_refused_before_the_work(refused: Refused, command: list[str]) -> None:
    put_run()
    refused(*command, "--episodes", "0", says=("episodes=0", "at least 1"))


# -- data ----------------------------------------------------------------------------------------------

STAGES = ("vae", "rnn")


@pytest.mark.parametrize("stage", STAGES)
def test_a_data_folder_that_is_not_there_or_empty_is_refused(refused: Refused, stage: str) -> None:
    put_vae()
    refused(*train("--stage", stage), says=("data", "no such data folder", "--generate_only"))
    Path("data").mkdir()
    refused(*train("--stage", stage), says=("data", "no rollout", "--generate_only"))


def _truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3000])


def _changed(**changes: object) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        arrays = {key: getattr(noise_rollout(8, ACTIONS), key) for key in DTYPES}
        for key, change in changes.items():
            if change is None:
                del arrays[key]
            else:
                arrays[key] = change(arrays[key])  # type: ignore[operator]
        np.savez(path, **arrays)

    return damage


def _nan(array: np.ndarray) -> np.ndarray:
    array[5] = np.nan
    return array


DAMAGES = {
    "truncated": (_truncated, ()),
    "no key": (_changed(rewards=None), ("rewards",)),
    "other dtype": (_changed(observations=lambda a: a.astype(np.float32)), ("observations", "float32", "uint8")),
    "float64 rewards": (_changed(rewards=lambda a: a.astype(np.float64)), ("rewards", "float64", "float32")),
    "other lengths": (_changed(actions=lambda a: a[:-1]), ("actions", "7", "8")),
    "other frames": (_changed(observations=lambda a: a[:, :32]), ("observations", "(8, 32, 64, 3)")),
    "NaN rewards": (_changed(rewards=_nan), ("rewards[5]", "nan")),
    "pickled objects": (_changed(rewards=lambda a: a.astype(object)), ("rewards",)),
    "not npz": (lambda path: path.write_text("nothing of the kind"), ()),
    "empty file": (lambda path: path.write_bytes(b""), ()),
}


@pytest.mark.parametrize("place", [0, 2])
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("stage", STAGES)
def test_a_damaged_rollout_file_is_named_and_the_data_stay_as_they_were(
    refused: Refused, stage: str, damage: str, place: int
) -> None:
    put_vae()
    path = rollouts()[place]
    apply, says = DAMAGES[damage]
    apply(path)
    refused(*train("--stage", stage), says=(str(path), *says))


@pytest.mark.parametrize("stage", STAGES)
def test_a_damaged_file_that_is_new_leaves_the_cache_of_the_others_usable(refused: Refused, stage: str) -> None:
    put_vae()
    rollouts()
    assert cli.main(train("--stage", stage)) == 0
    bad = Path("data/rollout_00009.npz")
    _changed(rewards=_nan)(bad)
    refused(*train("--stage", stage), says=(str(bad), "rewards[5]"))
    bad.unlink()
    assert cli.main(train("--stage", stage)) == 0


def test_rollouts_of_another_environment_are_refused_in_training_and_in_collecting(refused: Refused) -> None:
    rollouts(actions=3)
    says = ("rollout_00000.npz", "3 columns", "CartPole-v1 has 2 actions")
    refused(*train("--stage", "vae"), says=says)
    refused("collect", *train()[1:], says=says)


def test_collecting_fewer_than_there_are_deletes_nothing(refused: Refused) -> None:
    rollouts()
    refused("collect", *train()[1:], "--num_rollouts", "2", says=("3 rollouts", "num_rollouts=2"))


@pytest.mark.parametrize("stage", STAGES)
def test_a_test_split_larger_than_the_data_is_refused(refused: Refused, stage: str) -> None:
    put_vae()
    rollouts()
    says = ("test split", "num_test_files is 3", "3 rollout files")
    refused(*train("--stage", stage, "--num_test_files", "3"), says=says)


def test_sequences_longer_than_any_rollout_are_refused(refused: Refused) -> None:
    put_vae()
    rollouts()
    assert cli.main(train("--stage", "rnn")) == 0  # the cache and the latents are made
    refused(*train("--stage", "rnn", "--seq_len", "40", "--noreload"), says=("40", "9"))


# -- checkpoints ---------------------------------------------------------------------------------------


def test_rnn_without_v_names_the_stage_to_train(refused: Refused) -> None:
    rollouts()
    refused(*train("--stage", "rnn"), says=("run/vae/best.tar", "--stage vae"))


def test_a_controller_without_v_or_m_names_the_stage_to_train(refused: Refused) -> None:
    refused(*train("--stage", "ctrl"), says=("run/vae/best.tar", "--stage vae"))
    put_vae()
    refused(*train("--stage", "ctrl"), says=("run/mdrnn/best.tar", "--stage rnn"))


def test_an_agent_that_is_not_trained_cannot_collect(refused: Refused) -> None:
    refused("collect", *train()[1:], "--policy", "agent", says=("run/ctrl/best.tar", "train"))


@pytest.mark.parametrize(
    "command",
    [
        ["evaluate", "--logdir", "run"],
        ["evaluate", "--logdir", "run", "--json"],
        ["report", "--logdir", "run"],
        ["report", "--logdir", "run", "--video"],
        train("--test"),
    ],
)
def test_a_run_that_is_not_there_cannot_be_used(refused: Refused, command: list[str]) -> None:
    refused(*command, says=("run", "train"))
    Path("run").mkdir()
    refused(*command, says=("run", "train"))


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 nor an archive"])
@pytest.mark.parametrize("stage", ["vae", "mdrnn", "ctrl"])
def test_a_file_that_is_no_checkpoint_is_named(refused: Refused, stage: str, content: bytes) -> None:
    put_run()
    best_path("run", stage).write_bytes(content)
    refused("evaluate", "--logdir", "run", "--episodes", "1", says=(f"run/{stage}/best.tar",))


def test_a_pickled_object_is_not_loaded(refused: Refused) -> None:
    put_run()
    torch.save({"state_dict": {"w": Path("a")}}, best_path("run", "vae"))
    refused("evaluate", "--logdir", "run", "--episodes", "1", says=("run/vae/best.tar",))


@pytest.mark.parametrize("stage", ["vae", "rnn", "ctrl"])
def test_training_does_not_overwrite_what_is_no_checkpoint(refused: Refused, stage: str) -> None:
    rollouts()
    put_vae()
    put_mdrnn()
    folder = "mdrnn" if stage == "rnn" else stage
    assert cli.main(train("--stage", "vae")) == 0  # makes the cache
    assert cli.main(train("--stage", "rnn")) == 0
    path = Path("run", folder, "checkpoint.tar")
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"something else")
    refused(*train("--stage", stage), says=(str(path),))


@pytest.mark.parametrize(
    ("stage", "flag", "value", "says"),
    [
        ("vae", "--latent_size", "5", ("run/vae/checkpoint.tar", "4", "5")),
        ("rnn", "--latent_size", "5", ("run/vae/best.tar", "4", "5")),
        ("rnn", "--rnn_hidden", "9", ("run/mdrnn/checkpoint.tar", "8", "9")),
        ("rnn", "--gmm_components", "3", ("run/mdrnn/checkpoint.tar", "2", "3")),
        ("ctrl", "--latent_size", "5", ("latent_size=5", "run", "4")),
    ],
)
def test_a_checkpoint_of_other_sizes_is_named_with_both(
    refused: Refused, stage: str, flag: str, value: str, says: tuple[str, ...]
) -> None:
    rollouts()
    for each in ("vae", "rnn"):
        assert cli.main(train("--stage", each)) == 0
    refused(*train("--stage", stage, flag, value), says=says)


def test_a_run_of_another_environment_cannot_be_driven(refused: Refused) -> None:
    put_run()
    refused(
        *("evaluate", "--logdir", "run", "--env", "Acrobot-v1", "--episodes", "1"),
        says=("run", "2 actions", "Acrobot-v1 has 3"),
    )


def test_v_and_m_that_do_not_belong_together_are_refused(refused: Refused) -> None:
    put_run()
    put_vae(latents=6)
    refused("evaluate", "--logdir", "run", "--episodes", "1", says=("6", "4"))
    refused(*train("--stage", "ctrl"), says=("6", "4"))


def test_a_controller_that_does_not_belong_to_m_is_refused(refused: Refused) -> None:
    put_run()
    put_controller(hiddens=9)
    refused("evaluate", "--logdir", "run", "--episodes", "1", says=("9", "8"))


def test_another_hidden_size_in_the_settings_is_said_and_the_checkpoints_is_used(
    caplog: pytest.LogCaptureFixture,
) -> None:
    put_vae()
    put_mdrnn()
    command = train("--stage", "ctrl", "--rnn_hidden", "12", "--ctrl_time_limit", "2", "--ctrl_generations", "1")
    assert cli.main(command) == 0
    assert any("12" in text and "8 is used" in text for text in caplog.messages)


# -- as a process --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("module", "argv"),
    [
        ("world_models", ["evaluate", "--logdir", "nowhere"]),
        ("world_models", train("--stage", "vae", "--device", "cuda:7")),
        ("world_models.training.train_world_model", ["--env", "NoSuch-v0", "--num_rollouts", "0"]),
    ],
)
def test_a_process_ends_with_code_2_and_one_sentence(module: str, argv: list[str]) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    done = subprocess.run([sys.executable, "-m", module, *argv], env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert snapshot() == {}
