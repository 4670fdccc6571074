"""What the page is told of an environment and its controls."""

from __future__ import annotations

from pathlib import Path

import gymnasium
import numpy as np
import pytest

from world_models.envs.actions import ActionAdapter
from world_models.errors import DataError
from world_models.web.run_facts import control_kind, controls, episode_label, pace, score, title


@pytest.mark.parametrize(
    ("env_id", "name", "kind", "label"),
    [
        ("CarRacing-v3", "CarRacing", "car", "Track 7"),
        ("VizdoomTakeCover-v1", "TakeCover", "sideways", "Game 7"),
        ("some.module:TakeCover-v0", "TakeCover", "sideways", "Game 7"),
        ("CartPole-v1", "CartPole", "generic", "Episode 7"),
        ("tests.small_envs:Steer-v0", "Steer", "generic", "Episode 7"),
    ],
)
def test_an_environment_is_known_by_its_id(env_id: str, name: str, kind: str, label: str) -> None:
    assert (title(env_id), control_kind(env_id), episode_label(env_id, 7)) == (name, kind, label)


def test_the_car_has_its_three_controls_and_their_bounds() -> None:
    space = gymnasium.spaces.Box(np.array([-1, 0, 0], np.float32), np.ones(3, np.float32))
    told = controls("CarRacing-v3", ActionAdapter(space, ("tanh", "sigmoid", "clipped_tanh")))
    assert told == {
        "kind": "car",
        "names": ["steering", "gas", "brake"],
        "low": [-1, 0, 0],
        "high": [1, 1, 1],
        "discrete": False,
    }


def test_names_that_do_not_fit_the_actions_are_not_given() -> None:
    told = controls("CarRacing-v3", ActionAdapter(gymnasium.spaces.Discrete(5)))
    assert told["names"] == [f"action {number}" for number in range(5)] and told["discrete"] is True


def test_the_pace_is_the_environments_own_and_the_shorter_limit_counts() -> None:
    assert pace("CartPole-v1", 1000) == {"fps": 50, "max_steps": 500}
    assert pace("CartPole-v1", 200) == {"fps": 50, "max_steps": 200}


def test_a_summary_that_is_not_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text("{")
    with pytest.raises(DataError, match=r"summary\.json"):
        score(tmp_path)
