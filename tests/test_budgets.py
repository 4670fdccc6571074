"""WORLD_MODELS_BUDGET: nothing changes without it, and with it nothing is more than was asked for."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from world_models import budgets, cli, notices
from world_models.configs.presets import PRESETS
from world_models.configs.wm_config import WMControllerConfig, WMMDNRNNConfig, WMVAEConfig
from world_models.errors import ConfigError
from world_models.search.settings import ControllerSettings
from world_models.typed import kinds_of
from world_models.utils.run_settings import write_settings

PACKAGE, ROOT = Path(budgets.__file__).parent, Path(budgets.__file__).parents[1]
CONFIGS = (WMVAEConfig, WMMDNRNNConfig, WMControllerConfig)


@pytest.fixture(autouse=True)
def anew(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv(budgets.VARIABLE, raising=False)
    notices.forget()
    yield
    notices.forget()


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(budgets.VARIABLE, budgets.TINY)


@pytest.mark.parametrize("value", [None, ""])
def test_without_the_variable_everything_stays_and_nothing_is_said(
    value: str | None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    if value is not None:
        monkeypatch.setenv(budgets.VARIABLE, value)
    asked = dict.fromkeys(budgets.MOST, 10**9) | {"phases": [{"samples": 64}], "sigma": 0.1}
    assert budgets.settings(asked, budgets.MOST) == asked
    assert budgets.rollouts(1000, 3) == budgets.rollout_len(1000) == 1000
    for config in CONFIGS:
        assert config(asked).to_dict() == {**config().to_dict(), **asked}
        assert config().extra == {}
    assert budgets.facts() == {}
    assert "budget" not in json.loads(write_settings(tmp_path, "vae", {}).read_text())["vae"]
    budgets.announce()
    assert caplog.text == ""


@pytest.mark.usefixtures("tiny")
def test_with_it_each_stage_is_small_whether_it_was_asked_for_anything_or_not() -> None:
    assert (WMVAEConfig().num_epochs, WMVAEConfig().extra) == (1, {"frames_per_epoch": 32})
    assert WMVAEConfig(num_epochs=3, extra={"frames_per_epoch": None}).extra == {"frames_per_epoch": 32}
    assert WMMDNRNNConfig(num_epochs=60).extra == {"batches_per_epoch": 2}
    settings = ControllerSettings.from_config(WMControllerConfig())
    assert (settings.max_generations, settings.eval_episodes, settings.num_lanes) == (1, 1, 16)


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_keeps_its_phases_one_generation_each(name: str) -> None:
    for number in range(1, 2 + len(PRESETS[name].rounds)):
        extra = {
            key: value for key, value in PRESETS[name].of_round(number).ctrl.items() if key != "from_previous_round"
        }
        config = WMControllerConfig(extra=extra)
        settings = ControllerSettings.from_config(config)
        assert len(settings.phases) == len(extra.get("phases", ()))
        assert settings.max_generations == 1 + len(settings.phases)
        assert all(phase.pop_size * phase.samples <= 4 for phase in settings.phases)
        assert WMControllerConfig(config.to_dict()) == config, "what is small stays as it is"


@pytest.mark.usefixtures("tiny")
@given(st.sampled_from(sorted(budgets.MOST)), st.integers(-5, 10**9))
def test_no_number_becomes_larger_and_no_wrong_one_right(name: str, asked: int) -> None:
    assert budgets.at_most(name, asked) == min(asked, budgets.MOST[name])


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("value", ["many", None, True, 2.5, [1]])
def test_what_is_no_number_is_left_to_whoever_checks_it(value: Any) -> None:
    assert budgets.at_most("num_epochs", value) is value


@pytest.mark.usefixtures("tiny")
@given(st.integers(0, 10**5), st.integers(0, 10**5), st.integers(0, 100))
def test_a_folder_never_loses_rollouts_and_who_asks_for_more_never_gets_fewer(a: int, b: int, there: int) -> None:
    less, more = sorted((a + there, b + there))
    assert there <= budgets.rollouts(less, there) <= budgets.rollouts(more, there) <= max(there, 17)
    assert budgets.rollouts(less, there) <= less


@pytest.mark.usefixtures("tiny")
def test_it_is_said_once_and_written_down(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            budgets.announce()
            budgets.at_most("num_epochs", 7)
    assert [record.getMessage() for record in caplog.records] == [
        "WORLD_MODELS_BUDGET=tiny: everything is done in miniature; scores mean nothing."
    ]
    assert json.loads(write_settings(tmp_path, "vae", {}).read_text())["vae"]["budget"] == "tiny"


def test_another_name_is_refused_before_anything_is_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv(budgets.VARIABLE, "small")
    with pytest.raises(ConfigError, match="WORLD_MODELS_BUDGET='small' is unknown"):
        WMVAEConfig()
    assert cli.main(["collect", "--env", "CartPole-v1", "--data_dir", str(tmp_path / "data")]) == 2
    assert "error: WORLD_MODELS_BUDGET='small' is unknown: it is 'tiny', or not set." in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


def test_every_limit_is_of_something_that_there_is_and_the_variable_is_documented() -> None:
    files = [*PACKAGE.rglob("*.py"), *(ROOT / "benchmarks").glob("*.py")]
    source = "".join(path.read_text(encoding="utf-8") for path in files if path.name != "budgets.py")
    fields = set().union(*(kinds_of(config) for config in CONFIGS))
    for name in budgets.MOST:
        assert name in fields or f'"{name}"' in source or f"\n    {name}: Annotated" in source, name
    assert budgets.VARIABLE in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
