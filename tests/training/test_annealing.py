"""The learning rate falls to nothing over the last share of all batches, and the scheduler's own is left alone."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from world_models.configs.wm_config import WMVAEConfig
from world_models.errors import ConfigError
from world_models.training.fit.annealing import Annealing
from world_models.training.fit.settings import VaeSettings


def optimizer(rate: float = 0.5) -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=rate)


def rates(part: float, epochs: int, batches: int) -> list[float]:
    mine, found = optimizer(), []
    for epoch in range(1, epochs + 1):
        with Annealing(mine, part, epoch, epochs, batches) as annealing:
            for _ in range(batches):
                found.append(mine.param_groups[0]["lr"])
                annealing.batch_done()
        assert mine.param_groups[0]["lr"] == 0.5
    return found


def test_the_last_share_of_the_batches_has_falling_rates():
    assert rates(0.5, 2, 4) == pytest.approx([0.5] * 4 + [0.5, 0.375, 0.25, 0.125])


@given(part=st.floats(0.05, 1), epochs=st.integers(1, 5), batches=st.integers(1, 9))
def test_rates_never_rise_and_end_near_nothing(part, epochs, batches):
    found = rates(part, epochs, batches)
    assert all(0 < b <= a <= 0.5 for a, b in itertools.pairwise(found))
    assert found[-1] <= 0.5 * min(1.0, 1 / (part * epochs * batches)) + 1e-12


def test_without_a_share_they_stay():
    assert rates(0.0, 2, 3) == [0.5] * 6


def test_a_scheduler_that_lowers_the_rate_between_epochs_is_kept_to():
    mine = optimizer()
    with Annealing(mine, 1.0, 1, 2, 1) as annealing:
        annealing.batch_done()
    mine.param_groups[0]["lr"] *= 0.1
    with Annealing(mine, 1.0, 2, 2, 1):
        assert mine.param_groups[0]["lr"] == pytest.approx(0.05 * 0.5)


def test_a_share_above_one_is_an_error():
    with pytest.raises(ConfigError, match="anneal is 2"):
        VaeSettings.from_config(WMVAEConfig(extra={"anneal": 2}))
