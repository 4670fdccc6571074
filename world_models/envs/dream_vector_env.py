"""The dream as a vector environment: `gymnasium.make_vec("world_models/Dream-v0", num_envs=256, logdir=...)`.

All dreams are one batch of lanes in this process. With `vectorization_mode="sync"` or "async" Gymnasium makes single
ones in their place.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from world_models.envs.dream_simulator import RENDER_MODES, DreamSettings, DreamSimulator, Observation
from world_models.errors import ConfigError
from world_models.types import BoolArray, DoubleArray, UInt8Array

Seeds = int | Sequence[int | None] | None
Infos = dict[str, Any]


class DreamVectorEnv(VectorEnv[Observation, Any, npt.NDArray[Any]]):
    """Dreams of one run as one batch; each is the `DreamEnv` of the same seed, up to the last digits of M's products.

    Episodes end lane by lane, and what then happens is Gymnasium's autoreset: by default the next step begins the
    lane's next dream, with a reward of 0 and its action ignored ("NextStep"); with "SameStep" the step that ends a
    dream begins the next one, and infos have "final_obs" and "final_info"; with "Disabled" the caller resets lanes
    by `reset(options={"reset_mask": mask})`. The next dream's seed follows from the last one that the lane was given.

    Args:
        num_envs: How many dreams, L.
        logdir: A run with V, M and M's starts.
        autoreset_mode: An `AutoresetMode` or its value.
        max_episode_steps: Gymnasium's name of `max_steps`.
        settings: The other fields of `DreamSettings`.

    Raises:
        CheckpointError: V or M is missing, sizes do not fit, or the terminal head was not trained.
        DataError: the file of starts is missing.
        ConfigError: an argument cannot work.
    """

    metadata = {"render_modes": list(RENDER_MODES), "render_fps": 50}  # noqa: RUF012 (Gymnasium's own form)

    def __init__(
        self,
        num_envs: int = 1,
        logdir: str | Path | None = None,
        *,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        max_episode_steps: int | None = None,
        **settings: Any,
    ) -> None:
        if not (isinstance(num_envs, (int, np.integer)) and num_envs >= 1):
            raise ConfigError(f"num_envs={num_envs!r} cannot work: give a whole number of at least 1.")
        self.autoreset_mode = _autoreset_mode(autoreset_mode)
        if max_episode_steps is not None:
            settings["max_steps"] = max_episode_steps
        self._simulator = DreamSimulator(DreamSettings(logdir, **settings), int(num_envs))
        self.num_envs = int(num_envs)
        self.metadata = {**self.metadata, "autoreset_mode": self.autoreset_mode}
        self.render_mode, self.max_steps = self._simulator.settings.render_mode, self._simulator.max_steps
        self.single_action_space = self._simulator.action_space
        self.single_observation_space = self._simulator.observation_space
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self._any_action = self._simulator.actions.native(self._simulator.actions.low[None])[0]
        self._generators: list[np.random.Generator | None] = [None] * self.num_envs
        self._steps = np.full(self.num_envs, -1)  # no episodes yet
        self._over = np.zeros(self.num_envs, bool)  # lanes whose dream has ended, and that were not reset since

    def reset(self, *, seed: Seeds = None, options: dict[str, Any] | None = None) -> tuple[Observation, Infos]:
        """Begin dreams.

        Args:
            seed: One for each lane; of an int, the lanes have seed, seed + 1, ...; None: each lane's follows from the
                last one that it was given.
            options: "reset_mask" (L,) bool: the lanes to reset; by default all.

        Returns:
            observations (L, ...) and infos, of the lanes that were reset.
        """
        seeds, lanes = self._seed_of_each(seed), self._lanes_of(options)
        self._restart(lanes, seeds)
        return self._simulator.observe(), _told(lanes, np.zeros(self.num_envs, np.int64), np.zeros(self.num_envs))

    def step(self, actions: Any) -> tuple[Observation, DoubleArray, BoolArray, BoolArray, Infos]:
        """One step of every dream.

        Args:
            actions: Native, stacked.

        Returns:
            observations (L, ...), rewards, terminations and truncations (L,), infos.
        """
        if self._steps.min() < 0:
            raise gymnasium.error.ResetNeeded("Cannot call env.step() before calling env.reset()")
        stale = self._over
        if stale.any():
            if self.autoreset_mode is AutoresetMode.DISABLED:
                raise gymnasium.error.ResetNeeded(f"Dreams {np.flatnonzero(stale).tolist()} are over: reset them.")
            actions = np.array(actions)
            actions[stale] = self._any_action  # what it was is ignored
        step = self._simulator.step(actions)
        self._steps += 1
        rewards = np.where(stale, 0.0, step.rewards.cpu().double().numpy())
        terminated = step.terminals.cpu().numpy() & ~stale
        truncated = (self._steps >= self.max_steps) & ~stale
        clamped = np.where(stale, 0, step.clamped.cpu().numpy())
        probability = np.where(stale, 0.0, step.logits.sigmoid().cpu().double().numpy())
        self._restart(stale)
        self._over = terminated | truncated
        everyone = np.ones(self.num_envs, bool)
        observations, infos = self._simulator.observe(), _told(everyone, clamped, probability)
        if self.autoreset_mode is AutoresetMode.SAME_STEP and self._over.any():
            observations, infos = self._next_dreams(observations, clamped, probability)
        return observations, rewards, terminated, truncated, infos

    def _next_dreams(
        self, last: Observation, clamped: npt.NDArray[np.int64], probability: DoubleArray
    ) -> tuple[Observation, Infos]:
        """The observations and infos of a step after which lanes that are over begin anew."""
        over = self._over
        final = np.full(self.num_envs, None, dtype=object)
        for lane in np.flatnonzero(over):
            final[lane] = last[lane]
        final_info = _told(over, np.where(over, clamped, 0), np.where(over, probability, 0.0))
        self._restart(over)
        everyone = np.ones(self.num_envs, bool)
        infos = _told(everyone, np.where(over, 0, clamped), np.where(over, 0.0, probability))
        infos |= {"final_obs": final, "_final_obs": over.copy(), "final_info": final_info, "_final_info": over.copy()}
        self._over = np.zeros(self.num_envs, bool)
        return self._simulator.observe(), infos

    def _restart(self, lanes: BoolArray, seeds: Sequence[int | None] | None = None) -> None:
        """Begin dreams on these lanes, by their seeds or by what follows from their last ones."""
        if not lanes.any():
            return
        chosen: list[int] = []
        for lane in np.flatnonzero(lanes).tolist():
            seed, generator = seeds[lane] if seeds is not None else None, self._generators[lane]
            if seed is not None or generator is None:
                generator, _ = seeding.np_random(seed)
                self._generators[lane] = generator
            chosen.append(int(seed) if seed is not None else int(generator.integers(2**31)))
        if lanes.all():
            self._simulator.begin(chosen)
        else:
            self._simulator.reset(np.flatnonzero(lanes).tolist(), chosen)
        self._steps[lanes] = 0
        self._over = self._over & ~lanes

    def _seed_of_each(self, seed: Seeds) -> list[int | None]:
        if seed is None:
            return [None] * self.num_envs
        if isinstance(seed, (int, np.integer)):
            return [int(seed) + lane for lane in range(self.num_envs)]
        if len(seed) != self.num_envs:
            raise ConfigError(
                f"seed has {len(seed)} numbers for {self.num_envs} dreams: give one for each, or one int."
            )
        return [None if each is None else int(each) for each in seed]

    def _lanes_of(self, options: dict[str, Any] | None) -> BoolArray:
        mask = (options or {}).get("reset_mask")
        if mask is None:
            return np.ones(self.num_envs, bool)
        if not (isinstance(mask, np.ndarray) and mask.shape == (self.num_envs,) and mask.dtype == bool and mask.any()):
            raise ConfigError(
                f"options['reset_mask']={mask!r} cannot work: give an array of {self.num_envs} booleans, one of them "
                "True at least."
            )
        if (self._steps[~mask] < 0).any():
            raise gymnasium.error.ResetNeeded("The first reset is of all dreams: leave out reset_mask.")
        return mask.copy()

    def render(self) -> tuple[UInt8Array, ...] | None:
        """V's picture (64, 64, 3) uint8 of each latent; None without a render_mode."""
        if self.render_mode is None:
            return None
        if self._steps.min() < 0:
            raise gymnasium.error.ResetNeeded("Cannot call env.render() before calling env.reset()")
        return tuple(self._simulator.pictures())


def _autoreset_mode(named: AutoresetMode | str) -> AutoresetMode:
    try:
        return AutoresetMode(named)
    except ValueError:
        known = ", ".join(mode.value for mode in AutoresetMode)
        raise ConfigError(f"autoreset_mode={named!r} is unknown: it is one of {known}.") from None


def _told(lanes: BoolArray, clamped: npt.NDArray[np.int64], probability: DoubleArray) -> Infos:
    """Infos of some lanes in Gymnasium's form: an array a name, and under `_name` whose numbers are meant."""
    return {
        "clamped": clamped,
        "_clamped": lanes.copy(),
        "terminal_probability": probability,
        "_terminal_probability": lanes.copy(),
    }
