"""`world_models.training.train_convvae` by its earlier name; called, it is `train_convae`."""

from __future__ import annotations

from world_models.training.callable_modules import callable_as_its_function
from world_models.training.train_convvae import VAELoss, count_active_latents, reconstruct_with, train_convae

__all__ = ["VAELoss", "count_active_latents", "reconstruct_with", "train_convae"]

callable_as_its_function(__name__)
