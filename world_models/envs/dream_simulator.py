"""M of a run as a simulator: what `DreamEnv` and `DreamVectorEnv` share, which are one dream and a batch of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
import torch

from world_models.datasets.dream_starts import load_starts, starts_path
from world_models.envs.dream_id import DREAM_ID
from world_models.envs.env_kwargs import parse_env_kwargs
from world_models.envs.registry import env_spec, environment_actions
from world_models.errors import ActionSpaceError, CheckpointError, ConfigError
from world_models.models.dream import BLOCK, DreamStep, load_dream
from world_models.models.dream_rules import DreamRules
from world_models.models.load import load_vae
from world_models.types import FRAME_SHAPE, UInt8Array
from world_models.utils.device import resolve_device
from world_models.utils.threads import one_torch_thread
from world_models.vision.latents import decode

OBSERVATIONS = ("state", "latent", "frame")
RENDER_MODES = ("rgb_array",)
_RULES = ("temperature", "deterministic", "terminal", "threshold", "starts", "reward", "reward_limit")
Observation = npt.NDArray[Any]


@dataclass(frozen=True)
class DreamSettings:
    """How a run's M is dreamed as an environment.

    Attributes:
        logdir: A run with V, M and M's starts.
        temperature, deterministic, terminal, threshold, starts, reward, reward_limit: See `DreamRules`.
        max_steps: After which an episode is truncated; by default the real environment's limit.
        observation: "state": [z, h] float32 (Z + R,), what C sees; "latent": z (Z,); "frame": V's picture of z,
            uint8 (64, 64, 3).
        env_name, env_kwargs: The real environment, and what it is made with; by default what the starts say.
        render_mode: "rgb_array" or None: V's picture, uint8 (64, 64, 3).
        device: Of M and V: "cpu", "cuda", "mps" or "auto".

    Raises:
        ConfigError: an argument cannot work.
    """

    logdir: str | Path | None = None
    temperature: float = 1.0
    deterministic: bool = False
    terminal: str = "auto"
    threshold: float = 0.5
    starts: str = "both"
    reward: str = "predicted"
    reward_limit: float = 0.0
    max_steps: int | None = None
    observation: str = "state"
    env_name: str | None = None
    env_kwargs: Mapping[str, Any] | None = None
    render_mode: str | None = None
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.logdir is None:
            raise ConfigError(
                f"A dream needs the folder of a trained run: give logdir, as in gymnasium.make({DREAM_ID!r}, "
                "logdir='results/car')."
            )
        if self.observation not in OBSERVATIONS:
            raise ConfigError(f"observation={self.observation!r} is unknown: it is one of {', '.join(OBSERVATIONS)}.")
        if self.render_mode not in (None, *RENDER_MODES):
            raise ConfigError(f"render_mode={self.render_mode!r} is unknown: it is 'rgb_array' or None.")
        steps = self.max_steps
        if steps is not None and not (isinstance(steps, (int, np.integer)) and steps >= 1):
            raise ConfigError(f"max_steps={steps!r} cannot work: give a whole number of at least 1.")
        _ = self.rules  # checks them

    @property
    def rules(self) -> DreamRules:
        """Those of the dream itself; float32, so that a seed gives the same dream on every machine's choice."""
        return DreamRules(**{name: getattr(self, name) for name in _RULES}, precision="fp32")


