"""Gymnasium environments: the documented wrapper, and any id as lanes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, SupportsFloat

import gymnasium
import numpy as np
import torch

from world_models.envs.actions import check_finite
from world_models.envs.contract.pictures import PictureReader
from world_models.envs.contract.protocol import checked_reset, checked_step
from world_models.envs.frames import resize_frames
from world_models.envs.lanes import LaneFailure
from world_models.envs.registry import EnvSpec, env_spec, make_gym
from world_models.errors import ActionSpaceError, ConfigError, ObservationError, WorldModelsError
from world_models.types import FRAME_SIZE, FloatArray, IntArray, Step, UInt8Array


def native_frame(env: gymnasium.Env[Any, Any], observation: Any) -> UInt8Array:
    """The picture (H, W, 3) uint8 of an environment now; for more than one, keep its `PictureReader`."""
    return PictureReader(env).read(observation)


def _own_kwargs(spec: gymnasium.envs.registration.EnvSpec) -> dict[str, Any]:
    """What an environment was made with, beside the way that it draws and what it is registered with."""
    registered = gymnasium.registry[spec.id].kwargs
    return {k: v for k, v in spec.kwargs.items() if k != "render_mode" and (k not in registered or registered[k] != v)}


class GymImageEnv(gymnasium.Wrapper[UInt8Array, Any, Any, Any]):
    """Any Gymnasium environment with `size` uint8 pictures as observations (specification, GymImageEnv).

    `step` takes C's raw output: it is squashed into the action space here (raw=False: it is passed on as it
    is). Pixel observations are used as they are, other environments are rendered (`envs.pictures.PictureReader`).

    Args:
        env: A Gymnasium environment, or an id. An environment made elsewhere must give pixel observations
            or have been made with render_mode="rgb_array".
        size: Height and width of the pictures, or one number for both.
        rows: Rows of the native picture that are kept; by default what the registry says of the id.
        raw: Whether `step` squashes its action.
        seed: Of the first reset that is given none.

    Raises:
        ConfigError: a size that no picture can have.
        ActionSpaceError: the action space cannot be driven; from `step`, an action that is no finite number.
        ObservationError: (from `reset` and `step`) what the environment gives is no picture.
    """

    def __init__(
        self,
        env: gymnasium.Env[Any, Any] | str,
        size: tuple[int, int] | int = (FRAME_SIZE, FRAME_SIZE),
        rows: int | None = None,
        raw: bool = True,
        seed: int | None = None,
    ) -> None:
        self.size = _height_and_width(size)
        env = make_gym(env) if isinstance(env, str) else env
        super().__init__(env)
        known = env.spec is not None and env.spec.id in gymnasium.registry
        table = (
            env_spec(env.spec.id, _own_kwargs(env.spec)) if known and env.spec is not None else EnvSpec("unregistered")
        )
        self.rows = rows if rows is not None else table.rows
        self.adapter = table.adapter(env.action_space)
        self.raw = raw
        self._seed = seed
        self._reader = PictureReader(env)
        self.observation_space = gymnasium.spaces.Box(0, 255, (*self.size, 3), np.uint8)

    def _picture(self, observation: Any) -> UInt8Array:
        picture: UInt8Array = resize_frames(self._reader.read(observation)[None], self.size, self.rows)[0]
        return picture

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[UInt8Array, dict[str, Any]]:
        """Gymnasium's reset; the observation is a (*size, 3) uint8 picture."""
        seed, self._seed = self._seed if seed is None else seed, None
        observation, info = checked_reset(self.env, seed, options)
        return self._picture(observation), info

    def step(self, action: Any) -> tuple[UInt8Array, SupportsFloat, bool, bool, dict[str, Any]]:
        """Gymnasium's step, five values; `action` is C's output (A,) unless raw=False."""
        if not self.raw:
            check_finite(action, self.adapter.where)
        native = self.native_action(action) if self.raw else action
        observation, reward, terminal, truncated, info = checked_step(self.env, native)
        return self._picture(observation), reward, terminal, truncated, info

    def native_action(self, raw: Any) -> Any:
        """C's output (A,) as the wrapped environment's own action."""
        row = torch.as_tensor(np.asarray(raw, dtype=np.float32)).reshape(1, -1)
        if row.shape[1] != self.adapter.size:
            raise ActionSpaceError(
                f"The action has {row.shape[1]} numbers, {self.adapter.space} takes {self.adapter.size}: "
                "build the controller with that action_size."
            )
        check_finite(row.numpy(), self.adapter.where)
        native = self.adapter.native(self.adapter.from_raw(row).numpy())[0]
        return int(native) if self.adapter.discrete else native


def _height_and_width(size: Any) -> tuple[int, int]:
    pair = (size, size) if isinstance(size, int | np.integer) else tuple(size) if np.iterable(size) else ()
    if len(pair) != 2 or not all(isinstance(side, int | np.integer) and side > 0 for side in pair):
        raise ConfigError(f"size={size!r} is no height and width: give two whole numbers above 0, or one for both.")
    return int(pair[0]), int(pair[1])


@contextlib.contextmanager
def _named(row: int, lane: int) -> Iterator[None]:
    """Says which lane's environment it was that raised; what the user can mend is passed on as it is."""
    try:
        yield
    except ActionSpaceError as error:
        error.row = row
        raise
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
        self._frame_shape: tuple[int, ...] | None = None
        self._readers = [PictureReader(env) for env in self._envs]
        self.actions = self.spec.adapter(self._envs[0].action_space)

    def announce(self, seeds: Sequence[int]) -> None:
        """Nothing to prepare: every reset takes its own seed."""

    def reset(self, lanes: IntArray, seeds: Sequence[int]) -> UInt8Array:
        """Start episodes; native frames (n, H, W, 3)."""
        frames = []
        for row, (lane, seed) in enumerate(zip(lanes, seeds, strict=True)):
            with _named(row, lane):
                observation, _ = checked_reset(self._envs[lane], int(seed))
                frames.append(self._readers[lane].read(observation))
        return self._stacked(frames)

    def step(self, lanes: IntArray, actions: FloatArray) -> Step:
        """Step the named lanes one after the other."""
        frames, rewards, terminals, truncated = [], [], [], []
        for row, (lane, action) in enumerate(zip(lanes, self.actions.native(actions), strict=True)):
            with _named(row, lane):
                observation, reward, terminal, cut, _ = checked_step(self._envs[lane], action)
                frames.append(self._readers[lane].read(observation))
                rewards.append(float(reward))
                terminals.append(bool(terminal))
                truncated.append(bool(cut))
        return Step(
            self._stacked(frames),
            np.array(rewards, np.float32),
            np.array(terminals, bool),
            np.array(truncated, bool),
        )

    def _stacked(self, frames: list[UInt8Array]) -> UInt8Array:
        """Frames of all lanes, which are of one size for as long as there are lanes."""
        self._frame_shape = self._frame_shape or frames[0].shape
        for row, frame in enumerate(frames):
            if frame.shape != self._frame_shape:
                error = ObservationError(
                    f"{self.spec.env_id}: its picture is {frame.shape} where another episode's was "
                    f"{self._frame_shape}; give pictures of one size (gymnasium.wrappers.ResizeObservation)."
                )
                error.row = row
                raise error
        return np.stack(frames)

    def close(self) -> None:
        """Close every environment."""
        for env in self._envs:
            env.close()
        self._envs = []
