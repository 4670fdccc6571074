"""Gymnasium's vector environments for Stable-Baselines3, which has a vector interface of its own.

Only those who want to train with Stable-Baselines3 import this module; it is not a dependency.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv

from world_models.errors import ConfigError, MissingDependencyError

try:
    from stable_baselines3.common.vec_env import VecEnv
    from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn
except ImportError as error:
    raise MissingDependencyError(
        "world_models.envs.sb3 needs Stable-Baselines3, which is not installed: pip install stable-baselines3."
    ) from error


class SB3VecEnv(VecEnv):
    """A Gymnasium vector environment as Stable-Baselines3's `VecEnv`, one batch as before.

    Args:
        envs: With the autoreset mode "SameStep", which is Stable-Baselines3's:
            `gymnasium.make_vec("world_models/Dream-v0", num_envs=256, logdir=..., autoreset_mode="SameStep")`.

    Raises:
        ConfigError: the environment resets in another way.
    """

    def __init__(self, envs: VectorEnv[Any, Any, Any]) -> None:
        mode = envs.metadata.get("autoreset_mode")
        if mode is not AutoresetMode.SAME_STEP:
            raise ConfigError(
                f"Stable-Baselines3 begins the next episode in the step that ends one, and the environment's "
                f"autoreset_mode is {getattr(mode, 'value', mode)}: make it with autoreset_mode='SameStep'."
            )
        self.envs = envs
        super().__init__(envs.num_envs, envs.single_observation_space, envs.single_action_space)

    def reset(self) -> VecEnvObs:
        """Begin all episodes, with the seeds that `seed` was given."""
        seeds = self._seeds if any(seed is not None for seed in self._seeds) else None
        observations, infos = self.envs.reset(seed=seeds)  # type: ignore[arg-type]  # Gymnasium's vectorizers take lists
        self.reset_infos = _of_each(infos, self.num_envs)
        self._reset_seeds()
        self._reset_options()
        return observations  # type: ignore[no-any-return]

    def step_async(self, actions: np.ndarray[Any, Any]) -> None:
        """Remember the actions of the next step."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Step: observations, rewards, dones (L,), and an info for each environment."""
        observations, rewards, terminated, truncated, infos = self.envs.step(self._actions)
        final, final_infos = infos.pop("final_obs", None), infos.pop("final_info", {})
        told, last = _of_each(infos, self.num_envs), _of_each(final_infos, self.num_envs)
        dones = terminated | truncated
        for row in np.flatnonzero(dones).tolist():
            cut = bool(truncated[row] and not terminated[row])
            self.reset_infos[row] = told[row]
            told[row] = {**last[row], "terminal_observation": final[row], "TimeLimit.truncated": cut}
        return observations, rewards.astype(np.float32), dones, told

    def close(self) -> None:
        """Close the environments."""
        self.envs.close()

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """The batch's attribute, once for each environment that is asked for."""
        return [getattr(self.envs, attr_name)] * len(list(self._get_indices(indices)))

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set the batch's attribute, which all environments share."""
        setattr(self.envs, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> list[Any]:
        """What the batch's method gives, once for each environment that is asked for."""
        given = getattr(self.envs, method_name)(*method_args, **method_kwargs)
        return [given] * len(list(self._get_indices(indices)))

    def env_is_wrapped(self, wrapper_class: type[Any], indices: VecEnvIndices = None) -> list[bool]:
        """Never: there are no single environments to wrap."""
        return [False] * len(list(self._get_indices(indices)))

    def get_images(self) -> Sequence[Any]:
        """What each environment renders."""
        pictures = self.envs.render()
        return [None] * self.num_envs if pictures is None else list(pictures)


def _of_each(infos: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """Gymnasium's infos, an array a name, as a dictionary for each environment."""
    told: list[dict[str, Any]] = [{} for _ in range(count)]
    for name, values in infos.items():
        if name.startswith("_") or isinstance(values, dict):
            continue
        meant = infos.get(f"_{name}")
        listed = values.tolist() if isinstance(values, np.ndarray) and values.dtype != object else values
        for row in range(count) if meant is None else np.flatnonzero(meant).tolist():
            told[row][name] = listed[row]
    return told
