"""The two documented losses."""

from world_models.losses.convae_loss import conv_vae_loss_fn
from world_models.losses.gmm_loss import gmm_loss

__all__ = ["conv_vae_loss_fn", "gmm_loss"]

# The function hides the module of its name, which the specification names as well: `world_models.losses.gmm_loss`.
gmm_loss.gmm_loss = gmm_loss  # type: ignore[attr-defined]
