"""The dream as a Gymnasium environment: `gymnasium.make("world_models/Dream-v0", logdir=...)`.

For learners that want one environment; hundreds of dreams as one batch are `DreamVectorEnv`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium

from world_models.envs.dream_simulator import RENDER_MODES, DreamSettings, DreamSimulator, Observation
from world_models.types import UInt8Array


class DreamEnv(gymnasium.Env[Observation, Any]):
    """M of a run as an environment (Ha & Schmidhuber 2018, section 4).

    It works in worker processes that are forked, spawned or made by the fork server, see docs/dream.md. The action
    space is the real environment's. An episode is decided by the seed of its reset: `reset(seed=s)` is
    episode s of `dream evaluate`, up to the last digits of M's products, which a long dream amplifies.

    `info` has "terminal_probability", and "clamped": how many entries of the latent had left, in this step, the
    range of the data that M was trained on, and were put back to its edge (0 after a reset).

    Args:
        logdir: A run with V, M and M's starts.
        settings: The other fields of `DreamSettings`.

    Raises:
        CheckpointError: V or M is missing, sizes do not fit, or the terminal head was not trained.
        DataError: the file of starts is missing.
        ConfigError: an argument cannot work.
    """

    metadata = {"render_modes": list(RENDER_MODES), "render_fps": 50}  # noqa: RUF012 (Gymnasium's own form)

    def __init__(self, logdir: str | Path | None = None, **settings: Any) -> None:
        self._simulator = DreamSimulator(DreamSettings(logdir, **settings))
        self.render_mode = self._simulator.settings.render_mode
        self.action_space, self.observation_space = self._simulator.action_space, self._simulator.observation_space
        self.max_steps = self._simulator.max_steps
        self._steps = -1  # no episode yet

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin a dream; without a seed, one that follows from the last seed."""
        super().reset(seed=seed)
        self._simulator.begin([seed if seed is not None else int(self.np_random.integers(2**31))])
        self._steps = 0
        return self._simulator.observe()[0], {"clamped": 0, "terminal_probability": 0.0}

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """One step of the dream with a native action."""
        if self._steps < 0:
            raise gymnasium.error.ResetNeeded("Cannot call env.step() before calling env.reset()")
        told = self._simulator.step(action)
        self._steps += 1
        info = {"clamped": int(told.clamped[0]), "terminal_probability": float(told.logits[0].sigmoid())}
        truncated = self._steps >= self.max_steps
        return self._simulator.observe()[0], float(told.rewards[0]), bool(told.terminals[0]), truncated, info

    def render(self) -> UInt8Array | None:
        """V's picture (64, 64, 3) uint8 of the latent; None without a render_mode."""
        if self.render_mode is None:
            return None
        if self._steps < 0:
            raise gymnasium.error.ResetNeeded("Cannot call env.render() before calling env.reset()")
        picture: UInt8Array = self._simulator.pictures()[0]
        return picture
