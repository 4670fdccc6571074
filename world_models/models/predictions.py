"""What M says of one step."""

from __future__ import annotations

from typing import NamedTuple

import torch

from world_models.models.arrays import Array, kind_of
from world_models.models.sampling import sample_mixture
from world_models.types import AgentState, Mixture


class Prediction(NamedTuple):
    """What M expects after one step.

    mus and sigmas (..., K, Z), logpi (..., K): the mixture that the next latent is drawn from; reward (...);
    terminal_probability (...); state: M's next (h, c), each (..., R), the `state` of the next step.
    """

    mus: Array
    sigmas: Array
    logpi: Array
    reward: Array
    terminal_probability: Array
    state: AgentState

    def sample(self, temperature: float = 1.0, seed: int | None = None) -> Array:
        """A next latent (..., Z); without a seed from torch's global generator."""
        kind = kind_of(self.mus)
        mus, sigmas, logpi = (torch.as_tensor(each) for each in self[:3])
        generator = torch.Generator()
        generator = generator.manual_seed(seed) if seed is not None else torch.default_generator
        pick = torch.rand(logpi.shape[:-1], generator=generator).to(mus.device)
        noise = torch.randn((*logpi.shape[:-1], mus.shape[-1]), generator=generator).to(mus.device)
        return kind(sample_mixture(Mixture(mus, sigmas, logpi), temperature, pick, noise)[0])
