"""M's main loss: the negative log-likelihood of the next latent under a mixture (specification, gmm_loss)."""

from __future__ import annotations

import math

import torch

_HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)


def gmm_loss(
    latent_next_obs: torch.Tensor,
    mus: torch.Tensor,
    sigmas: torch.Tensor,
    logpi: torch.Tensor,
    reduce: bool = True,
) -> torch.Tensor:
    """-log sum_k pi_k prod_j N(x_j | mu_kj, sigma_kj), in nats, summed over latents.

    Args:
        latent_next_obs: The latents that came, (..., Z), with any number of batch dimensions.
        mus: Means (..., K, Z).
        sigmas: Standard deviations (..., K, Z), positive.
        logpi: Logs of the mixture weights (..., K).
        reduce: The mean over all samples (0-d), or else one value a sample (...).
    """
    deviation = (latent_next_obs.unsqueeze(-2) - mus) / sigmas
    log_normal = -0.5 * deviation.square() - sigmas.log() - _HALF_LOG_TWO_PI
    log_likelihood = torch.logsumexp(logpi + log_normal.sum(-1), dim=-1)
    return -log_likelihood.mean() if reduce else -log_likelihood
