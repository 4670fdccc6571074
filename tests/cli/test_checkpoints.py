"""Runs that cannot be used: one sentence names the checkpoint, or the stage to train, and nothing is lost."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.cli_cases import Refused, put_controller, put_mdrnn, put_run, put_vae, rollouts, train
from world_models import cli
from world_models.utils.run_dir import best_path

EVALUATE = ("evaluate", "--logdir", "run", "--episodes", "1")
USES = [
    *(["evaluate", "--logdir", "run", *more] for more in ([], ["--json"])),
    *(["report", "--logdir", "run", *more] for more in ([], ["--video"])),
    train("--test"),
]
OTHER_SIZES = {
    "--stage vae --latent_size 5": ("run/vae/checkpoint.tar", "4", "5"),
    "--stage rnn --latent_size 5": ("run/vae/best.tar", "4", "5"),
    "--stage rnn --rnn_hidden 9": ("run/mdrnn/checkpoint.tar", "8", "9"),
    "--stage rnn --gmm_components 3": ("run/mdrnn/checkpoint.tar", "2", "3"),
    "--stage ctrl --latent_size 5": ("latent_size=5", "run", "4"),
}


def test_rnn_without_v_names_the_stage_to_train(refused: Refused) -> None:
    rollouts()
    refused(*train("--stage", "rnn"), says=("run/vae/best.tar", "--stage vae"))


def test_a_controller_without_v_or_m_names_the_stage_to_train(refused: Refused) -> None:
    refused(*train("--stage", "ctrl"), says=("run/vae/best.tar", "--stage vae"))
    put_vae()
    refused(*train("--stage", "ctrl"), says=("run/mdrnn/best.tar", "--stage rnn"))


def test_an_agent_that_is_not_trained_cannot_collect(refused: Refused) -> None:
    refused("collect", *train()[1:], "--policy", "agent", says=("run/ctrl/best.tar", "train"))


@pytest.mark.parametrize("command", USES)
def test_a_run_that_is_not_there_cannot_be_used(refused: Refused, command: list[str]) -> None:
    refused(*command, says=("run", "train"))
    Path("run").mkdir()
    refused(*command, says=("run", "train"))


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 nor an archive"])
@pytest.mark.parametrize("stage", ["vae", "mdrnn", "ctrl"])
def test_a_file_that_is_no_checkpoint_is_named(refused: Refused, stage: str, content: bytes) -> None:
    put_run()
    best_path("run", stage).write_bytes(content)
    refused(*EVALUATE, says=(f"run/{stage}/best.tar",))


def test_a_pickled_object_is_not_loaded(refused: Refused) -> None:
    put_run()
    torch.save({"state_dict": {"w": Path("a")}}, best_path("run", "vae"))
    refused(*EVALUATE, says=("run/vae/best.tar",))


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


@pytest.mark.parametrize("command", OTHER_SIZES)
def test_a_checkpoint_of_other_sizes_is_named_with_both(refused: Refused, command: str) -> None:
    rollouts()
    for each in ("vae", "rnn"):
        assert cli.main(train("--stage", each)) == 0
    refused(*train(*command.split()), says=OTHER_SIZES[command])


def test_a_run_of_another_environment_cannot_be_driven(refused: Refused) -> None:
    put_run()
    refused(*EVALUATE, "--env", "Acrobot-v1", says=("run", "2 actions", "Acrobot-v1 has 3"))


def test_v_and_m_that_do_not_belong_together_are_refused(refused: Refused) -> None:
    put_run()
    put_vae(latents=6)
    refused(*EVALUATE, says=("6", "4"))
    refused(*train("--stage", "ctrl"), says=("6", "4"))


def test_a_controller_that_does_not_belong_to_m_is_refused(refused: Refused) -> None:
    put_run()
    put_controller(hiddens=9)
    refused(*EVALUATE, says=("9", "8"))


def test_another_hidden_size_in_the_settings_is_said_and_the_checkpoints_is_used(
    caplog: pytest.LogCaptureFixture,
) -> None:
    put_vae()
    put_mdrnn()
    command = train("--stage", "ctrl", "--rnn_hidden", "12", "--ctrl_time_limit", "2", "--ctrl_generations", "1")
    assert cli.main(command) == 0
    assert any("12" in text and "8 is used" in text for text in caplog.messages)
