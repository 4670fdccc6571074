"""From M's mixture to one next latent: the one place where a dream takes its chances.

Noise comes in as arguments, so that the same function serves a dream here and, exported, one in a browser.
"""

from __future__ import annotations

import torch

from world_models.types import Mixture


def sample_mixture(
    mixture: Mixture, temperature: torch.Tensor | float, pick: torch.Tensor, noise: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """A next latent: one component, then a point of it (Ha & Schmidhuber 2018, section 4, and A.2).

    The temperature divides the mixture's log weights and multiplies the variances: below 1 the dream is
    surer than M was trained to be, above 1 less sure.

    Args:
        mixture: M's prediction: mus and sigmas (B, K, Z), logpi (B, K).
        temperature: Above 0; a number, or a tensor that broadcasts over (B, 1).
        pick: Uniform in [0, 1), (B,): which component.
        noise: Standard normal, (B, Z): where in it.

    Returns:
        z (B, Z), and the component (B,) that it comes from.
    """
    component = pick_component(mixture.logpi, temperature, pick)
    index = component[..., None, None].expand(*component.shape, 1, mixture.mus.shape[-1])
    mu, sigma = (part.gather(-2, index).squeeze(-2) for part in (mixture.mus, mixture.sigmas))
    return point_of(mu, sigma, temperature, noise), component


def pick_component(logpi: torch.Tensor, temperature: torch.Tensor | float, pick: torch.Tensor) -> torch.Tensor:
    """The component (B,) in which `pick` (B,) falls, of log weights (B, K) divided by the temperature."""
    heat = torch.as_tensor(temperature, dtype=logpi.dtype, device=logpi.device)
    below = (logpi / heat).softmax(dim=-1).cumsum(dim=-1)[..., :-1]
    return (pick[..., None] >= below).sum(dim=-1)


def point_of(
    mu: torch.Tensor, sigma: torch.Tensor, temperature: torch.Tensor | float, noise: torch.Tensor
) -> torch.Tensor:
    """The point (B, Z) of one component, its mu and sigma (B, Z), where `noise` (B, Z) falls."""
    heat = torch.as_tensor(temperature, dtype=mu.dtype, device=mu.device)
    return mu + sigma * heat.sqrt() * noise
