"""V's loss against torch's own divergence and plain sums."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Normal, kl_divergence

from world_models.losses import conv_vae_loss_fn
from world_models.losses.convae_loss import kl_per_latent

torch.set_num_threads(1)


def example(batch=2, latents=4, seed=0):
    torch.manual_seed(seed)
    return torch.rand(batch, 3, 8, 8), torch.rand(batch, 3, 8, 8), *torch.randn(2, batch, latents).unbind()


def test_the_loss_is_one_number_and_positive():
    loss = conv_vae_loss_fn(*example())
    assert loss.shape == () and loss.item() > 0


@given(batch=st.integers(1, 3), latents=st.integers(1, 6), seed=st.integers(0, 999))
def test_the_loss_is_the_summed_squared_error_plus_the_summed_divergence(batch, latents, seed):
    recon, x, mu, logsigma = example(batch, latents, seed)
    divergence = kl_divergence(Normal(mu, logsigma.exp()), Normal(torch.zeros(()), torch.ones(())))
    expected = ((recon - x) ** 2).sum() + divergence.sum()
    torch.testing.assert_close(conv_vae_loss_fn(recon, x, mu, logsigma), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(kl_per_latent(mu, logsigma), divergence, rtol=1e-4, atol=1e-4)


def test_with_mu_and_logsigma_zero_the_loss_is_the_reconstruction_alone():
    recon, x, mu, _ = example()
    zeros = torch.zeros_like(mu)
    torch.testing.assert_close(conv_vae_loss_fn(recon, x, zeros, zeros), ((recon - x) ** 2).sum())
    assert conv_vae_loss_fn(x, x, zeros, zeros).item() == 0.0


def test_the_divergence_grows_as_mu_or_logsigma_leaves_zero():
    _, x, mu, _ = example()
    zeros, ones = torch.zeros_like(mu), torch.ones_like(mu)
    for far_mu, far_logsigma in ((1, 0), (0, 1), (0, -1)):
        near = conv_vae_loss_fn(x, x, far_mu * ones, far_logsigma * ones)
        far = conv_vae_loss_fn(x, x, 2 * far_mu * ones, 2 * far_logsigma * ones)
        assert 0 < near < far
    assert conv_vae_loss_fn(x, x, zeros, zeros) == 0


def test_a_better_reconstruction_has_a_lower_loss():
    recon, x, mu, logsigma = example()
    losses = [conv_vae_loss_fn(x + share * (recon - x), x, mu, logsigma).item() for share in (0.0, 0.5, 1.0)]
    assert losses[0] < losses[1] < losses[2]


def test_the_loss_is_a_sum_over_the_batch_and_not_a_mean():
    once = example(batch=1)
    twice = [torch.cat([each, each]) for each in once]
    torch.testing.assert_close(conv_vae_loss_fn(*twice), 2 * conv_vae_loss_fn(*once))


def test_gradients_reach_all_that_can_learn():
    recon, x, mu, logsigma = example()
    leaves = [each.requires_grad_() for each in (recon, mu, logsigma)]
    conv_vae_loss_fn(recon, x, mu, logsigma).backward()
    assert all(leaf.grad is not None and leaf.grad.abs().sum() > 0 for leaf in leaves)
    torch.testing.assert_close(mu.grad, mu.detach())
    torch.testing.assert_close(logsigma.grad, (2 * logsigma.detach()).exp() - 1)


def test_free_bits_are_a_floor_under_each_latents_mean_divergence():
    _, x, _, _ = example()
    mu = torch.tensor([[0.0, 3.0], [0.2, 3.0]])
    logsigma = torch.zeros_like(mu)
    cheap, dear = 0.5 * 0.2**2 / 2, 0.5 * 3.0**2
    assert conv_vae_loss_fn(x, x, mu, logsigma).item() == pytest.approx(2 * (cheap + dear), rel=1e-5)
    assert conv_vae_loss_fn(x, x, mu, logsigma, free_bits=0.5).item() == pytest.approx(2 * (0.5 + dear), rel=1e-5)


def test_a_latent_below_the_floor_is_not_pushed_further():
    _, x, _, _ = example()
    mu = torch.tensor([[0.1, 3.0]], requires_grad=True)
    conv_vae_loss_fn(x[:1], x[:1], mu, torch.zeros(1, 2), free_bits=0.5).backward()
    assert mu.grad[0, 0] == 0 and mu.grad[0, 1] == pytest.approx(3.0)
