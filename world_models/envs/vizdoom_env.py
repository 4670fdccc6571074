"""TakeCover: ViZDoom's own VizdoomTakeCover-v1, seen as the paper saw it (Ha & Schmidhuber 2018, section 4).

A step is one tic of the game and +1 while the player lives; an episode has no limit but the loop's. The paper
drew 640 x 480 pixels with the status bar and cut that off: the upper 5/6 were left. Drawn without the bar the
same view are the middle 5/6 (equal to the last pixel at 160 x 120), and that is faster.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np

from world_models.errors import MissingDependencyError
from world_models.types import UInt8Array
from world_models.utils.interrupts import deaf_children

TAKE_COVER = "VizdoomTakeCover-v1"
LEFT_STAY_RIGHT = (2, 0, 1)
"""ViZDoom's numbers of the three actions, in their order along a line."""

MAX_TICS = 2100
"""60 seconds of the game: where the paper cuts an episode."""

_TOP, _BOTTOM = 10, 110
_STARTING = threading.Lock()


def register() -> None:
    """Make Gymnasium know ViZDoom's ids.

    Raises:
        MissingDependencyError: ViZDoom is not installed.
    """
    try:
        import vizdoom.gymnasium_wrapper  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(
            f"ViZDoom is not installed, and {TAKE_COVER} is its game: pip install 'world-models-torch[vizdoom]'."
        ) from error


class TakeCoverView(gymnasium.Wrapper[UInt8Array, Any, Any, Any]):
    """VizdoomTakeCover-v1 with the paper's view, (100, 160, 3) uint8, as its observation.

    The game is a process of its own (17 MB). It is started where no file of its is left behind, and does not
    hear Ctrl-C: that is for the process that drives it, which then ends it. At the tic that ends an episode
    there is no view: it is black.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        super().__init__(env)
        self._game: Any = env.unwrapped.game  # type: ignore[attr-defined]
        shape = (_BOTTOM - _TOP, 160, 3)
        self.observation_space = gymnasium.spaces.Box(0, 255, shape, np.uint8)
        self._last = np.zeros(shape, np.uint8)

    def _view(self, observation: Any) -> UInt8Array:
        self._last = np.ascontiguousarray(observation["screen"][_TOP:_BOTTOM])
        return self._last

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[UInt8Array, dict[str, Any]]:
        """Gymnasium's reset: all that happens in the episode follows from the seed and the actions."""
        with contextlib.nullcontext() if self._game.is_running() else _quiet_start():
            observation, info = self.env.reset(seed=seed, options=options)
        return self._view(observation), info

    def step(self, action: Any) -> tuple[UInt8Array, float, bool, bool, dict[str, Any]]:
        """One tic."""
        observation, reward, terminal, truncated, info = self.env.step(action)
        return self._view(observation), float(reward), terminal, truncated, info

    def render(self) -> Any:
        """The view, as last seen."""
        return self._last


@contextlib.contextmanager
def _quiet_start() -> Iterator[None]:
    """Starts the engine in a temporary folder, as it writes into the current one."""
    with _STARTING, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, deaf_children():
        here = os.getcwd()
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(here)


def make_take_cover(env_id: str, **kwargs: Any) -> gymnasium.Env[Any, Any]:
    """The environment; further settings are ViZDoom's own (`DoomGame.set_config`)."""
    settings = {"screen_resolution": "RES_160X120", "doom_config_path": os.devnull, "sound_enabled": False}
    return TakeCoverView(gymnasium.make(env_id, disable_env_checker=True, **{**settings, **kwargs}))
