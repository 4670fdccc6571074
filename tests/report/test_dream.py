"""A dream: M looks during its warm-up, then goes on alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.doubles import noise_rollout
from world_models.errors import CheckpointError, DataError
from world_models.models.mdrnn import MDRNN, MDRNNCell
from world_models.report.figures.dream import decode, dream_beside, dream_latents, richest_start, sample
from world_models.types import Mixture
from world_models.vision.latents import encode
from world_models.vision.VAE.ConvVAE import ConvVAE

torch.set_num_threads(1)
T, WARM_UP = 12, 5


@pytest.fixture
def mdrnn() -> MDRNN:
    torch.manual_seed(0)
    return MDRNN(latents=4, actions=3, hiddens=8, gaussians=2).eval()


@pytest.fixture
def seen() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return torch.randn(T, 4), torch.randn(T, 3)


def dreamed(cell: MDRNNCell, latents: torch.Tensor, actions: torch.Tensor, seed: int = 0) -> torch.Tensor:
    return dream_latents(cell, latents, actions, WARM_UP, 1.0, seed)


def test_the_warm_up_is_what_was_seen_and_the_rest_is_never_looked_at(mdrnn: MDRNN, seen) -> None:
    cell, (latents, actions) = MDRNNCell.from_mdrnn(mdrnn), seen
    changed = latents.clone()
    changed[WARM_UP:] = 99.0

    first = dreamed(cell, latents, actions)

    assert torch.equal(first[:WARM_UP], latents[:WARM_UP])
    assert torch.equal(first, dreamed(cell, changed, actions))


def test_an_action_changes_the_next_latent_and_none_before(mdrnn: MDRNN, seen) -> None:
    cell, (latents, actions) = MDRNNCell.from_mdrnn(mdrnn), seen
    changed = actions.clone()
    changed[7] += 1.0

    first, second = dreamed(cell, latents, actions), dreamed(cell, latents, changed)

    assert torch.equal(first[:8], second[:8])
    assert not torch.equal(first[8], second[8])


def test_the_hidden_state_is_carried_through_the_warm_up(mdrnn: MDRNN, seen) -> None:
    latents, actions = seen
    with torch.no_grad():  # one certain component, so that the dream is the mixture's mean
        mdrnn.gmm_linear.bias[8:16] = -20.0
        mdrnn.gmm_linear.weight[8:16] = 0.0
        mdrnn.gmm_linear.bias[16] = 100.0
        expected = mdrnn(actions[:, None], latents[:, None])[0][WARM_UP - 1, 0, 0]

    assert torch.allclose(dreamed(MDRNNCell.from_mdrnn(mdrnn), latents, actions)[WARM_UP], expected, atol=1e-5)


def test_the_seed_decides_the_dream(mdrnn: MDRNN, seen) -> None:
    cell, (latents, actions) = MDRNNCell.from_mdrnn(mdrnn), seen

    assert torch.equal(dreamed(cell, latents, actions, 3), dreamed(cell, latents, actions, 3))
    assert not torch.equal(dreamed(cell, latents, actions, 3), dreamed(cell, latents, actions, 4))


@pytest.mark.parametrize("temperature", [0.25, 1.0, 4.0])
def test_the_temperature_multiplies_the_variance(temperature: float) -> None:
    count = 20_000
    mixture = Mixture(torch.zeros(count, 1, 1), torch.full((count, 1, 1), 2.0), torch.zeros(count, 1))

    drawn = sample(mixture, temperature, torch.Generator().manual_seed(0))

    assert drawn.shape == (count, 1)
    assert drawn.var().item() == pytest.approx(4.0 * temperature, rel=0.05)


def test_a_cold_dream_takes_the_likeliest_component_alone() -> None:
    logpi = torch.tensor([0.4, 0.6]).log().expand(1000, 2)
    mixture = Mixture(torch.tensor([[-1.0], [1.0]]).expand(1000, 2, 1), torch.full((1000, 2, 1), 1e-3), logpi)

    cold = sample(mixture, 0.01, torch.Generator().manual_seed(0))
    warm = sample(mixture, 1.0, torch.Generator().manual_seed(0))

    assert (cold > 0).all()
    assert (warm > 0).float().mean().item() == pytest.approx(0.6, abs=0.05)


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=20), st.data())
def test_the_richest_window_has_the_greatest_reward(rewards: list[int], data: st.DataObject) -> None:
    length = data.draw(st.integers(1, len(rewards)))

    start = richest_start(np.array(rewards, np.float32), length)

    sums = [sum(rewards[at : at + length]) for at in range(len(rewards) - length + 1)]
    assert start == sums.index(max(sums))


@pytest.mark.parametrize("length", [2, 9, 40])
def test_reality_and_dream_are_equally_long_and_part_after_the_warm_up(mdrnn: MDRNN, length: int) -> None:
    torch.manual_seed(0)
    vae = ConvVAE(3, 4).eval()

    dream = dream_beside(vae, mdrnn, noise_rollout(length), warm_up=6, steps=8)

    assert dream.real.shape == dream.reconstructed.shape == dream.dreamed.shape
    assert dream.real.shape[1:] == (64, 64, 3) and dream.dreamed.dtype == np.uint8
    assert 1 <= dream.warm_up <= 6 and len(dream.real) == min(length, dream.warm_up + 8)
    assert np.array_equal(dream.dreamed[: dream.warm_up], dream.reconstructed[: dream.warm_up])


def test_actions_of_another_size_are_refused_with_both_sizes(mdrnn: MDRNN) -> None:
    with pytest.raises(DataError, match="2 numbers and M takes 3"):
        dream_beside(ConvVAE(3, 4), mdrnn, noise_rollout(10, action_size=2))


def test_a_v_and_m_of_other_latent_sizes_are_refused_with_both(mdrnn: MDRNN) -> None:
    with pytest.raises(CheckpointError, match="5 latents and M takes 4"):
        dream_beside(ConvVAE(3, 5), mdrnn, noise_rollout(10))


def test_a_rollout_of_one_step_is_refused(mdrnn: MDRNN) -> None:
    with pytest.raises(DataError, match="too short"):
        dream_beside(ConvVAE(3, 4), mdrnn, noise_rollout(1))


def test_a_reconstruction_does_not_depend_on_chance() -> None:
    vae, frames = ConvVAE(3, 4).eval(), noise_rollout(3).observations

    once, again = (decode(vae, encode(vae, torch.from_numpy(frames))[0]) for _ in range(2))
    assert np.array_equal(once, again)
