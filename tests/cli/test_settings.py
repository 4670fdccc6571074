"""Settings that cannot work: one sentence names them, exit code 2, before anything is collected."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import gymnasium
import pytest

from tests.cli_cases import Refused, put_run, rollouts, train
from tests.doubles import CountingEnv

ZEROS = (
    *("--latent_size", "--seq_len", "--gmm_components", "--vae_batch_size"),
    *("--ctrl_pop_size", "--ctrl_samples", "--ctrl_workers", "--ctrl_generations"),
)
MISTAKES = {
    "--num_rollouts 0": ("num_rollouts is 0", "at least 1"),
    "--num_rollouts -3": ("num_rollouts is -3", "at least 1"),
    "--rollout_len 0": ("rollout_len is 0",),
    "--num_workers 0": ("num_workers is 0",),
    "--seed -1": ("seed is -1", "at least 0"),
    "--num_test_files -1": ("num_test_files is -1", "at least 0"),
    "--num_test_files 6": ("test split is larger than the data", "num_test_files is 6"),
    "--action_size 3": ("--action_size 3", "CartPole-v1 has 2 actions"),
    "--device cuda:7": ("'cuda:7'", "does not have", "cpu"),
    "--device toaster": ("'toaster'", "cpu"),
    "--preset tinny": ("'tinny'", "'tiny'"),
    "--vae_lr -1": ("vae_lr is -1.0", "above 0"),
    "--rnn_lr nan": ("rnn_lr is nan",),
    "--backend envpool": ("CartPole-v1", "--backend gymnasium"),
    **{f"{flag} 0": (f"{flag[2:]} is 0", "at least") for flag in ZEROS},
    "--latent_size 0 --seq_len 0 --set ctrl.sigma=-1": ("latent_size is 0", "seq_len is 0", "sigma is -1"),
}


def test_an_unknown_environment_is_named_with_the_nearest(refused: Refused) -> None:
    refused(*train(env="CartPol-v1"), says=("'CartPol-v1'", "does not exist", "'CartPole-v1'"))


def test_a_retired_environment_gets_the_nearest_that_is_there(refused: Refused) -> None:
    refused(*train(env="LunarLander-v1"), says=("'LunarLander-v1'", "LunarLander-v3"))


@pytest.mark.parametrize("setting", MISTAKES)
def test_a_setting_that_cannot_work_is_named_before_anything_is_collected(refused: Refused, setting: str) -> None:
    if setting == "--backend envpool":
        pytest.importorskip("envpool")
    refused(*train(*setting.split()), says=MISTAKES[setting])


def test_a_number_format_that_is_none_is_refused_first(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_MODELS_PRECISION", "float16")
    refused(*train(), says=("WORLD_MODELS_PRECISION='float16'", "float32, bfloat16 or auto"))


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
    refused(*command, "--episodes", "0", says=("episodes", "0", "at least 1"))


@pytest.mark.skipif(find_spec("wandb") is not None, reason="wandb is installed here")
def test_wandb_that_is_not_installed_is_named_with_its_install_line(refused: Refused) -> None:
    rollouts()
    refused(*train("--wandb"), says=("pip install 'world-models-torch[wandb]'",))
