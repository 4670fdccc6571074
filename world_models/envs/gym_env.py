"""Gymnasium environments: the documented wrapper, and any id as lanes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, SupportsFloat

import gymnasium
import numpy as np
import torch

from world_models.envs.frames import resize_frames
from world_models.envs.lanes import LaneFailure
from world_models.envs.registry import EnvSpec, env_spec, make_gym
from world_models.errors import ActionSpaceError, ConfigError, WorldModelsError
from world_models.types import FRAME_SIZE, FloatArray, IntArray, Step, UInt8Array


def _is_picture(space: gymnasium.Space[Any]) -> bool:
    return (
        isinstance(space, gymnasium.spaces.Box)
        and len(space.shape) == 3
        and space.shape[-1] == 3
        and space.dtype == np.uint8
    )


def native_frame(env: gymnasium.Env[Any, Any], observation: Any) -> UInt8Array:
    """The picture (H, W, 3) uint8 of an environment now: its observation if it is one, else its rendering."""
    if _is_picture(env.observation_space):
        return np.asarray(observation, dtype=np.uint8)
    picture = env.render()
    if not isinstance(picture, np.ndarray) or picture.ndim != 3:
        raise ActionSpaceError(
            f"{env.spec.id if env.spec else env} gives neither pixel observations nor rgb pictures: make it with "
            'render_mode="rgb_array".'
        )
    return picture.astype(np.uint8, copy=False)


def _own_kwargs(spec: gymnasium.envs.registration.EnvSpec) -> dict[str, Any]:
    """What an environment was made with, beside the way that it draws and what it is registered with."""
    registered = gymnasium.registry[spec.id].kwargs
    return {k: v for k, v in spec.kwargs.items() if k != "render_mode" and (k not in registered or registered[k] != v)}


class GymImageEnv(gymnasium.Wrapper[UInt8Array, Any, Any, Any]):
    """Any Gymnasium environment with `size` uint8 pictures as observations (specification, GymImageEnv).

    `step` takes C's raw output: it is squashed into the action space here (raw=False: it is passed on as it
    is). Pixel observations are used as they are; other environments are rendered.

    Args:
        env: A Gymnasium environment, or an id. An environment made elsewhere must give pixel observations
            or have been made with render_mode="rgb_array".
        size: Height and width of the pictures.
        rows: Rows of the native picture that are kept; by default what the registry says of the id.
        raw: Whether `step` squashes its action.
    """

    def __init__(
        self,
        env: gymnasium.Env[Any, Any] | str,
        size: tuple[int, int] = (FRAME_SIZE, FRAME_SIZE),
        rows: int | None = None,
        raw: bool = True,
    ) -> None:
        env = make_gym(env) if isinstance(env, str) else env
        super().__init__(env)
        self.size = size
        known = env.spec is not None and env.spec.id in gymnasium.registry
        table = (
            env_spec(env.spec.id, _own_kwargs(env.spec)) if known and env.spec is not None else EnvSpec("unregistered")
        )
        self.rows = rows if rows is not None else table.rows
        self.adapter = table.adapter(env.action_space)
        self.raw = raw
        self.observation_space = gymnasium.spaces.Box(0, 255, (*size, 3), np.uint8)

    def _picture(self, observation: Any) -> UInt8Array:
        picture: UInt8Array = resize_frames(native_frame(self.env, observation)[None], self.size, self.rows)[0]
        return picture

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[UInt8Array, dict[str, Any]]:
        """Gymnasium's reset; the observation is a (*size, 3) uint8 picture."""
        observation, info = self.env.reset(seed=seed, options=options)
        return self._picture(observation), info

    def step(self, action: Any) -> tuple[UInt8Array, SupportsFloat, bool, bool, dict[str, Any]]:
        """Gymnasium's step, five values; `action` is C's output (A,) unless raw=False."""
        native = self.native_action(action) if self.raw else action
        observation, reward, terminal, truncated, info = self.env.step(native)
        return self._picture(observation), reward, terminal, truncated, info

    def native_action(self, raw: Any) -> Any:
        """C's output (A,) as the wrapped environment's own action."""
        row = torch.as_tensor(np.asarray(raw, dtype=np.float32)).reshape(1, -1)
        if row.shape[1] != self.adapter.size:
            raise ActionSpaceError(
                f"The action has {row.shape[1]} numbers, {self.adapter.space} takes {self.adapter.size}: "
                "build the controller with that action_size."
            )
        native = self.adapter.native(self.adapter.from_raw(row).numpy())[0]
        return int(native) if self.adapter.discrete else native


@contextlib.contextmanager
def _named(lane: int) -> Iterator[None]:
    """Says which lane's environment it was that raised; what the user can mend is passed on as it is."""
    try:
        yield
    except WorldModelsError:
        raise
    except Exception as error:
        raise LaneFailure(int(lane)) from error


class GymLanes:
    """Any Gymnasium id as lanes, in this process: each lane is an environment of its own, seeded at each reset.

    With `draw=False`, for policies that do not look, frames are black where drawing can be stopped; returns
    are the same. With `redrawn=True` (backend "redrawn") frames come from the registry's own drawing.

    Raises:
        ConfigError: the registry has no drawing of its own for this environment.
    """

    def __init__(
        self,
        env_name: str,
        num_lanes: int = 1,
        *,
        draw: bool = True,
        redrawn: bool = False,
        env_kwargs: Mapping[str, Any] | None = None,
        **make_kwargs: Any,
    ) -> None:
        make_kwargs |= env_kwargs or {}
        self.spec = env_spec(env_name, make_kwargs)
        self.backend = "redrawn" if redrawn else "gymnasium"
        if redrawn and not self.spec.redraw:
            raise ConfigError(f"{self.spec.env_id} has no faster drawing: use --backend gymnasium.")
        self.num_lanes = num_lanes
        # The loop has its own time limit, as the specification's `time_limit` is any number of steps; the
        # environment's registered one still counts where it is shorter.
        self._envs = [make_gym(env_name, **make_kwargs) for _ in range(num_lanes)]
        if not draw and self.spec.stop_drawing:
            for env in self._envs:
                self.spec.stop_drawing(env)
        elif redrawn and self.spec.redraw:
            for env in self._envs:
                self.spec.redraw(env)
        self.actions = self.spec.adapter(self._envs[0].action_space)

    def announce(self, seeds: Sequence[int]) -> None:
        """Nothing to prepare: every reset takes its own seed."""

    def reset(self, lanes: IntArray, seeds: Sequence[int]) -> UInt8Array:
        """Start episodes; native frames (n, H, W, 3)."""
        frames = []
        for lane, seed in zip(lanes, seeds, strict=True):
            with _named(lane):
                observation, _ = self._envs[lane].reset(seed=int(seed))
                frames.append(native_frame(self._envs[lane], observation))
        return np.stack(frames)

    def step(self, lanes: IntArray, actions: FloatArray) -> Step:
        """Step the named lanes one after the other."""
        frames, rewards, terminals, truncated = [], [], [], []
        for lane, action in zip(lanes, self.actions.native(actions), strict=True):
            env = self._envs[lane]
            with _named(lane):
                observation, reward, terminal, cut, _ = env.step(action)
                frames.append(native_frame(env, observation))
            rewards.append(float(reward))
            terminals.append(bool(terminal))
            truncated.append(bool(cut))
        return Step(
            np.stack(frames),
            np.array(rewards, np.float32),
            np.array(terminals, bool),
            np.array(truncated, bool),
        )

    def close(self) -> None:
        """Close every environment."""
        for env in self._envs:
            env.close()
        self._envs = []
