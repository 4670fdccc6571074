"""The dream as a Gymnasium environment: `gymnasium.make("world_models/Dream-v0", logdir=...)`.

For learners that want one environment; thousands of dreams at once are `models.dream.Dream`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
import torch

from world_models.datasets.dream_starts import load_starts, starts_path
from world_models.envs.dream_id import DREAM_ID
from world_models.envs.env_kwargs import parse_env_kwargs
from world_models.envs.registry import env_spec, make_gym
from world_models.errors import CheckpointError, ConfigError
from world_models.models.dream import load_dream
from world_models.models.dream_rules import DreamRules, Reward, Starts, Terminal
from world_models.models.load import load_vae
from world_models.types import FRAME_SHAPE, UInt8Array
from world_models.utils.device import resolve_device
from world_models.utils.threads import one_torch_thread
from world_models.vision.frames import frames_from_images

OBSERVATIONS = ("state", "latent", "frame")
Observation = npt.NDArray[Any]


class DreamEnv(gymnasium.Env[Observation, Any]):
    """M of a run as an environment (Ha & Schmidhuber 2018, section 4).

    It works in worker processes that are forked, spawned or made by the fork server, see docs/dream.md. The action
    space is the real environment's. An episode is decided by the seed of its reset: `reset(seed=s)` is
    episode s of `dream evaluate`, up to the last digits of M's products, which a long dream amplifies.

    `info` has "terminal_probability", and "clamped": how many entries of the latent had left, in this step, the
    range of the data that M was trained on, and were put back to its edge (0 after a reset).

    Args:
        logdir: A run with V, M and M's starts.
        temperature, deterministic, terminal, threshold, starts, reward, reward_limit: See `DreamRules`.
        max_steps: After which an episode is truncated; by default the real environment's limit.
        observation: "state": [z, h] float32 (Z + R,), what C sees; "latent": z (Z,); "frame": V's picture of z,
            uint8 (64, 64, 3).
        env_name, env_kwargs: The real environment, and what it is made with; by default what the starts say.
        render_mode: "rgb_array" or None: V's picture, uint8 (64, 64, 3).
        device: Of M and V: "cpu", "cuda", "mps" or "auto".

    Raises:
        CheckpointError: V or M is missing, sizes do not fit, or the terminal head was not trained.
        DataError: the file of starts is missing.
        ConfigError: an argument cannot work.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 50}  # noqa: RUF012 (Gymnasium's own form)

    def __init__(
        self,
        logdir: str | Path | None = None,
        *,
        temperature: float = 1.0,
        deterministic: bool = False,
        terminal: Terminal = "auto",
        threshold: float = 0.5,
        starts: Starts = "both",
        reward: Reward = "predicted",
        reward_limit: float = 0.0,
        max_steps: int | None = None,
        observation: str = "state",
        env_name: str | None = None,
        env_kwargs: Mapping[str, Any] | None = None,
        render_mode: str | None = None,
        device: str = "cpu",
    ) -> None:
        if logdir is None:
            raise ConfigError(
                f"A dream needs the folder of a trained run: give logdir, as in gymnasium.make({DREAM_ID!r}, "
                "logdir='results/car')."
            )
        if observation not in OBSERVATIONS:
            raise ConfigError(f"observation={observation!r} is unknown: it is one of {', '.join(OBSERVATIONS)}.")
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ConfigError(f"render_mode={render_mode!r} is unknown: it is 'rgb_array' or None.")
        if max_steps is not None and not (isinstance(max_steps, (int, np.integer)) and max_steps >= 1):
            raise ConfigError(f"max_steps={max_steps!r} cannot work: give a whole number of at least 1.")
        rules = DreamRules(
            temperature=temperature,
            deterministic=deterministic,
            terminal=terminal,
            threshold=threshold,
            starts=starts,
            reward=reward,
            reward_limit=reward_limit,
            precision="fp32",
        )
        self.render_mode, self.observation = render_mode, observation
        # One thread from the first product on: a forked worker has the parent's pool of threads but not its threads,
        # and waits for ever for whatever it would share out among them.
        with one_torch_thread():
            self._load(logdir, rules, resolve_device(device, strict=True))
        self._take_environment(logdir, env_name, env_kwargs, max_steps)
        self.observation_space = self._observation_space()
        self._steps = -1  # no episode yet

    def _load(self, logdir: str | Path, rules: DreamRules, device: torch.device) -> None:
        self._dream = load_dream(logdir, rules, block=1, device=device)
        sees = self.observation == "frame" or self.render_mode is not None
        self._vae = load_vae(logdir, device) if sees else None
        if self._vae is not None and self._vae.latent_size != self._dream.latents:
            raise CheckpointError(
                f"V in {logdir} has {self._vae.latent_size} latents and M {self._dream.latents}: they are from "
                "different runs; train M on this V (--stage rnn)."
            )

    def _take_environment(
        self, logdir: str | Path, env_name: str | None, env_kwargs: Mapping[str, Any] | None, max_steps: int | None
    ) -> None:
        starts = load_starts(starts_path(logdir))
        name = env_name or starts.env_name
        made_with = parse_env_kwargs(
            starts.env_kwargs if env_kwargs is None and name == starts.env_name else env_kwargs
        )
        if not name:
            raise ConfigError(f"{starts_path(logdir)} does not say its environment: give env_name.")
        spec = env_spec(name, made_with)
        env = make_gym(name, **made_with)
        self._actions = spec.adapter(env.action_space)
        self.action_space = env.action_space
        env.close()
        self.max_steps = max_steps or spec.max_steps
        if self._actions.size != self._dream.actions:
            raise CheckpointError(
                f"M in {logdir} was trained with {self._dream.actions} actions, {name} has {self._actions.size}: name "
                "the environment that M is of (env_name)."
            )

    def _observation_space(self) -> gymnasium.spaces.Box:
        if self.observation == "frame":
            return gymnasium.spaces.Box(0, 255, FRAME_SHAPE, np.uint8)
        low, high = self._dream.low.cpu().numpy(), self._dream.high.cpu().numpy()
        if self.observation == "state":
            ones = np.ones(self._dream.hiddens, np.float32)  # h is a product of a sigmoid and a tanh
            low, high = np.concatenate([low, -ones]), np.concatenate([high, ones])
        return gymnasium.spaces.Box(low, high, dtype=np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin a dream; without a seed, one that follows from the last seed."""
        super().reset(seed=seed)
        dream = seed if seed is not None else int(self.np_random.integers(2**31))
        with one_torch_thread():
            self._dream.begin([dream])
        self._steps = 0
        return self._observe(), {"clamped": 0, "terminal_probability": 0.0}

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """One step of the dream with a native action."""
        if self._steps < 0:
            raise gymnasium.error.ResetNeeded("Cannot call env.step() before calling env.reset()")
        with one_torch_thread():
            told = self._dream.step(torch.from_numpy(self._actions.stored(action)))
        self._steps += 1
        info = {"clamped": int(told.clamped[0]), "terminal_probability": float(told.logits[0].sigmoid())}
        truncated = self._steps >= self.max_steps
        return self._observe(), float(told.rewards[0]), bool(told.terminals[0]), truncated, info

    def _observe(self) -> Observation:
        if self.observation == "frame":
            return self._picture()
        size = self._dream.latents + (self._dream.hiddens if self.observation == "state" else 0)
        seen: Observation = self._dream.inputs[0, :size].cpu().numpy().copy()
        return seen

    def render(self) -> UInt8Array | None:
        """V's picture (64, 64, 3) uint8 of the latent; None without a render_mode."""
        if self.render_mode is None:
            return None
        if self._steps < 0:
            raise gymnasium.error.ResetNeeded("Cannot call env.render() before calling env.reset()")
        return self._picture()

    @torch.no_grad()
    def _picture(self) -> UInt8Array:
        assert self._vae is not None
        with one_torch_thread():
            frames = frames_from_images(self._vae.decoder(self._dream.z.clone()))
        picture: UInt8Array = frames[0]
        return picture
