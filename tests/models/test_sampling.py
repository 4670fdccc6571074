"""A dream's chances: components by their tempered weights, points by their tempered spread."""

from __future__ import annotations

import math

import pytest
import torch

from world_models.models.sampling import sample_mixture
from world_models.types import Mixture

WEIGHTS = (0.5, 0.3, 0.2)


def mixture(batch: int = 1) -> Mixture:
    mus = torch.tensor([[-10.0, 0.0], [0.0, 10.0], [10.0, -10.0]]).expand(batch, 3, 2)
    sigmas = torch.tensor([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]]).expand(batch, 3, 2)
    return Mixture(mus, sigmas, torch.tensor(WEIGHTS).log().expand(batch, 3))


@pytest.mark.parametrize(("pick", "component"), [(0.0, 0), (0.49, 0), (0.51, 1), (0.79, 1), (0.81, 2), (0.999999, 2)])
def test_the_component_is_where_the_pick_falls_in_the_cumulated_weights(pick: float, component: int) -> None:
    z, chosen = sample_mixture(mixture(), 1.0, torch.tensor([pick]), torch.zeros(1, 2))
    assert chosen.tolist() == [component]
    assert torch.equal(z, mixture().mus[:, component])


@pytest.mark.parametrize("temperature", [0.1, 0.5, 1.0, 1.3])
def test_weights_and_spread_follow_the_temperature(temperature: float) -> None:
    n = 20_000
    generator = torch.Generator().manual_seed(3)
    pick, noise = torch.rand(n, generator=generator), torch.randn(n, 2, generator=generator)
    z, chosen = sample_mixture(mixture(n), temperature, pick, noise)
    tempered = [w ** (1 / temperature) for w in WEIGHTS]
    for k, weight in enumerate(tempered):
        share = (chosen == k).float().mean().item()
        assert share == pytest.approx(weight / sum(tempered), abs=0.015)
    first = z[chosen == 0]
    wanted = math.sqrt(temperature) * torch.tensor([0.1, 0.2])
    assert torch.allclose(first.std(0), wanted, rtol=0.04)
    if temperature != 1.0:  # a temperature that scales sigma itself would be seen
        assert not torch.allclose(first.std(0), temperature * torch.tensor([0.1, 0.2]), rtol=0.04)


def test_each_row_may_have_a_temperature_of_its_own() -> None:
    heat = torch.tensor([[1.0], [4.0]])
    z, _ = sample_mixture(mixture(2), heat, torch.zeros(2), torch.ones(2, 2))
    assert torch.allclose(z - mixture(2).mus[:, 0], torch.tensor([[0.1, 0.2], [0.2, 0.4]]))
