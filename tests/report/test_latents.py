"""What latents hold: checked against a V whose latents are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from tests.doubles import counting_frame
from world_models.report.figures.latents import latent_facts, prior_row, traversals
from world_models.vision.frames import images_from_frames
from world_models.vision.VAE.ConvVAE import ConvVAE

torch.set_num_threads(1)
FRAMES = np.stack([counting_frame(10 * t) for t in range(20)])


class Known(nn.Module):
    """An encoder whose first latent is ten times the frame's red value, and whose others are zero."""

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mu = torch.zeros(len(images), 3)
        mu[:, 1] = 10 * images[:, 0].mean((1, 2))
        return mu, torch.full_like(mu, -1.0)


@pytest.fixture
def vae() -> ConvVAE:
    torch.manual_seed(0)
    vae = ConvVAE(3, 3).eval()
    vae.encoder = Known()  # type: ignore[assignment]
    return vae


def test_the_facts_are_those_of_the_known_latents(vae: ConvVAE) -> None:
    red = 10.0 * FRAMES[:, 0, 0, 0].astype(float) / 255
    still = -0.5 * (1 - 2 - np.exp(-2.0))

    facts = latent_facts(vae, FRAMES)

    assert facts.mean == pytest.approx([0, red.mean(), 0], abs=1e-5)
    assert facts.variance == pytest.approx([0, red.var(), 0], abs=1e-4)
    assert facts.kl == pytest.approx([still, still + (red**2).mean() / 2, still], abs=1e-4)
    assert facts.order == [1, 0, 2] and facts.active == 1


def test_a_traversal_moves_one_latent_about_its_mean_and_keeps_the_others(vae: ConvVAE) -> None:
    facts = latent_facts(vae, FRAMES)
    calls: list[torch.Tensor] = []
    vae.decoder.register_forward_pre_hook(lambda _, inputs: calls.append(inputs[0].clone()))

    rows = traversals(vae, FRAMES[3], facts, rows=2, columns=5, reach=2.0)

    assert [name.split(":")[0] for name, _ in rows] == ["latent 1", "latent 0"]
    assert all(frames.shape == (5, 64, 64, 3) for _, frames in rows)
    deviation, own = float(np.sqrt(facts.variance[1])), 10.0 * float(FRAMES[3, 0, 0, 0]) / 255
    assert calls[0][:, 1].numpy() == pytest.approx(facts.mean[1] + deviation * np.array([-2, -1, 0, 1, 2]), abs=1e-4)
    assert (calls[0][:, [0, 2]] == 0).all()
    assert calls[1][:, 1].numpy() == pytest.approx(np.full(5, own), abs=1e-4)


def test_without_data_traversals_go_about_the_prior(vae: ConvVAE) -> None:
    calls: list[torch.Tensor] = []
    vae.decoder.register_forward_pre_hook(lambda _, inputs: calls.append(inputs[0].clone()))

    traversals(vae, None, None, rows=1, columns=3)

    assert calls[0].tolist() == [[-3, 0, 0], [0, 0, 0], [3, 0, 0]]


def test_what_is_imagined_does_not_change_from_call_to_call(vae: ConvVAE) -> None:
    assert np.array_equal(prior_row(vae, 3)[1], prior_row(vae, 3)[1])
    assert images_from_frames(prior_row(vae, 3)[1]).shape == (3, 3, 64, 64)