class DreamSimulator:
    """Lanes of a run's dream with the real environment's actions, and observations as the settings ask for.

    Everything is computed on one thread: a forked worker has its parent's pool of threads but not its threads, and
    waits for ever for whatever it would share out among them.

    Attributes:
        action_space, observation_space: Of one lane.
        max_steps: After which an episode is truncated.

    Raises:
        CheckpointError: V or M is missing, sizes do not fit, or the terminal head was not trained.
        DataError: the file of starts is missing.
        ConfigError: the starts do not say their environment, and neither do the settings.
    """

    def __init__(self, settings: DreamSettings, num_lanes: int = 1) -> None:
        assert settings.logdir is not None  # the settings see to it
        self.settings, self.num_lanes = settings, num_lanes
        with one_torch_thread():
            self._load(settings.logdir, resolve_device(settings.device, strict=True))
        self._take_environment(settings.logdir)
        self.observation_space = self._observation_space()

    def _load(self, logdir: str | Path, device: torch.device) -> None:
        block = min(self.num_lanes, BLOCK)  # rows beyond the lanes would be computed in vain
        self.dream = load_dream(logdir, self.settings.rules, block=block, device=device)
        sees = self.settings.observation == "frame" or self.settings.render_mode is not None
        self._vae = load_vae(logdir, device) if sees else None
        if self._vae is not None and self._vae.latent_size != self.dream.latents:
            raise CheckpointError(
                f"V in {logdir} has {self._vae.latent_size} latents and M {self.dream.latents}: they are from "
                "different runs; train M on this V (--stage rnn)."
            )

    def _take_environment(self, logdir: str | Path) -> None:
        settings, starts = self.settings, load_starts(starts_path(logdir))
        name = settings.env_name or starts.env_name
        own = settings.env_kwargs is None and name == starts.env_name
        made_with = parse_env_kwargs(starts.env_kwargs if own else settings.env_kwargs)
        if not name:
            raise ConfigError(f"{starts_path(logdir)} does not say its environment: give env_name.")
        self.actions = environment_actions(name, made_with)
        self.action_space = self.actions.space
        self.max_steps = settings.max_steps or env_spec(name, made_with).max_steps
        if self.actions.size != self.dream.actions:
            raise CheckpointError(
                f"M in {logdir} was trained with {self.dream.actions} actions, {name} has {self.actions.size}: name "
                "the environment that M is of (env_name)."
            )

    def _observation_space(self) -> gymnasium.spaces.Box:
        if self.settings.observation == "frame":
            return gymnasium.spaces.Box(0, 255, FRAME_SHAPE, np.uint8)
        low, high = self.dream.low.cpu().numpy(), self.dream.high.cpu().numpy()
        if self.settings.observation == "state":
            ones = np.ones(self.dream.hiddens, np.float32)  # h is a product of a sigmoid and a tanh
            low, high = np.concatenate([low, -ones]), np.concatenate([high, ones])
        return gymnasium.spaces.Box(low, high, dtype=np.float32)

    def begin(self, seeds: Sequence[int]) -> None:
        """Every lane at the beginning of its seed's dream."""
        with one_torch_thread():
            self.dream.begin(seeds)

    def reset(self, lanes: Sequence[int], seeds: Sequence[int]) -> None:
        """Some lanes at the beginning of their seeds' dreams."""
        with one_torch_thread():
            self.dream.reset(lanes, seeds)

    def step(self, native: npt.ArrayLike) -> DreamStep:
        """One step of all lanes with native actions, stacked.

        Raises:
            ActionSpaceError: they are no actions of the environment, or not one a lane.
        """
        actions = self.actions.stored(native)
        if len(actions) != self.num_lanes:
            raise ActionSpaceError(f"There are {len(actions)} actions for {self.num_lanes} dreams: give one for each.")
        with one_torch_thread():
            return self.dream.step(torch.from_numpy(actions))

    def observe(self) -> Observation:
        """What is observed of every lane, stacked."""
        if self.settings.observation == "frame":
            return self.pictures()
        size = self.dream.latents + (self.dream.hiddens if self.settings.observation == "state" else 0)
        seen: Observation = self.dream.inputs[:, :size].cpu().numpy().copy()
        return seen

    def pictures(self) -> UInt8Array:
        """V's pictures (L, 64, 64, 3) of the lanes' latents."""
        assert self._vae is not None
        with one_torch_thread():
            return decode(self._vae, self.dream.z.clone()).cpu().numpy()
