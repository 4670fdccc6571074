"""Gymnasium's API, held to: what `reset` and `step` give otherwise is refused by one sentence."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from tests.odd_envs import ODD, OddEnv
from world_models.envs.contract.protocol import checked_reset, checked_step
from world_models.envs.gym_env import GymImageEnv, GymLanes
from world_models.errors import EnvironmentFailure, ObservationError
from world_models.rollout.loop import drive
from world_models.rollout.policies import NoisePolicy
from world_models.types import Episode

RGB = np.full((40, 48, 3), 7, np.uint8)
RESETS = {
    "an observation alone": lambda shown, info: shown,
    "a list": lambda shown, info: [shown, info],
    "three values": lambda shown, info: (shown, info, False),
    "no dictionary": lambda shown, info: (shown, None),
    "nothing": lambda shown, info: None,
}
STEPS = {
    "four values": lambda *five: (*five[:3], five[4]),
    "three values": lambda *five: five[:3],
    "six values": lambda *five: (*five, 0),
    "nothing": lambda *five: None,
}
WAYS = {"as made": {}, "no checker": {"disable_env_checker": True}, "time limit": {"max_episode_steps": 3}}
BOTH = {"disable_env_checker": True, "max_episode_steps": 3}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("way", [*WAYS.values(), BOTH], ids=[*WAYS, "both"])
@pytest.mark.parametrize("method", ["reset", "step"])
def test_what_the_api_does_not_have_is_refused_whichever_wrappers_stand_between(method, way):
    for kind, gives in (RESETS if method == "reset" else STEPS).items():
        lanes = GymLanes(ODD, 1, rendered=[RGB], **{f"{method}_gives": gives}, **way)
        with pytest.raises(
            ObservationError, match=rf"^Odd-v0\.{method}\(\) does not keep to Gymnasium's API \(.+"
        ) as e:
            drive(lanes, NoisePolicy(lanes.actions, 9), [Episode(0, 7)], time_limit=9)
        sentence = str(e.value)
        assert "seed 7, step 0" in sentence and "\n" not in sentence and "returns (observation, " in sentence, kind
        env = GymImageEnv(gym.make(ODD, rendered=[RGB], **{f"{method}_gives": gives}, **way))
        with pytest.raises(ObservationError, match=method):
            env.reset()
            env.step([0.0, 0.0])


class Seedless(OddEnv):
    def reset(self) -> Any:
        return super().reset()


@pytest.mark.filterwarnings("ignore")
def test_a_reset_without_a_seed_is_named():
    gym.register("Seedless-v0", entry_point=Seedless)
    for env in (Seedless(rendered=[RGB]), gym.make("Seedless-v0"), gym.make("Seedless-v0", disable_env_checker=True)):
        with pytest.raises(ObservationError, match=r"it takes no seed.* reset\(seed=None, options=None\)"):
            checked_reset(env, 3)


class Broken(OddEnv):
    def reset(self, **_: Any) -> Any:
        raise ValueError("not enough values to unpack (expected 5, got 4)")

    def step(self, action: Any) -> Any:
        assert action is None, "the bolt is loose"


@pytest.mark.filterwarnings("ignore")
def test_what_an_environment_raises_itself_stays_its_own_and_names_seed_and_step():
    with pytest.raises(ValueError, match="unpack"):
        checked_reset(Broken())
    with pytest.raises(AssertionError, match="loose"):
        checked_step(Broken(), 3)
    lanes = GymLanes(ODD, 1, rendered=[RGB], step_gives=lambda *five: 1 / 0)
    with pytest.raises(EnvironmentFailure, match=r"ZeroDivisionError.*seed 7, step 0"):
        drive(lanes, NoisePolicy(lanes.actions, 9), [Episode(0, 7)], time_limit=9)


def test_a_step_before_the_reset_is_gymnasiums_own_error():
    with pytest.raises(gym.error.ResetNeeded):
        checked_step(gym.make(ODD, rendered=[RGB]), None)


@pytest.mark.filterwarnings("ignore")
def test_a_reward_that_is_no_number_is_the_environments_failure():
    lanes = GymLanes(ODD, 1, rendered=[RGB], step_gives=lambda *five: (five[0], None, *five[2:]))
    with pytest.raises(EnvironmentFailure, match=r"NoneType.*seed 7, step 0"):
        drive(lanes, NoisePolicy(lanes.actions, 9), [Episode(0, 7)], time_limit=9)
