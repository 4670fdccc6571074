"""Settings are read through one declaration each: what is wrong is said at once, by name, value and need."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pytest

from world_models import notices
from world_models.configs.wm_config import WMControllerConfig, WMMDNRNNConfig, WMVAEConfig
from world_models.errors import ConfigError
from world_models.models.dream_rules import DreamRules
from world_models.old_names import OLD_NAMES
from world_models.runs.settings import RunSettings
from world_models.runs.stages import PARTS
from world_models.search.algorithms.gradient_rules import GradientRules
from world_models.search.algorithms.phase import Phase
from world_models.search.settings import ControllerSettings
from world_models.training.fit.settings import MdrnnSettings, VaeSettings
from world_models.typed import About, Count, Number, Share, about, check, default_of, kinds_of, read

CONFIGS = (WMVAEConfig, WMMDNRNNConfig, WMControllerConfig)
DECLARED = (RunSettings, *CONFIGS, *PARTS.values(), Phase, GradientRules)


@dataclass(frozen=True)
class Wheel:
    """A part inside of another one."""

    radius: Annotated[Number, About("of the wheel", "cm")]


@dataclass(frozen=True)
class Cart:
    """A part for these tests."""

    seed: Annotated[Count, About("of everything")] = 1
    load: Annotated[Share, About("share of what it can carry")] = 0.5
    colour: Annotated[Literal["red", "green"], About("paint")] = "red"
    covered: Annotated[bool, About("has a roof")] = False
    wheels: Annotated[tuple[Wheel, ...], About("of it")] = ()
    limit: Annotated[Count | None, About("at most", "kg")] = None


def test_values_are_of_their_types_and_the_rest_has_its_default() -> None:
    cart = read(Cart, {"seed": np.int64(3), "load": 1, "wheels": [{"radius": 2}, {"radius": np.float32(0.5)}]})
    assert cart == Cart(seed=3, load=1.0, wheels=(Wheel(2.0), Wheel(0.5)))
    assert [type(value) for value in (cart.seed, cart.load, cart.wheels[0].radius)] == [int, float, float]


@pytest.mark.parametrize(
    ("name", "value", "need"),
    [
        ("seed", True, "a whole number of at least 1"),
        ("seed", "3", "a whole number of at least 1"),
        ("seed", 2.0, "a whole number of at least 1"),
        ("seed", 0, "a whole number of at least 1"),
        ("load", 1.5, "a number of at least 0, and at most 1"),
        ("load", float("nan"), "a number of at least 0, and at most 1"),
        ("load", False, "a number"),
        ("colour", "blue", "one of red, green"),
        ("covered", 1, "true or false"),
        ("covered", "no", "true or false"),
        ("wheels", 4, "a list"),
        ("limit", 0, "a whole number of at least 1, or null"),
    ],
)
def test_a_value_that_cannot_be_is_named_with_what_it_must_be(name: str, value: object, need: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(Cart, {name: value})
    assert str(caught.value).startswith(f"{name} is {value!r}, and must be {need}")


def test_all_that_is_wrong_is_said_at_once() -> None:
    wrong = {"seed": 0, "colour": "blue", "wheels": [{"radius": 1}, {"radius": -1}, {}], "couvered": True}
    with pytest.raises(ConfigError) as caught:
        read(Cart, wrong)
    for words in (
        "seed is 0",
        "colour is 'blue'",
        "wheels[1].radius is -1, and must be a finite number of at least 0",
        "wheels[2].radius is missing",
        "no setting 'couvered': did you mean 'covered'?",
    ):
        assert words in str(caught.value)


def test_names_of_others_are_left_alone_only_where_that_is_asked_for() -> None:
    assert read(Cart, {"mine": object(), "seed": 2}, others=True) == Cart(seed=2)
    with pytest.raises(ConfigError, match="no setting 'mine'"):
        read(Cart, {"mine": 1})


@pytest.mark.parametrize("part", dict.fromkeys(DECLARED))
def test_every_setting_has_a_line_of_help_and_a_default_that_can_be(part: type) -> None:
    names = {field.name for field in fields(part)} - {"extra"}
    assert names == kinds_of(part).keys()
    for name in names:
        assert about(part, name).help
    needed = {"sigma", "pop_size", "samples", "env_steps"} if part is Phase else set()
    folders = {"data_dir", "logdir"} if part is RunSettings else set()  # of the environment's name
    values = {name: default_of(part, name) for name in names - needed - folders}
    assert check(part, values)[1] == []


# -- old names

OLD_EXTRA = {
    "mean_rate": 0.5, "first_bias": [0.5, -0.5], "first_horizon": 5, "hopeless": 3, "wanted_f": 4.0, "replayed": 0.25,
    "choice_episodes": 4, "components": 3, "max_env_steps": 9, "eval_every": 2,
    "phases": [
        {"sigma": 0.1, "pop_size": 4, "samples": 1, "env_steps": 9, "mean_rate": 0.5, "components": 2, "foreseen": 7},
        {"sigma": 0.1, "pop_size": 4, "samples": 1, "env_steps": 9, "search": "gradient", "lost": 2, "late": [1],
         "anew": True},
    ],
}  # fmt: skip


def test_settings_by_their_old_names_are_the_same_and_each_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    notices.forget()
    config = WMControllerConfig(extra=OLD_EXTRA)
    assert config.first_bias == [0.5, -0.5], "what a config was given reads back as it was given"
    found = [ControllerSettings.from_config(config) for _ in range(2)][1]
    more = {"sigma": 0.1, "pop_size": 4, "samples": 1, "env_steps": 9}
    assert found == ControllerSettings(
        mean_learning_rate=0.5,
        initial_bias=(0.5, -0.5),
        initial_horizon=5,
        early_termination=3,
        target_f_statistic=4.0,
        replay_fraction=0.25,
        selection_episodes=4,
        components=3,
        max_env_steps=9,
        eval_every=2,
        phases=(
            Phase(**more, mean_learning_rate=0.5, components=2, action_effect_states=7),
            Phase(**more, search="gradient", early_termination_penalty=2.0, delayed_actions=(1,), from_scratch=True),
        ),
    )
    told = [record.message.split("'")[1] for record in caplog.records if "is called" in record.message]
    assert sorted(told) == sorted({*OLD_EXTRA, *OLD_EXTRA["phases"][0], *OLD_EXTRA["phases"][1]} & OLD_NAMES.keys())


def test_the_new_name_counts_where_both_are_given() -> None:
    both = read(ControllerSettings, {"hopeless": 3, "early_termination": 5})
    assert both.early_termination == 5


def test_every_old_name_leads_to_a_setting_of_today_and_none_is_both() -> None:
    today = {name for part in DECLARED for name in kinds_of(part)}
    assert set(OLD_NAMES.values()) <= today
    for old, new in OLD_NAMES.items():
        parts = [part for part in DECLARED if new in kinds_of(part) and old not in kinds_of(part)]
        assert parts, f"{old} is never read as {new}"


def test_stages_v_and_m_are_read_through_their_types() -> None:
    assert VaeSettings.from_config(WMVAEConfig()) == VaeSettings()
    assert MdrnnSettings.from_config(WMMDNRNNConfig(extra={"grad_clip": None, "mine": 1})).grad_clip is None
    with pytest.raises(ConfigError, match=r"precision is 'fp8'.*anneal is 2"):
        VaeSettings.from_config(WMVAEConfig(extra={"precision": "fp8", "anneal": 2}))
    with pytest.raises(ConfigError, match=r"temperature is 0.*threshold is 1.*starts is 'late'"):
        DreamRules(temperature=0, threshold=1, starts="late")  # type: ignore[arg-type]


def test_a_config_says_all_of_its_fields_that_cannot_work() -> None:
    with pytest.raises(ConfigError, match=r"WMVAEConfig.latent_size is 0.*WMVAEConfig.device is 'gpu'"):
        WMVAEConfig(latent_size=0, device="gpu", data_dir=Path("a"))
