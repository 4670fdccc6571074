"""`--set` reaches the stage it names in every round, and refuses what no stage would read."""

import pytest

from world_models.configs.presets import PRESETS, Preset
from world_models.errors import ConfigError
from world_models.runs.overrides import KNOWN, with_overrides


def test_a_value_is_json_or_else_text_and_counts_in_all_rounds():
    given = ["ctrl.use_hidden=false", "ctrl.first_bias=[0, -0.7, 0]", "rnn.optimizer=adam", "vae.kl_weight=0.5"]
    table = with_overrides(PRESETS["carracing"], given)
    for number in (1, 2, 3):
        mine = table.of_round(number)
        assert (mine.ctrl["use_hidden"], mine.ctrl["first_bias"]) == (False, [0, -0.7, 0])
        assert (mine.rnn["optimizer"], mine.vae["kl_weight"]) == ("adam", 0.5)
    assert "use_hidden" not in PRESETS["carracing"].ctrl, "the preset itself stays"


def test_everything_that_presets_say_can_be_set():
    for table in PRESETS.values():
        for each in (table, *table.rounds):
            for stage, known in KNOWN.items():
                assert set(getattr(each, stage)) - {"num_test_files", "max_generations"} <= known


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ctrl.use_hiden=false", "did you mean 'use_hidden'"),
        ("drive.sigma=1", "no stage 'drive'"),
        ("ctrl.sigma", "STAGE.NAME=VALUE"),
        ("sigma=1", "STAGE.NAME=VALUE"),
        ("rnn.zzz=1", "it is one of anneal"),
        ("dream.temprature=1", "did you mean 'temperature'"),
        ("dream.temperature=1", "evolves C in the environment, not in a dream.*dream train"),
    ],
)
def test_what_no_stage_would_read_is_refused(text, says):
    with pytest.raises(ConfigError, match=says):
        with_overrides(Preset(), [text])


def test_a_preset_that_dreams_can_dream_otherwise():
    table = with_overrides(PRESETS["takecover"], ["dream.temperature=0.5", "dream.pessimism=1"])
    assert [table.of_round(n).dream for n in (1, 2)] == [
        {"temperature": 0.5, "reward": "survival", "terminal": "sampled", "pessimism": 1}
    ] * 2
