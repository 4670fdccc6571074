"""Environments with one mistake each, "tests.broken_envs:Raises-v0", and some that only look as if they had one.

`STEPS` counts the steps of all of them: what is refused early has taken few or none.
"""

from __future__ import annotations

import sys
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete

STEPS: list[str] = []
NUMBERS = Box(-1, 1, (4,), np.float32)


class Sound(gymnasium.Env[Any, Any]):
    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012 (Gymnasium's own form)
    observation_space: Any = Box(0, 255, (32, 32, 3), np.uint8)
    action_space: Any = Box(-1, 1, (2,), np.float32)

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        return self.seen(), {}

    def step(self, action: Any) -> Any:
        STEPS.append(type(self).__name__)
        return self.seen(), self.reward(), False, False, {}

    def seen(self) -> Any:
        if self.observation_space is NUMBERS:
            return np.zeros(4, np.float32)
        return self.render()

    def render(self) -> Any:
        return self.np_random.integers(0, 255, (32, 32, 3), dtype=np.uint8)

    def reward(self) -> Any:
        return 1.0


class Leveled(Sound):
    def __init__(self, render_mode: str | None = None, level: int = 1) -> None:
        super().__init__(render_mode)
        if level > 3:
            raise ValueError(f"there is no level {level}.")
        self.level = level

    def reward(self) -> Any:
        return float(self.level)


class NoRenderMode(Sound):
    def __init__(self) -> None:
        self.render_mode = None


class OnlyHuman(Sound):
    metadata = {"render_modes": ["human"]}  # noqa: RUF012

    def __init__(self, render_mode: str | None = None) -> None:
        assert render_mode in (None, "human"), "render_mode"
        super().__init__(render_mode)


class BlindNoRenderMode(NoRenderMode):
    observation_space = NUMBERS


class BlindOnlyHuman(OnlyHuman):
    observation_space = NUMBERS


class Raises(Sound):
    def __init__(self, render_mode: str | None = None) -> None:
        raise RuntimeError("no licence\nfor this machine")


class Exits(Sound):
    def __init__(self, render_mode: str | None = None) -> None:
        sys.exit("no licence")


class TypeErrorInside(Sound):
    def __init__(self, render_mode: str | None = None) -> None:
        len(3)  # type: ignore[arg-type]


class NeedsPackage(Sound):
    def __init__(self, render_mode: str | None = None) -> None:
        import nowhere_to_be_found  # type: ignore[import-not-found]  # noqa: F401


class NoEnvironment:
    def __init__(self, render_mode: str | None = None) -> None:
        pass


class DictActions(Sound):
    action_space = Dict({"a": Discrete(2)})


class ResetRaises(Sound):
    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        raise KeyError("map")


class StepRaises(Sound):
    def step(self, action: Any) -> Any:
        raise ZeroDivisionError("of nothing")


class NanReward(Sound):
    def reward(self) -> Any:
        return float("nan")


class HugeReward(Sound):
    def reward(self) -> Any:
        return 1e300


class ManyRewards(Sound):
    def reward(self) -> Any:
        return np.zeros(3)


class OneColour(Sound):
    def render(self) -> Any:
        return np.zeros((32, 32, 3), np.uint8)


class Still(Sound):
    def render(self) -> Any:
        picture = np.zeros((32, 32, 3), np.uint8)
        picture[4:9, 4:9] = 200
        return picture


KINDS = [kind for kind in list(globals().values()) if isinstance(kind, type) and kind.__module__ == __name__]
for _kind in KINDS:
    if f"{_kind.__name__}-v0" not in gymnasium.registry:
        gymnasium.register(f"{_kind.__name__}-v0", entry_point=_kind)
for _name, _entry in (("NoModule-v0", "nowhere_to_be_found:Thing"), ("NoClass-v0", "tests.broken_envs:Thing")):
    if _name not in gymnasium.registry:
        gymnasium.register(_name, entry_point=_entry)


def named(kind: str) -> str:
    """The id of one of them, as any process finds it."""
    return f"tests.broken_envs:{kind}-v0"
