"""The agent: V, M and C together.

Rows are computed in blocks of a fixed size, the last one padded: a network's row can change in its last
digits with the size of its batch, and an episode's return must not depend on who drives beside it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import torch

from world_models.errors import CheckpointError
from world_models.models.controller import Controller, Population
from world_models.models.mdrnn import MDRNNCell
from world_models.types import AgentState
from world_models.utils.precision import fast_precision
from world_models.vision.frames import images_from_frames
from world_models.vision.VAE.ConvVAE import ConvVAE

BLOCK = 16


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

    def perceive(self, frames: torch.Tensor, noise: torch.Tensor | None = None) -> torch.Tensor:
        """As `encode`, in blocks."""
        columns = [frames] if noise is None else [frames, noise]
        return in_blocks(lambda *rows: (self.encode(*rows),), *columns)[0]

    @torch.no_grad()
    def outputs(self, parameters: list[torch.Tensor], states: torch.Tensor) -> torch.Tensor:
        """Outputs (B, A) of the controllers `parameters`, one a row, of the first columns of [z, h, c] (B, D)."""
        seen = states[:, : parameters[0].shape[-1]].contiguous()
        return in_blocks(lambda rows, *own: (Population.act(list(own), rows),), seen, *parameters)[0]

    def squashed(self, outputs: torch.Tensor) -> torch.Tensor:
        """C's outputs (B, A) as actions (B, A)."""
        return in_blocks(lambda rows: (self.squash(rows),), outputs)[0]

    @torch.no_grad()
    def remember(self, actions: torch.Tensor, z: torch.Tensor, state: AgentState) -> AgentState:
        """M's next state, having taken in what was seen (B, Z) and done (B, A)."""
        return AgentState(*in_blocks(lambda a, z, h, c: self.cell.next_hidden(a, z, (h, c)), actions, z, *state))

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
        z = self.perceive(frames, noise)
        if parameters is None:
            # As candidates are: in one product of all rows a row's last digits can change with its place in it.
            parameters = [p.detach().expand(len(z), *p.shape) for p in self.controller.parameters()]
        actions = self.squashed(self.outputs(parameters, torch.cat([z, *state], -1)))
        return actions, self.remember(actions, z, state)


def in_blocks(function: Callable[..., Sequence[torch.Tensor]], *columns: torch.Tensor) -> list[torch.Tensor]:
    """The results of `function` on rows of `columns` (B, ...), computed in blocks of `BLOCK` rows, the last padded."""
    count = len(columns[0])
    parts = []
    for start in range(0, count, BLOCK):
        found = function(*(_padded(column[start : start + BLOCK]) for column in columns))
        parts.append([each[: count - start] for each in found])
    return [torch.cat(part) if len(parts) > 1 else part[0] for part in zip(*parts, strict=True)]


def _padded(rows: torch.Tensor) -> torch.Tensor:
    missing = BLOCK - len(rows)
    if missing == 0:
        return rows
    return torch.cat([rows, rows.new_zeros(missing, *rows.shape[1:])])


def check_controller(controller: Controller, latents: int, hiddens: int, actions: int) -> None:
    """Raises CheckpointError where C does not fit V and M of these sizes; the message names both."""
    if controller.latent_size != latents or controller.hidden_size not in (0, hiddens):
        raise CheckpointError(
            f"C takes {controller.latent_size} latents and {controller.hidden_size} hidden units, V and M give "
            f"{latents} and {hiddens}: train C on these (--stage ctrl)."
        )
    if controller.action_size != actions:
        raise CheckpointError(
            f"C gives {controller.action_size} actions and M takes {actions}: train them on one environment."
        )


def _check_sizes(vae: ConvVAE, cell: MDRNNCell, controller: Controller) -> None:
    if vae.latent_size != cell.latents:
        raise CheckpointError(
            f"V has {vae.latent_size} latents and M {cell.latents}: they are from different runs; train M on "
            "this V (--stage rnn)."
        )
    check_controller(controller, cell.latents, cell.hiddens, cell.actions)
