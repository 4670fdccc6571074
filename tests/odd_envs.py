"""An environment that shows whatever it is told to, and remembers the actions that reach its `step`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

ODD = "tests.odd_envs:Odd-v0"
VECTOR = spaces.Box(-1, 1, (3,), np.float32)


class OddEnv(gym.Env[Any, Any]):
    """Five steps of what `shown` (observations) and `rendered` hold for each time, the last for all that follow.

    With `reset_gives` and `step_gives`, its results are what these make of Gymnasium's own.
    """

    metadata = {"render_modes": ["rgb_array", "rgb_array_list"], "render_fps": 10}  # noqa: RUF012

    def __init__(
        self,
        shown: Sequence[Any] = (np.zeros(3, np.float32),),
        rendered: Sequence[Any] | None = None,
        space: spaces.Space[Any] = VECTOR,
        actions: spaces.Space[Any] | None = None,
        reset_gives: Callable[[Any, Any], Any] | None = None,
        step_gives: Callable[..., Any] | None = None,
        render_mode: str | None = "rgb_array",
    ) -> None:
        self.shown, self.rendered, self.render_mode = shown, rendered, render_mode
        self.observation_space = space
        self.action_space = spaces.Box(-1, 1, (2,), np.float32) if actions is None else actions
        self.reset_gives, self.step_gives = reset_gives, step_gives
        self.time, self.taken, self.seeds = 0, list[Any](), list[int | None]()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.seeds.append(seed)
        self.time = 0
        result = self.shown[0], {}
        return result if self.reset_gives is None else self.reset_gives(*result)

    def step(self, action: Any) -> Any:
        self.taken.append(action)
        self.time += 1
        result = self.shown[min(self.time, len(self.shown) - 1)], 1.0, self.time == 5, False, {}
        return result if self.step_gives is None else self.step_gives(*result)

    def render(self) -> Any:
        if self.rendered is None:
            raise NotImplementedError
        return self.rendered[min(self.time, len(self.rendered) - 1)]


def _noise(shape: tuple[int, ...]) -> Any:
    return np.random.default_rng(0).random(shape)


def _registered(name: str, **kwargs: Any) -> str:
    if name not in gym.registry:
        gym.register(name, entry_point=OddEnv, kwargs=kwargs)
    return f"tests.odd_envs:{name}"


# Of each, by an id alone, what a command line meets.
_registered("Odd-v0")
FLOATS = _registered("OddFloats-v0", rendered=[_noise((40, 48, 3))])
GRAY = _registered("OddGray-v0", rendered=[(255 * _noise((40, 48, 1))).astype(np.uint8)])
NAN = _registered("OddNan-v0", rendered=[np.full((40, 48, 3), np.nan)])
TWO = _registered("OddTwo-v0", rendered=[np.ones((40, 48, 2), np.uint8)])
LATE = _registered(
    "OddLate-v0", rendered=[np.full((40, 48, 3), 0.5), np.full((40, 48, 3), 0.5), np.full((40, 48, 3), 9.0)]
)
OLD_RESET = _registered("OldReset-v0", rendered=[np.ones((40, 48, 3), np.uint8)], reset_gives=lambda shown, _: shown)
OLD_STEP = _registered(
    "OldStep-v0", rendered=[np.ones((40, 48, 3), np.uint8)], step_gives=lambda *five: (*five[:3], five[4])
)
WHOLE = _registered(
    "OddWhole-v0",
    rendered=[(255 * _noise((40, 48, 3))).astype(np.uint8)],
    actions=spaces.Box(np.array([-3, 0], np.int64), np.array([3, 1], np.int64), dtype=np.int64),
)
