"""Variants of CarRacing keep what holds for them of its row: crop, squash, drawing, mirror."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.box2d import CarRacing
from gymnasium.envs.registration import WrapperSpec

from world_models.envs.gym_env import GymImageEnv, GymLanes
from world_models.envs.registry import env_spec
from world_models.errors import ConfigError
from world_models.rollout.driver import Recipe, choose_backend, make_lanes

OWN = env_spec("CarRacing-v3")


class Rewarded(CarRacing):
    """Other rewards, the same pictures."""

    def step(self, action: Any) -> Any:
        observation, _, *rest = super().step(action)
        return observation, 1.0, *rest


class Painted(CarRacing):
    """Other pictures."""

    def _render(self, mode: str) -> Any:
        return 255 - super()._render(mode)


class Steered(CarRacing):
    """One action."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)


def made(**settings: Any) -> CarRacing:
    return CarRacing(**settings)


@pytest.fixture
def registered() -> Iterator[Any]:
    names: list[str] = []

    def register(name: str, **settings: Any) -> str:
        gymnasium.register(name, **settings)
        names.append(name)
        return name

    yield register
    for name in names:
        del gymnasium.registry[name]


PLAIN, WHOLE = ((), None, False, False), ((0,), ("tanh", "sigmoid", "clipped_tanh"), True, True)
CASES = [
    ("gymnasium.envs.box2d:CarRacing", {"lap_complete_percent": 0.5}, WHOLE),
    ("gymnasium.envs.box2d.car_racing:CarRacing", {"domain_randomize": True}, WHOLE),
    (CarRacing, {}, WHOLE),
    (CarRacing, {"continuous": False}, ((), None, True, True)),
    (Rewarded, {}, ((), OWN.squash, True, False)),
    (Painted, {}, ((), OWN.squash, False, False)),
    ("gymnasium.envs.box2d:LunarLander", {}, None),
    (made, {}, None),
]


@pytest.mark.parametrize(("entry", "kwargs", "holds"), CASES)
def test_a_registered_variant_keeps_what_holds(registered: Any, entry: Any, kwargs: Any, holds: Any) -> None:
    spec = env_spec(registered("MyCar-v0", entry_point=entry, kwargs=kwargs))
    assert spec.env_id == "MyCar-v0" and not spec.envpool
    if holds is None:
        assert (spec.rows, spec.squash, spec.redraw, spec.derived_from) == (None, None, None, None)
        return
    assert (spec.rows, spec.early_termination, spec.derived_from) == (84, 80, "CarRacing-v3")
    assert (spec.mirror, spec.squash, spec.redraw is not None, spec.stop_drawing is not None) == holds
    assert (spec.drift is not None) == (spec.squash is not None)


@pytest.mark.parametrize(
    ("env_kwargs", "squash", "backend"),
    [({"lap_complete_percent": 0.5}, OWN.squash, "redrawn"), ({"continuous": False}, None, "redrawn")],
)
def test_the_known_id_with_arguments_keeps_it_as_well(env_kwargs: Any, squash: Any, backend: str) -> None:
    spec = env_spec("CarRacing-v2", env_kwargs)
    assert (spec.env_id, spec.rows, spec.squash, spec.envpool) == ("CarRacing-v3", 84, squash, False)
    assert choose_backend("CarRacing-v2", "auto", env_kwargs) == backend


def test_one_that_is_registered_with_wrappers_is_plain(registered: Any) -> None:
    wrapper = WrapperSpec("Grey", "gymnasium.wrappers:GrayscaleObservation", {"keep_dim": True})
    name = registered("GreyCar-v0", entry_point=CarRacing, additional_wrappers=(wrapper,))
    assert env_spec(name).rows is None and env_spec(name).redraw is None


def test_other_actions_have_plain_squashes_and_drift(registered: Any) -> None:
    name = registered("Steered-v0", entry_point=Steered)
    lanes = GymLanes(name, 1)
    assert lanes.actions.size == 1
    assert lanes.spec.drift_of(lanes.actions) is None
    lanes.close()


def test_five_discrete_actions_drive_the_redrawn_view() -> None:
    recipe = Recipe("CarRacing-v3", num_lanes=1, env_kwargs={"continuous": False})
    lanes = make_lanes(recipe)
    assert lanes.backend == "redrawn" and lanes.actions.discrete and lanes.actions.size == 5
    lane = np.zeros(1, np.int64)
    frames = [lanes.reset(lane, [3])]
    frames += [lanes.step(lane, np.eye(5, dtype=np.float32)[[3]]).observations for _ in range(5)]
    assert not np.array_equal(frames[0], frames[-1])
    lanes.close()


def test_the_wrapper_squashes_an_environment_made_elsewhere_by_what_it_was_made_with() -> None:
    for kwargs, size in (({"continuous": False}, 5), ({}, 3)):
        env = GymImageEnv(gymnasium.make("CarRacing-v3", render_mode="rgb_array", **kwargs))
        assert (env.rows, env.adapter.size) == (84, size)
        env.close()


def test_envpool_takes_no_arguments() -> None:
    with pytest.raises(ConfigError, match="EnvPool makes CarRacing-v3 without arguments"):
        make_lanes(Recipe("CarRacing-v3", backend="envpool", env_kwargs={"lap_complete_percent": 0.5}))
