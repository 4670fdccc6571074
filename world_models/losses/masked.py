"""Means over the real rows of padded sequences."""

from __future__ import annotations

import torch


def reduction(mask: torch.Tensor | None) -> str:
    """The `reduction` of a loss of torch: "mean" where nothing is padded, else "none", for `masked_mean`."""
    return "mean" if mask is None else "none"


def masked_mean(values: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """The mean (0-d) of `values` where `mask`, of their shape, is True; 0 where it is so nowhere.

    Without a mask `values` are a mean already and are given back, so that unpadded batches have torch's own sums.
    """
    if mask is None:
        return values
    return torch.where(mask, values, 0).sum() / mask.sum().clamp_min(1)
