"""M's terminal head: trained on the rows where episodes end, its rare events weighted, its calibration measured.

The documented windows have T transitions, each with the next latent. Where an episode ends there is none, so in
them a terminal of 1 never comes up. Here M reads one row more, the window's last, and learns from it what needs
no next latent: the terminal and the reward. Every ended episode gives a window that ends with its end.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch.nn import functional

from world_models.losses.gmm_loss import gmm_loss
from world_models.losses.masked import masked_mean, reduction
from world_models.models.mdrnn import MDRNN
from world_models.training.fit.passes import Losses

_WIDTH = 0.25  # of a bin of logits: 28 % of a small probability
_HALF = 48  # bins on either side of 0, up to a logit of 12; what lies beyond counts as the last bin's


def whole_window_loss(
    mdrnn: MDRNN,
    latent: torch.Tensor,
    action: torch.Tensor,
    reward: torch.Tensor,
    terminal: torch.Tensor,
    include_reward: bool = True,
    terminal_weight: float = 1.0,
    reward_weight: float = 1.0,
    mask: torch.Tensor | None = None,
) -> tuple[Losses, torch.Tensor]:
    """M's losses on windows all of whose rows count, batch first.

    As `get_loss`, but the terminal's and the reward's terms are means over T + 1 rows, the mixture's over the T
    of them whose next latent is in the window; a terminal of 1 weighs `terminal_weight` times as much as a 0
    (Ha & Schmidhuber's own training of TakeCover: 10).

    Args:
        mdrnn: M over sequences.
        latent: z, (B, T + 1, Z).
        action: (B, T + 1, A).
        reward, terminal: (B, T + 1).
        include_reward: Whether the reward's squared error is part of the loss.
        terminal_weight: See above.
        reward_weight: As in `get_loss`.
        mask: Which rows are real, bool (B, T + 1); None: all.

    Returns:
        gmm, bce, mse and loss as `get_loss`; and the terminal's logits (B, T + 1).
    """
    mus, sigmas, logpi, rewards, logits = mdrnn(action.transpose(0, 1), latent.transpose(0, 1))
    kind, following = reduction(mask), None if mask is None else mask.transpose(0, 1)[1:]
    gmm = gmm_loss(latent.transpose(0, 1)[1:], mus[:-1], sigmas[:-1], logpi[:-1], reduce=mask is None)
    gmm = masked_mean(gmm, following)
    logits = logits.transpose(0, 1)
    weight = torch.as_tensor(terminal_weight, device=logits.device)
    bce = functional.binary_cross_entropy_with_logits(logits, terminal.float(), pos_weight=weight, reduction=kind)
    bce = masked_mean(bce, mask)
    mse = torch.zeros_like(bce)
    if include_reward:
        mse = masked_mean(functional.mse_loss(rewards.transpose(0, 1), reward, reduction=kind), mask)
    scale = latent.shape[-1] + (2 if include_reward else 1)
    return {"gmm": gmm, "bce": bce, "mse": mse, "loss": (gmm + bce + reward_weight * mse) / scale}, logits


def calibration_counts(
    logits: torch.Tensor, terminal: torch.Tensor, terminal_weight: float = 1.0, mask: torch.Tensor | None = None
) -> Losses:
    """What `calibration` is computed from, in a form that adds up over batches: means over the B windows.

    Args:
        logits, terminal: (B, T), as M gives them and as they came.
        terminal_weight: With which M was trained: its odds are as many times too high, which is undone here.
        mask: Which rows are real, bool (B, T): they count, and their number is that of the windows; None: all.

    Returns:
        terminal_ones, terminal_zeros: rows a window in each of the bins of the logit; terminal_sums: the sum of
        their probabilities.
    """
    logits = logits.detach().float() - math.log(terminal_weight)
    came = terminal.reshape(-1) > 0.5
    bins = (logits / _WIDTH).floor().clamp(-_HALF, _HALF - 1).long().reshape(-1) + _HALF

    windows = len(logits) if mask is None else mask.sum() / mask.shape[1]

    def summed(values: torch.Tensor) -> torch.Tensor:
        total = torch.zeros(2 * _HALF, device=values.device, dtype=torch.float32)
        real = values.float() if mask is None else values.float() * mask.reshape(-1)
        return total.index_add(0, bins, real) / windows

    return {
        "terminal_ones": summed(came),
        "terminal_zeros": summed(~came),
        "terminal_sums": summed(logits.sigmoid().reshape(-1)),
    }


def calibration(means: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """How good the predicted terminals are, from the mean `calibration_counts` of a pass.

    Returns:
        terminal_rate: ended rows of all; terminal_mean: the mean predicted probability, equal to it where M is
        calibrated on the whole; terminal_ece: the expected calibration error, the mean over rows of the distance
        between predicted and observed rate of the row's bin; terminal_auc: the probability that a row that ended
        an episode was given a higher one than a row that did not (None where there is none of either).
    """
    ones, zeros, sums = (means[f"terminal_{name}"].double().cpu() for name in ("ones", "zeros", "sums"))
    rows = (ones + zeros).sum()
    below = zeros.cumsum(0) - zeros
    pairs = float(ones.sum() * zeros.sum())
    wins = float((ones * (below + zeros / 2)).sum())
    return {
        "terminal_rate": float(ones.sum() / rows),
        "terminal_mean": float(sums.sum() / rows),
        "terminal_ece": float((sums - ones).abs().sum() / rows),
        "terminal_auc": wins / pairs if pairs else None,
    }
