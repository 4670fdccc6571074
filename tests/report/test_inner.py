"""The inner view: M looks at every moment but predicts it from the one before; the dream looks now and then."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.doubles import noise_rollout
from world_models.models.mdrnn import MDRNN
from world_models.report.figures.dream import decode
from world_models.report.figures.inner import InnerView, inner_views
from world_models.vision.latents import encode
from world_models.vision.VAE.ConvVAE import ConvVAE

torch.set_num_threads(1)
STEPS = 9


@pytest.fixture
def models() -> tuple[ConvVAE, MDRNN]:
    torch.manual_seed(0)
    vae, mdrnn = ConvVAE(3, 4).eval(), MDRNN(latents=4, actions=3, hiddens=8, gaussians=2).eval()
    with torch.no_grad():
        mdrnn.gmm_linear.weight[:8].mul_(40.0)  # what M remembers shall show in the pictures
    return vae, mdrnn


def near(one: np.ndarray, other: np.ndarray) -> bool:
    return bool(np.abs(one.astype(int) - other.astype(int)).max() <= 1)  # a batch of another size may round otherwise


def test_reconstructions_and_one_step_predictions_are_those_of_the_whole_sequence(models) -> None:
    (vae, mdrnn), rollout = models, noise_rollout(STEPS)
    latents, _ = encode(vae, torch.from_numpy(rollout.observations))
    with torch.no_grad():
        mus, _, logpi, _, _ = mdrnn(torch.from_numpy(rollout.actions)[:, None], latents[:, None])
    expected = decode(vae, (logpi.exp()[..., None] * mus).sum(-2)[:, 0])

    seen = list(inner_views(InnerView(vae, mdrnn), rollout))

    assert near(np.stack([each.reconstruction for each in seen]), decode(vae, latents))
    assert near(np.stack([each.expected for each in seen[1:]]), expected[:-1])
    assert all(each.dreamed is None for each in seen)


def test_a_dream_starts_from_reality_again_every_so_many_steps(models) -> None:
    view, rollout = InnerView(*models, dream_steps=3), noise_rollout(STEPS)

    seen = list(inner_views(view, rollout))

    assert [each.dream_age for each in seen] == [0, 1, 2, 3, 0, 1, 2, 3, 0]
    for each in seen:
        assert each.dreamed is not None
        assert np.array_equal(each.dreamed, each.reconstruction) == (each.dream_age == 0)


def test_a_dream_does_not_look_at_the_frames_in_between(models) -> None:
    rollout = noise_rollout(STEPS)
    changed = noise_rollout(STEPS)
    changed.observations[1:4] = 255

    one, two = (list(inner_views(InnerView(*models, dream_steps=3), each)) for each in (rollout, changed))

    assert all(np.array_equal(a.dreamed, b.dreamed) for a, b in zip(one[:4], two[:4], strict=True))
    assert not np.array_equal(one[5].dreamed, two[5].dreamed), "M's memory, which it starts from again, has looked"


def test_v_alone_has_reconstructions_alone(models) -> None:
    seen = list(inner_views(InnerView(models[0], None, dream_steps=3), noise_rollout(3)))
    assert all(each.expected is None and each.dreamed is None for each in seen)


def test_the_seed_decides_the_dream(models) -> None:
    def dreamed(seed: int) -> np.ndarray:
        view = InnerView(*models, dream_steps=8, seed=seed, temperature=4.0)
        return np.stack([each.dreamed for each in inner_views(view, noise_rollout(STEPS))])

    assert np.array_equal(dreamed(1), dreamed(1))
    assert not np.array_equal(dreamed(1), dreamed(2))
