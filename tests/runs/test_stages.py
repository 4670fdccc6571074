"""`--set` reaches the stage it names in every round, and refuses what no stage would read."""

import pytest

from world_models import notices
from world_models.configs.presets import PRESETS, Preset
from world_models.errors import ConfigError
from world_models.models.dream_rules import DreamRules
from world_models.runs.settings import RunSettings
from world_models.runs.stages import PARTS, dream_of, read_stages, settable, with_overrides
from world_models.typed import check


def test_a_value_is_json_or_else_text_and_counts_in_all_rounds():
    given = ["ctrl.use_hidden=false", "ctrl.initial_bias=[0, -0.7, 0]", "rnn.optimizer=adam", "vae.kl_weight=0.5"]
    table = with_overrides(PRESETS["carracing"], given)
    for number in (1, 2, 3):
        mine = table.of_round(number)
        assert (mine.ctrl["use_hidden"], mine.ctrl["initial_bias"]) == (False, [0, -0.7, 0])
        assert (mine.rnn["optimizer"], mine.vae["kl_weight"]) == ("adam", 0.5)
    assert "use_hidden" not in PRESETS["carracing"].ctrl, "the preset itself stays"


def test_an_old_name_sets_the_same_and_is_said_once(caplog):
    notices.forget()
    given = ["ctrl.first_bias=[0, 1, 0]", "vae.keep=true", "rnn.carry=true", "collect.hopeless=9"]
    stages = read_stages(with_overrides(PRESETS["carracing"], given).of_round(2))
    assert stages["ctrl"].initial_bias == (0, 1, 0) and stages["vae"].frozen and stages["rnn"].from_previous_round
    assert stages["collect"].early_termination == 9
    assert [r.message for r in caplog.records if "first_bias" in r.message] == [
        "the setting 'first_bias' is called 'initial_bias' now; the old name still works."
    ]


def test_everything_that_presets_say_can_be_set_and_is_of_its_type():
    for table in PRESETS.values():
        for number in range(1, len(table.rounds) + 2):
            mine = table.of_round(number)
            read_stages(mine)
            assert check(RunSettings, mine.flags)[1] == []
            for stage in PARTS:
                assert set(getattr(mine, stage)) - {"num_test_files", "max_generations"} <= settable(stage)


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


def test_all_that_cannot_be_set_is_said_at_once():
    with pytest.raises(ConfigError, match=r"use_hidden.*no stage 'drive'"):
        with_overrides(Preset(), ["ctrl.use_hiden=false", "drive.sigma=1"])
    wrong = with_overrides(Preset(), ["ctrl.sigma=-1", "vae.anneal=2", "collect.mirrored=no"])
    with pytest.raises(ConfigError, match=r"mirrored is 'no'.*anneal is 2.*sigma is -1"):
        read_stages(wrong)


def test_a_preset_that_dreams_can_dream_otherwise():
    table = with_overrides(PRESETS["takecover"], ["dream.temperature=0.5", "dream.pessimism=1"])
    assert [table.of_round(n).dream for n in (1, 2)] == [
        {"temperature": 0.5, "reward": "survival", "terminal": "sampled", "pessimism": 1}
    ] * 2
    assert dream_of(table.dream) == (DreamRules(temperature=0.5, reward="survival", terminal="sampled"), 1.0)
