"""What a latent draws is said in words, checked against a V whose latents paint known places."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from world_models.vision.VAE.ConvVAE import ConvVAE
from world_models.web.latent_effects import change_text, latent_effects


class Known(nn.Module):
    """Latent 0 lights the top left, 1 darkens the bottom right, 2 moves light about the centre, 3 does nothing."""

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        images = torch.full((len(z), 3, 64, 64), 0.5)
        images[:, :, :20, :20] += 0.1 * z[:, 0, None, None, None]
        images[:, :, 45:, 45:] -= 0.05 * z[:, 1, None, None, None]
        images[:, :, 25:40, 25:32] += 0.1 * z[:, 2, None, None, None]
        images[:, :, 25:40, 32:39] -= 0.1 * z[:, 2, None, None, None]
        return images


@pytest.fixture
def vae() -> ConvVAE:
    vae = ConvVAE(3, 4).eval()
    vae.decoder = Known()  # type: ignore[assignment]
    return vae


def test_each_latent_says_where_the_picture_changes_and_how(vae: ConvVAE) -> None:
    effects = latent_effects(vae, np.zeros(4, np.float32), np.ones(4, np.float32))

    assert [effect["says"] for effect in effects] == [
        "top left brighter",
        "bottom right darker",
        "centre moves",
        "changes next to nothing",
    ]
    # Two deviations to either side: 0.4 over 400 of 4,096 pixels.
    assert effects[0]["moved"] == pytest.approx(0.4 * 400 / 4096, abs=1e-4) and effects[3]["moved"] == 0


def test_a_latent_that_hardly_varies_is_pulled_by_the_priors_deviation(vae: ConvVAE) -> None:
    (first, *_) = latent_effects(vae, np.zeros(4, np.float32), np.zeros(4, np.float32))
    assert first["moved"] == pytest.approx(0.2 * 400 / 4096, abs=1e-4)


def test_a_second_place_is_named_where_it_changes_as_much() -> None:
    change = np.zeros((63, 63))
    change[:21, :21], change[:21, 42:] = 0.5, -0.4
    assert change_text(change) == "top left brighter, top right darker"
    change[:21, 42:] = -0.2
    assert change_text(change) == "top left brighter"
