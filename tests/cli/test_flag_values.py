"""Every flag with a value that cannot work is refused before anything is driven or trained: 0, -1, nan, huge."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from tests.cli_cases import snapshot, train
from world_models import cli
from world_models.commands.flags import add_training_flags
from world_models.runs import pipeline

HUGE = "10" + "0" * 14
WORKS = {  # what is of use, or harmless: nothing is held out, no film, more workers than cores, more than there are
    "--seed": ("0", HUGE),
    "--num_test_files": ("0",),
    "--film_every": ("0", HUGE),
    "--spread": ("0", HUGE),
    "--ctrl_target": ("0", "-1", HUGE),
    **dict.fromkeys(
        ("--seq_len", "--vae_epochs", "--rnn_epochs", "--vae_batch_size", "--rnn_batch_size", "--ctrl_generations"),
        (HUGE,),
    ),
    **dict.fromkeys(("--ctrl_workers", "--num_workers"), (HUGE,)),
}


class Driven(Exception):
    """Something would be driven or trained now."""


def flags() -> dict[str, type]:
    parser = argparse.ArgumentParser()
    add_training_flags(parser)
    return {each.option_strings[0]: each.type for each in parser._actions if each.type in (int, float)}


CASES = [(flag, value) for flag in flags() for value in ("0", "-1", "nan", HUGE)]


@pytest.mark.parametrize(("flag", "value"), CASES)
def test_a_number_that_cannot_work_is_refused_before_anything_is_driven(
    flag: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def drive(*args: object, **more: object) -> None:
        raise Driven

    for stage in ("generate_rollouts", "train_convae", "train_mdn_rnn", "train_controller"):
        monkeypatch.setattr(pipeline, stage, drive)
    if value in WORKS.get(flag, ()):
        with pytest.raises(Driven):
            cli.main(train(f"{flag}={value}"))
        return
    try:
        assert cli.main(train(f"{flag}={value}")) == 2
    except SystemExit as refused:  # argparse's own: no number at all
        assert value == "nan" and refused.code == 2
    told = capsys.readouterr().err
    # What only the stages' configs can tell, such as what is too large for this machine, is said by their names.
    config = {"--rnn_hidden": "hidden_size", "--ctrl_pop_size": "pop_size", "--ctrl_samples": "n_samples"}
    words = (flag[2:], config.get(flag, flag[2:]))
    assert any(word in told for word in words), told
    assert "Traceback" not in told and told.count("error: ") == 1
    assert snapshot() == {} and not Path("data").exists()
