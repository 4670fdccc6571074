"""Environment ids: aliases, unknown ones, those of a module, and what is known of each."""

import logging
import sys

import pytest

from tests.small_envs import STEER
from world_models import notices
from world_models.envs.registry import canonical_id, env_spec, make_gym
from world_models.errors import EnvironmentNameError, MissingDependencyError


def test_carracing_v2_is_v3_and_that_is_said_once(caplog):
    notices.forget()
    with caplog.at_level(logging.WARNING):
        assert [canonical_id("CarRacing-v2") for _ in range(3)] == ["CarRacing-v3"] * 3
    assert len(caplog.records) == 1
    assert "CarRacing-v2" in caplog.text and "CarRacing-v3" in caplog.text


def test_an_id_that_exists_is_left_alone_and_nothing_is_said(caplog):
    assert canonical_id("CartPole-v1") == "CartPole-v1"
    assert not caplog.records


@pytest.mark.parametrize(
    ("wrong", "near"),
    [("CartPol-v1", "CartPole-v1"), ("CarRacin-v3", "CarRacing-v3"), ("tests.small_envs:Stear-v0", "Steer-v0")],
)
def test_an_unknown_id_names_the_nearest_one(wrong, near):
    with pytest.raises(EnvironmentNameError) as error:
        canonical_id(wrong)
    assert wrong in str(error.value) and repr(near) in str(error.value)


def test_a_retired_id_gets_gymnasiums_own_message():
    with pytest.raises(EnvironmentNameError, match=r"deprecated.*LunarLander-v3"):
        canonical_id("LunarLander-v2")


@pytest.mark.parametrize("name", ["", "no name at all", "no_such_module:Thing-v0"])
def test_what_is_no_id_is_an_error_of_ours(name):
    with pytest.raises(EnvironmentNameError, match="does not exist"):
        canonical_id(name)


def test_an_id_of_a_module_is_found_by_importing_it():
    assert canonical_id(STEER) == STEER
    env = make_gym(STEER)
    assert env.render_mode == "rgb_array"
    env.close()


def test_carracing_is_cropped_and_squashed_its_own_way_by_either_name_and_others_plainly():
    car = env_spec("CarRacing-v2")
    assert car == env_spec("CarRacing-v3") and car.env_id == "CarRacing-v3"
    assert (car.rows, car.squash) == (84, ("tanh", "sigmoid", "clipped_tanh"))
    plain = env_spec("CartPole-v1")
    assert (plain.rows, plain.squash, plain.envpool) == (None, None, False)


def test_without_vizdoom_the_install_line_is_named(monkeypatch):
    for module in ("vizdoom", "vizdoom.gymnasium_wrapper"):
        monkeypatch.setitem(sys.modules, module, None)
    for name in ("VizdoomTakeCover-v1", "TakeCover"):
        with pytest.raises(MissingDependencyError, match=r"pip install 'world-models-torch\[vizdoom\]'"):
            make_gym(name)
