"""What is exported: V, M's step and C as small modules of tensors in, tensors out; one step, batch 1.

Chances come in as inputs (`pick`, `noise`), so that the same inputs give the same dream everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from world_models.models.controller import Controller
from world_models.models.mdrnn import MDRNNCell
from world_models.models.sampling import sample_mixture
from world_models.types import FRAME_SIZE, Mixture
from world_models.vision.VAE.ConvVAE import ConvVAE, ConvVAEDecoder


@dataclass(frozen=True)
class Graph:
    """A module to export: the shapes of its inputs by name, in order, and its outputs' names. All are float32."""

    name: str
    module: nn.Module
    inputs: Mapping[str, tuple[int, ...]]
    outputs: tuple[str, ...]


class FoldedDecoder(nn.Module):
    """V's decoder, latents (1, Z) -> images (1, 3, 64, 64) in [0, 1], with a tenth of its weights.

    Nothing stands between the decoder's linear layer (Z to 1024) and its first transposed convolution, which
    on one pixel is a matrix too (1024 to 128 x 5 x 5): their product is one linear layer. At Z = 32 it has
    105,600 numbers in place of 3,310,720, which is most of what the page's visitor would download.
    """

    def __init__(self, decoder: ConvVAEDecoder) -> None:
        super().__init__()
        self.first = _product(decoder)
        self.deconv2, self.deconv3, self.deconv4 = decoder.deconv2, decoder.deconv3, decoder.deconv4
        self.grid = decoder.deconv1.weight.shape[1:]

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Decode latents (1, Z)."""
        x = functional.relu(self.first(z)).view(-1, *self.grid)
        x = functional.relu(self.deconv2(x))
        x = functional.relu(self.deconv3(x))
        return torch.sigmoid(self.deconv4(x))


@torch.no_grad()
def _product(decoder: ConvVAEDecoder) -> nn.Linear:
    spread = decoder.deconv1.weight.double()  # (1024, 128, 5, 5)
    bias = decoder.deconv1.bias
    assert bias is not None
    matrix = spread.flatten(1)
    first = nn.Linear(decoder.latent_size, matrix.shape[1])
    first.weight.copy_(matrix.T @ decoder.fc.weight.double())
    each = bias.double()[:, None, None].expand(spread.shape[1:])
    first.bias.copy_(decoder.fc.bias.double() @ matrix + each.flatten())
    return first


class MemoryStep(nn.Module):
    """One dream step: M's prediction, and the next latent drawn from it with chances that come in.

    Source: Ha & Schmidhuber 2018, section 2.2 and, for the temperature, section 4.
    """

    def __init__(self, cell: MDRNNCell) -> None:
        super().__init__()
        self.cell = cell

    def forward(
        self,
        action: torch.Tensor,
        z: torch.Tensor,
        h: torch.Tensor,
        c: torch.Tensor,
        temperature: torch.Tensor,
        pick: torch.Tensor,
        noise: torch.Tensor,
    ) -> tuple[torch.Tensor, ...]:
        """One step.

        Args:
            action: (1, A), as stored.
            z: (1, Z).
            h, c: (1, R) each.
            temperature: (1, 1), above 0.
            pick: (1,), uniform in [0, 1).
            noise: (1, Z), standard normal.

        Returns:
            next_z (1, Z), reward (1,), terminal (1,) as a probability, next_h and next_c (1, R), the
            mixture's weights at this temperature (1, K), and which component was picked (1,) int64.
        """
        mus, sigmas, logpi, reward, logit, (h, c) = self.cell(action, z, (h, c))
        next_z, component = sample_mixture(Mixture(mus, sigmas, logpi), temperature, pick, noise)
        weights = (logpi / temperature).softmax(dim=-1)
        return next_z, reward, logit.sigmoid(), h, c, weights, component


class ControllerStep(nn.Module):
    """C with its squash: (z, h, c) to the action (1, A) as files store it and M reads it.

    All three are inputs whatever C looks at, so that who feeds it need not know.
    """

    def __init__(self, controller: Controller, squash: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.controller = controller
        self.squash = squash

    def forward(self, z: torch.Tensor, h: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        """One action; z (1, Z), h and c (1, R)."""
        return self.squash(self.controller(h, z, c))


def vae_graphs(vae: ConvVAE) -> list[Graph]:
    """V's two halves."""
    picture, latents = (1, vae.img_channels, FRAME_SIZE, FRAME_SIZE), (1, vae.latent_size)
    return [
        Graph("encoder", vae.encoder, {"image": picture}, ("mu", "logsigma")),
        Graph("decoder", FoldedDecoder(vae.decoder).eval(), {"z": latents}, ("image",)),
    ]


def memory_graph(cell: MDRNNCell) -> Graph:
    """M's step."""
    latents, hiddens = (1, cell.latents), (1, cell.hiddens)
    shapes = {"action": (1, cell.actions), "z": latents, "h": hiddens, "c": hiddens}
    outputs = ("next_z", "reward", "terminal", "next_h", "next_c", "weights", "component")
    chances = {"temperature": (1, 1), "pick": (1,), "noise": latents}
    return Graph("memory", MemoryStep(cell).eval(), shapes | chances, outputs)


def controller_graph(
    controller: Controller, squash: Callable[[torch.Tensor], torch.Tensor], hiddens: int | None = None
) -> Graph:
    """C; `hiddens` is M's R, which the inputs h and c have where C does not look at them (default: C's own)."""
    size = hiddens or controller.hidden_size or 1
    shapes = {"z": (1, controller.latent_size), "h": (1, size), "c": (1, size)}
    return Graph("controller", ControllerStep(controller, squash).eval(), shapes, ("action",))
