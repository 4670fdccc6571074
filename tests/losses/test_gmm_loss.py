"""M's loss against torch's own mixture distribution and against the mixture's density summed by hand."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from world_models.losses import gmm_loss

torch.set_num_threads(1)


def example(shape=(2, 5), latents=4, gaussians=3, seed=0):
    """A latent, and a mixture of `gaussians` for it."""
    torch.manual_seed(seed)
    mus = torch.randn(*shape, gaussians, latents)
    sigmas = (0.5 * torch.randn(*shape, gaussians, latents)).exp()
    logpi = torch.randn(*shape, gaussians).log_softmax(-1)
    return torch.randn(*shape, latents), mus, sigmas, logpi


def oracle(latent, mus, sigmas, logpi):
    parts = Independent(Normal(mus, sigmas), 1)
    return -MixtureSameFamily(Categorical(logits=logpi), parts).log_prob(latent)


def test_the_loss_is_one_number_or_one_a_sample():
    assert gmm_loss(*example()).shape == ()
    assert gmm_loss(*example(), reduce=False).shape == (2, 5)


@given(
    shape=st.lists(st.integers(1, 3), max_size=3).map(tuple), latents=st.integers(1, 5),
    gaussians=st.integers(1, 5), seed=st.integers(0, 999),
)  # fmt: skip
def test_the_loss_is_the_negative_log_likelihood_at_any_sizes(shape, latents, gaussians, seed):
    case = example(shape, latents, gaussians, seed)
    expected = oracle(*case)
    torch.testing.assert_close(gmm_loss(*case, reduce=False), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(gmm_loss(*case), expected.mean(), rtol=1e-4, atol=1e-4)


def test_the_loss_is_the_documented_formula_summed_by_hand():
    latent, mus, sigmas, logpi = example(shape=(1,), latents=2, gaussians=2)
    density = 0.0
    for k in range(2):
        product = 1.0
        for j in range(2):
            mean, sigma, value = mus[0, k, j].item(), sigmas[0, k, j].item(), latent[0, j].item()
            product *= math.exp(-((value - mean) ** 2) / (2 * sigma**2)) / (math.sqrt(2 * math.pi) * sigma)
        density += math.exp(logpi[0, k].item()) * product
    assert gmm_loss(latent, mus, sigmas, logpi).item() == pytest.approx(-math.log(density), rel=1e-5)


def test_the_loss_agrees_with_the_documented_implementation():
    latent_next_obs, mus, sigmas, logpi = example()
    normal_dist = Normal(mus, sigmas)
    g_log_probs = logpi + normal_dist.log_prob(latent_next_obs.unsqueeze(-2)).sum(dim=-1)
    max_log_probs = g_log_probs.max(dim=-1, keepdim=True)[0]
    log_prob = max_log_probs.squeeze() + torch.log(torch.exp(g_log_probs - max_log_probs).sum(dim=-1))
    torch.testing.assert_close(gmm_loss(latent_next_obs, mus, sigmas, logpi), -log_prob.mean())


def test_the_loss_is_positive_for_wide_mixtures_and_may_be_negative_for_sure_ones():
    latent, mus, _, logpi = example()
    assert gmm_loss(latent, mus, torch.ones_like(mus), logpi) > 0
    sure = latent.unsqueeze(-2).expand_as(mus)
    assert gmm_loss(latent, sure, torch.full_like(mus, 1e-2), logpi) < 0


def test_a_prediction_nearer_to_what_came_has_a_lower_loss():
    latent, mus, _, logpi = example()
    target, ones = latent.unsqueeze(-2), torch.ones_like(mus)
    losses = [gmm_loss(latent, target + share * (mus - target), ones, logpi).item() for share in (0, 0.5, 1, 2)]
    assert losses == sorted(losses) and losses[0] < losses[-1]


def test_more_weight_on_the_right_gaussian_lowers_the_loss():
    latent, mus, sigmas, _ = example(shape=(2,), gaussians=2)
    mus = torch.stack([latent, latent + 5], dim=-2)
    losses = [gmm_loss(latent, mus, sigmas, torch.tensor([p, 1 - p]).log().expand(2, 2)) for p in (0.9, 0.5, 0.1)]
    assert losses[0] < losses[1] < losses[2]


def test_gaussians_that_are_equal_count_as_one():
    latent, mus, sigmas, _ = example(gaussians=1)
    many = gmm_loss(latent, mus.repeat(1, 1, 5, 1), sigmas.repeat(1, 1, 5, 1), torch.zeros(2, 5, 5).log_softmax(-1))
    torch.testing.assert_close(many, gmm_loss(latent, mus, sigmas, torch.zeros(2, 5, 1)))


def test_gradients_reach_the_mixture_and_a_leaf_behind_log_softmax():
    latent, mus, sigmas, _ = example(gaussians=5)
    logpi_raw = torch.randn(2, 5, 5, requires_grad=True)
    logpi = logpi_raw.log_softmax(dim=-1)
    gmm_loss(latent, mus.requires_grad_(), sigmas.requires_grad_(), logpi).backward()
    for leaf in (logpi_raw, mus, sigmas):
        assert leaf.grad is not None and leaf.grad.isfinite().all() and leaf.grad.abs().sum() > 0
    assert not logpi.is_leaf


@pytest.mark.parametrize("distance", [1e3, 1e6])
def test_a_latent_far_from_every_gaussian_gives_a_finite_loss_and_gradient(distance):
    latent, mus, sigmas, logpi = example()
    mus.requires_grad_()
    loss = gmm_loss(latent + distance, mus, sigmas, logpi)
    loss.backward()
    assert loss.isfinite() and mus.grad.isfinite().all()
    torch.testing.assert_close(loss, oracle(latent + distance, mus, sigmas, logpi).mean(), rtol=1e-4, atol=1.0)
