"""C: the controller, a = W [z, h] + b (Ha & Schmidhuber 2018, section 2.3, equation 1)."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from world_models.errors import ConfigError
from world_models.types import DoubleArray


class Controller(nn.Module):
    """One linear layer from [z, h] to the action; (Z + R + 1) A parameters, 867 for CarRacing.

    There is no squashing inside: envs/actions.py turns the output into the environment's actions. With
    `hidden_layers` it is an MLP with tanh between the layers.
    """

    def __init__(self, latent_size: int, hidden_size: int, action_size: int, hidden_layers: Sequence[int] = ()) -> None:
        super().__init__()
        self.latent_size = latent_size
        self.hidden_size = hidden_size
        self.action_size = action_size
        self.hidden_layers = tuple(hidden_layers)
        sizes = [latent_size + hidden_size, *self.hidden_layers, action_size]
        if min(latent_size, action_size, *sizes) < 1 or hidden_size < 0:
            raise ConfigError(
                f"Controller(latent_size={latent_size}, hidden_size={hidden_size}, action_size="
                f"{action_size}, hidden_layers={self.hidden_layers}) has an empty layer: sizes start at 1."
            )
        self.fc: nn.Module
        if self.hidden_layers:
            layers: list[nn.Module] = []
            for inputs, outputs in itertools.pairwise(sizes[:-1]):
                layers += [nn.Linear(inputs, outputs), nn.Tanh()]
            self.fc = nn.Sequential(*layers, nn.Linear(sizes[-2], sizes[-1]))
        else:
            self.fc = nn.Linear(sizes[0], sizes[1])

    def forward(self, *state: torch.Tensor) -> torch.Tensor:
        """The action (B, A) for `Controller(cat([z, h]))` or, the same, `Controller(h, z)`."""
        if len(state) == 2:
            h, z = state
            if self.hidden_size == 0:
                return self.fc(z)  # type: ignore[no-any-return]
            return self.fc(torch.cat([z, h], dim=-1))  # type: ignore[no-any-return]
        (joined,) = state
        return self.fc(joined)  # type: ignore[no-any-return]


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
        """Actions (B, A) of B different controllers on states (B, Z + R), layer by layer."""
        x = state.unsqueeze(-1)
        for index in range(0, len(parameters), 2):
            x = torch.baddbmm(parameters[index + 1].unsqueeze(-1), parameters[index], x)
            if index + 2 < len(parameters):
                x = x.tanh()
        return x.squeeze(-1)
