"""C: the controller, a = W [z, h] + b (Ha & Schmidhuber 2018, section 2.3, equation 1; A.3)."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from world_models.errors import ConfigError
from world_models.types import DoubleArray


class Controller(nn.Module):
    """One linear layer from [z, h] to the action; (Z + R + 1) A parameters, 867 for CarRacing.

    There is no squashing inside: envs/actions.py turns the output into the environment's actions. With
    `hidden_layers` it is an MLP with tanh between the layers. With `use_cell` it sees [z, h, c], M's cell state as
    well, and with `bias=False` there is none: (Z + 2 R) A parameters, the paper's 1,088 for TakeCover (A.3).

    Raises:
        ConfigError: a layer is empty, or `use_cell` is set where M's state is not seen (hidden_size 0).
    """

    def __init__(
        self,
        latent_size: int,
        hidden_size: int,
        action_size: int,
        hidden_layers: Sequence[int] = (),
        *,
        use_cell: bool = False,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.latent_size = latent_size
        self.hidden_size = hidden_size
        self.action_size = action_size
        self.hidden_layers = tuple(hidden_layers)
        self.use_cell = use_cell
        self.bias = bias
        sizes = [self.inputs, *self.hidden_layers, action_size]
        if min(latent_size, action_size, *sizes) < 1 or hidden_size < 0:
            raise ConfigError(
                f"Controller(latent_size={latent_size}, hidden_size={hidden_size}, action_size="
                f"{action_size}, hidden_layers={self.hidden_layers}) has an empty layer: sizes start at 1."
            )
        if use_cell and not hidden_size:
            raise ConfigError("Controller(hidden_size=0, use_cell=True) cannot be: c is there only where h is.")
        layers: list[nn.Module] = []
        for inputs, outputs in itertools.pairwise(sizes):
            layers += [nn.Linear(inputs, outputs, bias=bias), nn.Tanh()]
        self.fc: nn.Module = nn.Sequential(*layers[:-1]) if self.hidden_layers else layers[0]

    @property
    def inputs(self) -> int:
        """D, the columns of [z, h, c] that it sees."""
        return self.latent_size + self.hidden_size * (2 if self.use_cell else 1)

    @property
    def settings(self) -> dict[str, Any]:
        """The constructor's arguments by name, plain: `Controller(**settings)` is one of the same architecture."""
        return {
            "latent_size": self.latent_size,
            "hidden_size": self.hidden_size,
            "action_size": self.action_size,
            "hidden_layers": list(self.hidden_layers),
            "use_cell": self.use_cell,
            "bias": self.bias,
        }

    def joined(self, z: torch.Tensor, h: torch.Tensor, c: torch.Tensor | None = None) -> torch.Tensor:
        """What C sees of z (..., Z), h and c (..., R): [z], [z, h] or [z, h, c].

        Raises:
            ConfigError: C sees c, and it is not given.
        """
        if not self.hidden_size:
            return z
        if not self.use_cell:
            return torch.cat([z, h], dim=-1)
        if c is None:
            raise ConfigError("This controller sees M's cell state too: call it with (h, z, c) or one [z, h, c].")
        return torch.cat([z, h, c], dim=-1)

    def forward(self, *state: torch.Tensor) -> torch.Tensor:
        """The action (B, A) for `Controller(cat([z, h]))` or, the same, `Controller(h, z)`; with `use_cell` for
        `Controller(cat([z, h, c]))` or `Controller(h, z, c)`."""
        if len(state) == 1:
            return self.fc(state[0])  # type: ignore[no-any-return]
        h, z, *c = state
        return self.fc(self.joined(z, h, *c))  # type: ignore[no-any-return]


def flatten_parameters(parameters: Iterable[torch.Tensor]) -> DoubleArray:
    """Parameters one after the other, as evolution sees them: (P,) float64."""
    return np.concatenate([p.detach().cpu().double().numpy().ravel() for p in parameters])


def load_parameters(params: npt.ArrayLike, controller: nn.Module) -> None:
    """Put a flat vector (P,) back into a controller; the inverse of `flatten_parameters`."""
    flat = torch.as_tensor(np.asarray(params, dtype=np.float64))
    expected = sum(p.numel() for p in controller.parameters())
    if flat.shape != (expected,):
        raise ConfigError(
            f"The controller has {expected} parameters, the vector's shape is {tuple(flat.shape)}: build the "
            "controller with the sizes that the vector was made for."
        )
    start = 0
    with torch.no_grad():
        for parameter in controller.parameters():
            parameter.copy_(flat[start : start + parameter.numel()].view_as(parameter))
            start += parameter.numel()


class Population:
    """N controllers of one architecture as one batched product: row i is driven by its own candidate.

    The weights of the lanes that are driving are gathered once an episode, not once a step.
    """

    def __init__(self, template: Controller, candidates: npt.ArrayLike) -> None:
        self.template = template
        self.candidates = torch.as_tensor(np.asarray(candidates, dtype=np.float64)).float()
        if self.candidates.dim() != 2:
            raise ConfigError(
                f"A population is a matrix (N, P), got shape {tuple(self.candidates.shape)}: stack the "
                "candidates' flat parameters."
            )
        load_parameters(self.candidates[0].double().numpy(), template)  # checks P
        self._names = [name for name, _ in template.named_parameters()]
        self._shapes = [p.shape for p in template.parameters()]

    def __len__(self) -> int:
        return len(self.candidates)

    def gather(self, rows: torch.Tensor) -> list[torch.Tensor]:
        """The parameters of candidates `rows` (B,), a tensor (B, *shape) for each layer's weight and bias."""
        sizes = [shape.numel() for shape in self._shapes]
        chunks = torch.split(self.candidates[rows], sizes, dim=1)
        return [chunk.reshape(-1, *shape) for chunk, shape in zip(chunks, self._shapes, strict=True)]

    @staticmethod
    def act(parameters: list[torch.Tensor], state: torch.Tensor) -> torch.Tensor:
        """Actions (B, A) of B different controllers on states (B, D) as `Controller.joined`, layer by layer."""
        x = state.unsqueeze(-1)
        weights = [index for index, parameter in enumerate(parameters) if parameter.dim() == 3]
        for index in weights:
            has_bias = index + 1 < len(parameters) and parameters[index + 1].dim() == 2
            if has_bias:
                x = torch.baddbmm(parameters[index + 1].unsqueeze(-1), parameters[index], x)
            else:
                x = torch.bmm(parameters[index], x)
            if index != weights[-1]:
                x = x.tanh()
        return x.squeeze(-1)


def controller_outputs(parameters: list[torch.Tensor], inputs: torch.Tensor) -> torch.Tensor:
    """Outputs (L, A) of each lane's own controller, of as many of the columns of [z, h, c] as it takes.

    For one layer a product and a sum take a sixth of the time of `Population.act`'s batch of small matrix products.
    """
    seen = inputs[:, : parameters[0].shape[-1]]
    if sum(parameter.dim() == 3 for parameter in parameters) > 1:
        return Population.act(parameters, seen)
    raw = (parameters[0] * seen.unsqueeze(1)).sum(-1)
    return raw + parameters[1] if len(parameters) == 2 else raw
