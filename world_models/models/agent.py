"""The agent: V, M and C together. The only place that threads M's (h, c) while driving.

Rows are computed in blocks of a fixed size, the last one padded: a network's row can change in its last
digits with the size of its batch, and an episode's return must not depend on who drives beside it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import NamedTuple

import torch

from world_models.errors import CheckpointError
from world_models.models.controller import Controller, Population
from world_models.models.mdrnn import MDRNNCell
from world_models.types import AgentState
from world_models.utils.precision import fast_precision
from world_models.vision.frames import images_from_frames
from world_models.vision.VAE.ConvVAE import ConvVAE

BLOCK = 16


class Explored(NamedTuple):
    """A step of B episodes told in full: `actions` (B, A) and `state` as `Agent.act` gives them, `seen` (B, D) what C
    saw, `outputs` (B, A) what was squashed into the actions."""

    actions: torch.Tensor
    state: AgentState
    seen: torch.Tensor
    outputs: torch.Tensor


class Agent:
    """V, M and C of sizes that fit, ready to drive on one device.

    Args:
        vae: V; its encoder is copied in `precision`.
        cell: M as a cell.
        controller: C; for a population, one of its architecture.
        squash: C's output (n, A) to actions (n, A), an `ActionAdapter.from_raw`.
        sample_latents: Draw z from q(z | x) as the specification's loop does; by default z is its mean,
            which drives better.
        precision: "bf16", "fp32", or "auto" for what this device computes faster.

    Raises:
        CheckpointError: sizes that cannot fit together; the message names both.
    """

    def __init__(
        self,
        vae: ConvVAE,
        cell: MDRNNCell,
        controller: Controller,
        squash: Callable[[torch.Tensor], torch.Tensor],
        *,
        sample_latents: bool = False,
        precision: str = "auto",
    ) -> None:
        _check_sizes(vae, cell, controller)
        self.device = cell.gmm_linear.weight.device
        self.precision = fast_precision(self.device) if precision == "auto" else precision
        self._dtype = torch.bfloat16 if self.precision == "bf16" else torch.float32
        encoder = copy.deepcopy(vae.encoder).to(self.device, self._dtype).eval()
        self.encoder = encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.cell = cell.eval()
        self.controller = controller.eval()
        self.squash = squash
        self.sample_latents = sample_latents

    def start(self, batch_size: int = 1) -> AgentState:
        """The state at an episode's start: zeros (B, R)."""
        return AgentState(*self.cell.get_init_hidden(batch_size))

    @torch.no_grad()
    def encode(self, frames: torch.Tensor, noise: torch.Tensor | None = None) -> torch.Tensor:
        """z (B, Z) float32 of frames (B, 64, 64, 3) uint8; `noise` (B, Z) samples it, else it is the mean."""
        images = images_from_frames(frames.to(self.device)).to(self._dtype)
        features = self.encoder.features(images)
        mu = self.encoder.fc_mu(features).float()
        if noise is None:
            return mu  # type: ignore[no-any-return]
        sigma = self.encoder.fc_logsigma(features).float().exp()
        return mu + sigma * noise.to(self.device)  # type: ignore[no-any-return]

    @torch.no_grad()
    def act(
        self,
        frames: torch.Tensor,
        state: AgentState,
        parameters: list[torch.Tensor] | None = None,
        noise: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, AgentState]:
        """One step of B episodes: see, act, and let M take in what was seen and done.

        Args:
            frames: uint8 (B, 64, 64, 3).
            state: (h, c), each (B, R).
            parameters: `Population.gather` of the B candidates that drive; by default all rows are driven
                by the agent's own controller.
            noise: standard normal (B, Z), only where latents are sampled.

        Returns:
            actions (B, A) as stored and as M reads them, and the next state.
        """
        told = self.explore(frames, state, parameters, noise)
        return told.actions, told.state

    @torch.no_grad()
    def explore(
        self,
        frames: torch.Tensor,
        state: AgentState,
        parameters: list[torch.Tensor] | None = None,
        noise: torch.Tensor | None = None,
        strays: torch.Tensor | None = None,
    ) -> Explored:
        """As `act`, and what C saw and gave; `strays` (B, A) are added to its outputs before they are squashed."""
        blocks = []
        for start in range(0, len(frames), BLOCK):
            rows = slice(start, start + BLOCK)
            part = [_padded(x[rows]) for x in (frames, state.h, state.c)]
            own = None if parameters is None else [_padded(p[rows]) for p in parameters]
            eps, stray = (None if x is None else _padded(x[rows]) for x in (noise, strays))
            used = min(BLOCK, len(frames) - start)
            blocks.append([x[:used] for x in self._act_block(part[0], part[1], part[2], own, eps, stray)])
        columns = zip(*blocks, strict=True)
        action, h, c, seen, raw = (torch.cat(column) if len(blocks) > 1 else column[0] for column in columns)
        return Explored(action, AgentState(h, c), seen, raw)

    def _act_block(
        self,
        frames: torch.Tensor,
        h: torch.Tensor,
        c: torch.Tensor,
        parameters: list[torch.Tensor] | None,
        noise: torch.Tensor | None,
        strays: torch.Tensor | None,
    ) -> tuple[torch.Tensor, ...]:
        z = self.encode(frames, noise)
        if parameters is None:
            # As candidates are: in one product of all rows a row's last digits can change with its place in it.
            parameters = [p.expand(BLOCK, *p.shape) for p in self.controller.parameters()]
        seen = self.controller.joined(z, h, c)
        raw = Population.act(parameters, seen)
        if strays is not None:
            raw = raw + strays
        action = self.squash(raw)
        h, c = self.cell.next_hidden(action, z, (h, c))
        return action, h, c, seen, raw


def _padded(rows: torch.Tensor) -> torch.Tensor:
    missing = BLOCK - len(rows)
    if missing == 0:
        return rows
    return torch.cat([rows, rows.new_zeros(missing, *rows.shape[1:])])


def _check_sizes(vae: ConvVAE, cell: MDRNNCell, controller: Controller) -> None:
    if vae.latent_size != cell.latents:
        raise CheckpointError(
            f"V has {vae.latent_size} latents and M {cell.latents}: they are from different runs; train M on "
            "this V (--stage rnn)."
        )
    if controller.latent_size != cell.latents or controller.hidden_size not in (0, cell.hiddens):
        raise CheckpointError(
            f"C takes {controller.latent_size} latents and {controller.hidden_size} hidden units, V and M give "
            f"{cell.latents} and {cell.hiddens}: train C on these (--stage ctrl)."
        )
    if controller.action_size != cell.actions:
        raise CheckpointError(
            f"C gives {controller.action_size} actions and M takes {cell.actions}: train them on one environment."
        )
