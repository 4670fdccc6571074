"""What goes on inside while an episode runs: what V sees, what M expects next, and a dream beside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from world_models.models.mdrnn import MDRNN, MDRNNCell
from world_models.report.figures.dream import sample
from world_models.types import MemoryState, Mixture, Rollout, UInt8Array
from world_models.vision.frames import frames_from_images, images_from_frames
from world_models.vision.VAE.ConvVAE import ConvVAE


@dataclass(frozen=True)
class Seen:
    """Frames (64, 64, 3) uint8 of one moment.

    Attributes:
        reconstruction: What V keeps of the real frame.
        expected: What M expected of this moment, one step before it: its mixture's mean. None without M.
        dreamed: Where M's dream is by now. None without M, or where no dream is wanted.
        dream_age: Steps since the dream saw reality; 0 where it starts.
    """

    reconstruction: UInt8Array
    expected: UInt8Array | None = None
    dreamed: UInt8Array | None = None
    dream_age: int = 0


class InnerView:
    """V and M looking on: call `see` with each frame and then `act` with what was done on it, in turn.

    M is told every real latent and action, and always predicts one step. The dream is told the actions alone and
    takes its own guesses for latents; every `dream_steps` steps it starts from reality again.

    Args:
        vae: V.
        memory: M; None shows V alone.
        temperature: Of the dream (see `sample_mixture`).
        dream_steps: Steps that a dream goes on alone; 0: no dream.
        seed: Of the dream's chances.
    """

    def __init__(
        self,
        vae: ConvVAE,
        memory: MDRNN | MDRNNCell | None,
        temperature: float = 1.0,
        dream_steps: int = 0,
        seed: int = 0,
    ) -> None:
        self.vae = vae.eval()
        self.cell = MDRNNCell.from_mdrnn(memory).eval() if isinstance(memory, MDRNN) else memory
        self.temperature = temperature
        self.dream_steps = dream_steps
        self._device = next(vae.parameters()).device
        self._generator = torch.Generator(self._device).manual_seed(seed)
        self._age: int | None = None  # of the dream; None before the first frame
        self._hidden: MemoryState = self.cell.get_init_hidden(1) if self.cell else (torch.empty(0), torch.empty(0))
        self._dream_hidden = self._hidden
        self._real = self._expected = self._dreamed = torch.zeros(1, vae.latent_size, device=self._device)

    @torch.no_grad()
    def see(self, frame: UInt8Array) -> Seen:
        """The inner pictures of the moment of `frame` (64, 64, 3)."""
        images = images_from_frames(torch.from_numpy(frame[None]).to(self._device))
        self._real = self.vae.encoder(images)[0]
        if self._age is None:
            self._expected = self._real  # nobody expects the first frame
        if self._age is None or self._age > self.dream_steps:
            self._age, self._dreamed, self._dream_hidden = 0, self._real, self._hidden
        if self.cell is None:
            return Seen(self._pictures(self._real)[0])
        real, expected, dreamed = self._pictures(torch.cat([self._real, self._expected, self._dreamed]))
        return Seen(real, expected, dreamed if self.dream_steps else None, self._age)

    def _pictures(self, latents: torch.Tensor) -> UInt8Array:
        return frames_from_images(self.vae.decoder(latents))

    @torch.no_grad()
    def act(self, action: torch.Tensor) -> None:
        """M takes in the moment last seen and what was done on it, `action` (A,)."""
        if self.cell is None:
            return
        done = action[None].to(self._device)
        mixture, self._hidden = self._step(done, self._real, self._hidden)
        self._expected = (mixture.logpi.exp()[..., None] * mixture.mus).sum(-2)
        if self.dream_steps:
            dream, self._dream_hidden = self._step(done, self._dreamed, self._dream_hidden)
            self._dreamed = sample(dream, self.temperature, self._generator)
        self._age = (self._age or 0) + 1

    def _step(self, action: torch.Tensor, latent: torch.Tensor, hidden: MemoryState) -> tuple[Mixture, MemoryState]:
        assert self.cell is not None
        *mixture, _, _, after = self.cell(action, latent, hidden)
        return Mixture(*mixture), after


def inner_views(view: InnerView, rollout: Rollout) -> Iterator[Seen]:
    """The inner pictures of every moment of a rollout."""
    for frame, action in zip(rollout.observations, rollout.actions, strict=True):
        yield view.see(frame)
        view.act(torch.from_numpy(action))
