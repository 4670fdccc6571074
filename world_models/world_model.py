"""A trained world model for other programs: `world_models.load("carracing")`, then encode, step, decode, dream, act."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from world_models.datasets.dream_starts import DreamStarts, load_starts, starts_path
from world_models.envs.actions import ActionAdapter
from world_models.envs.known.of_run import chosen_environment
from world_models.envs.registry import env_spec, environment_actions
from world_models.errors import CheckpointError, ConfigError
from world_models.models.agent import Agent
from world_models.models.arrays import Array, Kind, kind_of, leading_axes, number_array, pictures_of, tensor_of
from world_models.models.controller import Controller, controller_outputs
from world_models.models.dream_rules import DreamRules
from world_models.models.load import load_controller, load_mdrnn, load_vae
from world_models.models.mdrnn import MDRNN, MDRNNCell
from world_models.models.predictions import Prediction
from world_models.models.save import Facts, facts_of, save_run
from world_models.rollout.trajectories import Chooser, Dreamer, Trajectory, number_of_dreams, number_of_steps
from world_models.types import FRAME_SHAPE, AgentState
from world_models.utils.device import resolve_device
from world_models.utils.run_dir import STAGES, best_path
from world_models.utils.seeding import derive_seed
from world_models.utils.shipped import run_folder
from world_models.utils.threads import one_torch_thread
from world_models.vision.latents import decode, draw_latents, encode
from world_models.vision.resize import stored_frames
from world_models.vision.VAE.ConvVAE import ConvVAE


def load(run: str | Path, device: str = "cpu") -> WorldModel:
    """The world model of a run.

    Args:
        run: The run's folder, with V and M at least; where there is no folder of that name, a trained agent of the
            clone ("carracing", "takecover").
        device: "cpu", "cuda", "mps" or "auto".

    Raises:
        CheckpointError: there is no such run, V or M is missing, or sizes do not fit; the message says what there is.
    """
    folder, where = run_folder(run), resolve_device(device, strict=True)
    vae, mdrnn = load_vae(folder, where), load_mdrnn(folder, where)
    controller = load_controller(folder, where)[0] if best_path(folder, "ctrl").is_file() else None
    starts = load_starts(starts_path(folder)) if starts_path(folder).is_file() else None
    return WorldModel(vae, mdrnn, controller, starts=starts, facts=facts_of(folder))


class WorldModel:
    """V, M and C behind one interface.

    Arrays come in as NumPy arrays or as tensors, and go out as the same. Leading axes are free wherever a shape is
    written (..., X): none, a batch (B,), or time and batch (T, B). Actions are floats (..., A) as rollout files have
    them (of a Box clipped to it, of Discrete mostly one-hot), or the environment's own whole numbers.

    Args:
        vae, mdrnn: V and M.
        controller: C; what needs it says so where there is none.
        env_name, env_kwargs: The environment, and what it is made with; by default what the facts or the starts say.
        starts: Where dreams begin that are given no start.
        facts: What the checkpoints of "vae", "mdrnn" and "ctrl" say beside weights and sizes; `save` keeps it.

    Attributes:
        state: (h, c) of `act`, (R,) or (B, R): M's memory of all that was seen and done; None before the first frame.

    Raises:
        CheckpointError: sizes that cannot fit together; the message names both.
    """

    def __init__(
        self,
        vae: ConvVAE,
        mdrnn: MDRNN,
        controller: Controller | None = None,
        *,
        env_name: str | None = None,
        env_kwargs: Mapping[str, Any] | None = None,
        starts: DreamStarts | None = None,
        facts: Facts | None = None,
    ) -> None:
        if vae.latent_size != mdrnn.latents:
            raise CheckpointError(
                f"V has {vae.latent_size} latents and M {mdrnn.latents}: they are of different runs; train M on this V."
            )
        self.vae, self.mdrnn, self.controller, self.starts = vae.eval(), mdrnn.eval(), controller, starts
        self.cell = MDRNNCell.from_mdrnn(mdrnn)
        self.device = mdrnn.gmm_linear.weight.device
        self._facts = {stage: dict((facts or {}).get(stage, {})) for stage in STAGES}
        says = self._facts["ctrl"]
        if not says.get("env_name") and starts is not None:
            says = {"env_name": starts.env_name, "env_kwargs": starts.env_kwargs}
        self.env_name, self.env_kwargs = chosen_environment(
            env_name, env_kwargs, says.get("env_name"), says.get("env_kwargs")
        )
        self._dreamer = Dreamer(self.cell, starts, self._facts["mdrnn"])
        self.reset()

    @functools.cached_property
    def actions(self) -> ActionAdapter:
        """The environment's actions; it is made for a moment when they are first needed."""
        if not self.env_name:
            raise ConfigError("This world model does not say its environment: build it with env_name.")
        return environment_actions(self.env_name, self.env_kwargs)

    @functools.cached_property
    def agent(self) -> Agent:
        """V, M and C as the evaluator drives them."""
        if self.controller is None:
            raise CheckpointError("This world model has no C: train it (--stage ctrl), or say what to do yourself.")
        sampled = bool(self._facts["ctrl"].get("sample_latents", False))
        return Agent(self.vae, self.cell, self.controller, self.actions.from_raw, sample_latents=sampled)

    def encode(self, frames: Array, seed: int | None = None) -> Array:
        """Frames as V's latents.

        Args:
            frames: uint8 (..., 64, 64, 3), or the environment's own pictures (..., H, W, 3), which are cut and resized
                as they are for driving.
            seed: Draws z from V's posterior; by default z is its mean.

        Returns:
            z (..., Z) float32.
        """
        mu, logsigma = encode(self.vae, self._frames(frames))
        if seed is not None:
            mu = draw_latents(mu, logsigma, torch.Generator(self.device).manual_seed(seed))
        return kind_of(frames)(mu)

    def decode(self, z: Array) -> Array:
        """V's pictures (..., 64, 64, 3) uint8 of latents (..., Z)."""
        return kind_of(z)(decode(self.vae, tensor_of(z, self.device)))

    def _frames(self, frames: Array) -> torch.Tensor:
        """Pictures as V sees them, (..., 64, 64, 3)."""
        pictures = pictures_of(frames)
        if pictures.shape[-3:] == FRAME_SHAPE:
            return pictures
        return stored_frames(pictures, env_spec(self.env_name, self.env_kwargs).rows if self.env_name else None)

    def _stored(self, action: Array) -> torch.Tensor:
        """Actions as files have them, (..., A) float32 on the model's device."""
        numbers = number_array(action)
        if self.env_name or numbers.dtype.kind != "f":
            numbers = self.actions.as_stored(numbers)
        if numbers.shape[-1:] != (self.cell.actions,):
            raise ConfigError(f"The actions have the shape {numbers.shape}, and M takes (..., {self.cell.actions}).")
        return tensor_of(numbers, self.device)

    @torch.no_grad()
    def step(self, z: Array, action: Array, state: tuple[Array, Array] | None = None) -> Prediction:
        """What M expects after one step; nothing is kept.

        Args:
            z: (..., Z).
            action: (..., A). Leading axes of all arguments are broadcast.
            state: (h, c), each (..., R), of the prediction before; None at an episode's start.
        """
        kind = kind_of(z, action)
        zeros = [part[0] for part in self.cell.get_init_hidden()]
        parts = [self._stored(action), *(tensor_of(each, self.device) for each in (z, *(state or zeros)))]
        axes = leading_axes(parts)
        a, latent, h, c = (each.expand(*axes, -1).reshape(-1, each.shape[-1]) for each in parts)
        *mixture, reward, logit, (h, c) = self.cell(a, latent, (h, c))
        parts = [*mixture, reward, logit.sigmoid(), h, c]
        mus, sigmas, logpi, reward, ends, h, c = (kind(part.reshape(axes + part.shape[1:])) for part in parts)
        return Prediction(mus, sigmas, logpi, reward, ends, AgentState(h, c))

    def dream(
        self,
        start: Array | None = None,
        policy: Callable[[Array], Array] | Array | None = None,
        steps: int | None = None,
        temperature: float = 1.0,
        seed: int | Sequence[int] = 0,
        **rules: Any,
    ) -> Trajectory:
        """Dreams in M; each is that of `world_models/Dream-v0` with the same seed, temperature and actions.

        Args:
            start: None (the run's starts, drawn by the seed), a frame as `encode` takes it, z, or (z, (h, c)); of one
                dream, or with a first axis B.
            policy: None (the run's C), a function from [z, h], (Z + R,) or (B, Z + R), to actions, or the actions
                themselves, (T, A) or (T, B, A).
            steps: T at most; by default as many as there are actions, else 100.
            temperature: How freely M dreams; above 0.
            seed: Of all chance, one for each dream; of an int, dream i has seed + i.
            rules: The other fields of `DreamRules`: `deterministic=True`, `terminal="never"`, ...

        Raises:
            ConfigError: an argument cannot work.
        """
        state, kind = self._state_of(start), kind_of(*(start if isinstance(start, tuple) else (start,)), policy)
        plan = None if policy is None or callable(policy) else self._stored(policy)
        seeds, batched = number_of_dreams(state, plan, seed)
        options = DreamRules(**{"precision": "fp32", "temperature": temperature, **rules})
        choose = self._chooser(policy, plan, kind, batched)
        recorded = self._dreamer.record(state, choose, seeds, number_of_steps(steps, plan), options)
        return recorded.trajectory(self.cell.latents, kind, batched)

    def _state_of(self, start: Array | None) -> torch.Tensor | None:
        """[z, h, c] of a start, (D,) or (B, D)."""
        if start is None:
            return None
        z, memory = start if isinstance(start, tuple) else (start, None)
        if (z if isinstance(z, torch.Tensor) else np.asarray(z)).dtype in (torch.uint8, np.uint8):
            z = self.encode(z)
        memory = memory if memory is not None else [part[0] for part in self.cell.get_init_hidden()]
        parts = [tensor_of(each, self.device) for each in (z, *memory)]
        sizes = [self.cell.latents, self.cell.hiddens, self.cell.hiddens]
        if parts[0].dim() not in (1, 2) or [part.shape[-1] for part in parts] != sizes:
            raise ConfigError(
                f"start has the shapes {[tuple(part.shape) for part in parts]}: give z ({self.cell.latents},), h and c "
                f"({self.cell.hiddens},), each with a first axis B for several dreams, or a frame."
            )
        axes = leading_axes(parts)
        return torch.cat([part.expand(*axes, -1) for part in parts], -1)

    def _chooser(self, policy: Array | None, plan: torch.Tensor | None, kind: Kind, batched: bool) -> Chooser:
        if plan is not None:
            return lambda t, states: plan[t]
        if policy is None:
            parameters = list(self.agent.controller.parameters())

            def drive(t: int, states: torch.Tensor) -> torch.Tensor:
                own = [each.expand(len(states), *each.shape) for each in parameters]
                return self.actions.from_raw(controller_outputs(own, states))

            return drive

        def ask(t: int, states: torch.Tensor) -> torch.Tensor:
            seen = states[:, : self.cell.latents + self.cell.hiddens]
            return self._stored(policy(kind(seen if batched else seen[0])))

        return ask

    def reset(self, seed: int = 0) -> None:
        """Forget what `act` has seen: its next frame is an episode's first. `seed` is for runs that sample z."""
        self.state: AgentState | None = None
        self._noise = torch.Generator().manual_seed(derive_seed("latent noise", seed))

    @torch.no_grad()
    def act(self, frame: Array, reset: Array | bool = False) -> Array:
        """C's action for what is seen, as the environment takes it; M takes both in, in `state`.

        Args:
            frame: As `encode` takes it, (H, W, 3), or (B, H, W, 3) of B episodes side by side.
            reset: Whether this is an episode's first frame; of B episodes also which ones, (B,) bool.

        Returns:
            The native action: an array (A,) or an integer; of B frames B of them, stacked.
        """
        seen = self._frames(frame)
        frames = seen[None] if (alone := seen.dim() == 3) else seen
        first = torch.as_tensor(np.asarray(reset, bool)).expand(len(frames)).to(self.device)
        before = self.agent.start(len(frames)) if self.state is None or first.all() else self.state
        h, c = (part.reshape(-1, self.cell.hiddens) for part in before)
        if len(h) != len(frames) or frames.dim() != 4:
            raise ConfigError(f"The frames are {tuple(seen.shape)}, and M remembers {len(h)} episodes: call reset().")
        noise = None
        if self.agent.sample_latents:
            noise = torch.randn(len(frames), self.cell.latents, generator=self._noise)
        with one_torch_thread():
            kept = AgentState(*(torch.where(first[:, None], 0, part) for part in (h, c)))
            actions, after = self.agent.act(frames, kept, noise=noise)
        self.state = AgentState(*(part[0] for part in after)) if alone else after
        native = np.ascontiguousarray(self.actions.native(actions.cpu().numpy()))
        if isinstance(frame, torch.Tensor):
            return torch.from_numpy(native).to(frame.device)[0 if alone else slice(None)]
        if not alone:
            return native
        return int(native[0]) if self.actions.discrete else native[0]

    def save(self, folder: str | Path) -> None:
        """Writes a run's folder that `load` and every command reads: V, M, C and the starts of dreams.

        Raises:
            ConfigError: there is a run in that folder.
            CheckpointError: it cannot be written.
        """
        facts = dict(self._facts)
        if self.env_name:
            facts["ctrl"] = {**facts["ctrl"], "env_name": self.env_name, "env_kwargs": self.env_kwargs}
        save_run(folder, self.vae, self.mdrnn, self.controller, self.starts, facts)
