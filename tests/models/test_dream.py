"""The dream in lanes: M's cell and the mixture's sampling step by step, its noise by seeds, its range kept."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.dreams import RANGE, random_cell, save_dream, some_starts
from tests.small_runs import HIDDENS, LATENTS
from world_models.errors import CheckpointError, ConfigError, DataError
from world_models.models.dream import BLOCK, Dream, load_dream
from world_models.models.dream_rules import DreamRules
from world_models.models.sampling import sample_mixture
from world_models.types import Mixture

STARTS = some_starts()


def rules(**changes) -> DreamRules:
    return DreamRules(**{"terminal": "never", "precision": "fp32", **changes})


def actions(lanes: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(lanes, 2, generator=torch.Generator().manual_seed(seed))


class KnownNoise:
    """In the place of a dream's own."""

    def __init__(self, lanes: int) -> None:
        generator = torch.Generator().manual_seed(8)
        self.uniform = torch.rand(lanes, 2, generator=generator)
        self.normal = torch.randn(lanes, LATENTS, generator=generator)

    def next(self) -> tuple[torch.Tensor, torch.Tensor]:
        return self.uniform, self.normal


@pytest.mark.parametrize("temperature", [0.2, 1.0, 1.5])
@pytest.mark.parametrize("block", [1, 4, BLOCK])
def test_a_step_is_the_cells_and_the_mixtures(temperature: float, block: int):
    cell, lanes = random_cell(), 10
    dream = Dream(cell, STARTS, rules(temperature=temperature), block)
    dream.begin(range(lanes))
    dream._noise = noise = KnownNoise(lanes)
    for t in range(5):
        z, (h, c) = dream.z.clone(), (x.clone() for x in dream.state)
        told = dream.step(actions(lanes, t))
        with torch.no_grad():
            *mixture, reward, logit, (h, c) = cell(actions(lanes, t), z, (h, c))
            wanted, _ = sample_mixture(Mixture(*mixture), temperature, noise.uniform[:, 0], noise.normal)
        torch.testing.assert_close(dream.z, wanted.clamp(-RANGE, RANGE), atol=1e-5, rtol=1e-5)
        for mine, theirs in ((dream.state.h, h), (dream.state.c, c), (told.rewards, reward), (told.logits, logit)):
            torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-5)
        assert torch.equal(dream.inputs, torch.cat([dream.z, *dream.state], -1))


def test_bf16_dreams_nearly_the_same_step():
    dreams = [Dream(random_cell(), STARTS, rules(precision=precision)) for precision in ("fp32", "bf16")]
    for dream in dreams:
        dream.begin(range(10))
        dream._noise = KnownNoise(10)
        dream.step(actions(10))
    torch.testing.assert_close(dreams[0].inputs, dreams[1].inputs, atol=0.05, rtol=0.05)


def test_same_seeds_same_dreams_whoever_dreams_beside():
    def dreamed(seeds: list[int], lanes: list[int], steps: int = 70) -> torch.Tensor:
        dream = Dream(random_cell(scale=3), STARTS, rules())
        dream.begin(seeds)
        for t in range(steps):
            dream.step(actions(200, t)[[s % 200 for s in seeds]])
        return dream.inputs[lanes].clone()

    many = dreamed(list(range(300)), [7, 140, 299])
    assert torch.equal(many, dreamed([140, 299, 7], [2, 0, 1]))
    assert not torch.equal(many[0], many[1])


def test_a_lane_that_begins_later_dreams_as_one_that_began_at_once():
    late, once = (Dream(random_cell(), STARTS, rules()) for _ in range(2))
    late.begin([1, 2, 3])
    for t in range(5):
        late.step(actions(3, t))
    late.reset([1], [9])
    late.keep([2, 1])
    once.begin([9])
    for t in range(40):
        late.step(actions(1, t).expand(2, 2))
        once.step(actions(1, t))
    assert torch.equal(late.inputs[1], once.inputs[0])


def test_starts_are_first_frames_with_a_zero_state_or_sequences_that_m_has_seen():
    cell = random_cell()
    with torch.no_grad():
        h, c = cell.get_init_hidden(len(STARTS.warm_mu))
        for t in range(STARTS.warm_mu.shape[1] - 1):
            seen = (torch.from_numpy(x[:, t]) for x in (STARTS.warm_actions, STARTS.warm_mu))
            h, c = cell.next_hidden(*seen, (h, c))
    warm = torch.cat([torch.from_numpy(STARTS.warm_mu[:, -1]), h, c], -1)
    first = torch.from_numpy(STARTS.first_mu)
    first = torch.cat([first, torch.zeros(len(first), 2 * HIDDENS)], -1)
    for kind, known in (("first", first), ("warm", warm), ("both", torch.cat([first, warm]))):
        dream = Dream(cell, STARTS, rules(deterministic=True, starts=kind))
        dream.begin(range(200))
        distance = torch.cdist(dream.inputs.double(), known.double())
        assert distance.min(1).values.max() < 1e-5, kind
        assert set(distance.argmin(1).tolist()) == set(range(len(known))), "all of them come up"


def test_deterministic_is_the_likeliest_components_mean():
    cell = random_cell(scale=4)
    dream = Dream(cell, STARTS, rules(deterministic=True))
    dream.begin(range(20))
    z, (h, c) = dream.z.clone(), (x.clone() for x in dream.state)
    dream.step(actions(20))
    with torch.no_grad():
        mus, _, logpi, *_ = cell(actions(20), z, (h, c))
    wanted = mus[torch.arange(20), logpi.argmax(-1)].clamp(-RANGE, RANGE)
    torch.testing.assert_close(dream.z, wanted, atol=1e-5, rtol=1e-5)


@given(
    seed=st.integers(0, 10_000),
    scale=st.floats(0.01, 300),
    temperature=st.floats(1e-4, 1e4),
    deterministic=st.booleans(),
)
def test_a_dream_never_leaves_the_range_without_saying_so(seed, scale, temperature, deterministic):
    dream = Dream(random_cell(seed, scale), STARTS, rules(temperature=temperature, deterministic=deterministic))
    dream.begin(range(seed, seed + 6))
    for t in range(12):
        told = dream.step(actions(6, t))
        for numbers in (dream.inputs, told.rewards, told.logits):
            assert torch.isfinite(numbers).all()
        assert (dream.z.abs() <= RANGE).all()
        # A number exactly on the edge was put there.
        assert torch.equal((dream.z.abs() == RANGE).sum(-1), told.clamped)


def test_m_that_is_broken_is_named():
    cell = random_cell()
    with torch.no_grad():
        cell.gmm_linear.bias[0] = math.nan
    dream = Dream(cell, STARTS, rules())
    dream.begin([0])
    with pytest.raises(CheckpointError, match="not a number"):
        for _ in range(20):  # until that component is picked
            dream.step(actions(1))


def with_terminal(logit: float):
    cell = random_cell()
    with torch.no_grad():
        cell.gmm_linear.weight[-1] = 0
        cell.gmm_linear.bias[-1] = logit
    return cell


@pytest.mark.parametrize(("logit", "threshold", "ends"), [(0.1, 0.5, 1), (-0.1, 0.5, 0), (-1, 0.2, 1), (1, 0.8, 0)])
def test_it_ends_where_the_terminals_probability_is_above_the_threshold(logit, threshold, ends):
    dream = Dream(with_terminal(logit), STARTS, rules(terminal="threshold", threshold=threshold))
    dream.begin(range(3))
    assert dream.step(actions(3)).terminals.tolist() == [bool(ends)] * 3


def test_sampled_terminals_come_as_often_as_m_says_without_the_weight_it_was_trained_with():
    for weight, rate in ((1.0, 0.3), (10.0, 0.03 / 0.73)):
        dream = Dream(with_terminal(math.log(0.3 / 0.7)), STARTS, rules(terminal="sampled", terminal_weight=weight))
        dream.begin(range(2000))
        ended = dream.step(actions(2000)).terminals.float().mean().item()
        assert ended == pytest.approx(rate, abs=0.03)


def test_rewards_may_be_limited_or_count_survival():
    cell = random_cell()
    with torch.no_grad():
        cell.gmm_linear.weight[-2] = 0
        cell.gmm_linear.bias[-2] = -7.0
    for change, wanted in (({}, -7.0), ({"reward_limit": 3.0}, -3.0), ({"reward": "survival"}, 1.0)):
        dream = Dream(cell, STARTS, rules(**change))
        dream.begin([0])
        assert dream.step(actions(1)).rewards.item() == wanted


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"temperature": 0.0}, "temperature is 0.0"),
        ({"temperature": -1.0}, "temperature is -1.0"),
        ({"temperature": math.nan}, "temperature is nan"),
        ({"temperature": math.inf}, "temperature is inf"),
        ({"terminal": "maybe"}, "terminal is 'maybe', and must be one of auto"),
        ({"threshold": 1.0}, "threshold is 1.0"),
        ({"starts": "last"}, "starts is 'last'"),
        ({"reward": "none"}, "reward is 'none'"),
        ({"reward_limit": -1.0}, "reward_limit is -1.0"),
        ({"precision": "fp8"}, "precision is 'fp8'"),
    ],
)
def test_rules_that_cannot_work_are_refused(change, says):
    with pytest.raises(ConfigError, match=says):
        DreamRules(**change)


def test_a_run_is_loaded_with_what_its_m_says_of_terminals(tmp_path: Path):
    logdir = save_dream(tmp_path)
    assert load_dream(logdir, DreamRules()).rules.terminal == "never"
    with pytest.raises(CheckpointError, match="no terminal head that was trained"):
        load_dream(logdir, DreamRules(terminal="threshold"))
    save_dream(tmp_path, terminal_trained=True, terminal_weight=10.0)
    dream = load_dream(logdir, DreamRules())
    assert dream.rules.terminal == "threshold" and dream.rules.terminal_weight == 10


def test_what_does_not_fit_is_named(tmp_path: Path):
    with pytest.raises(CheckpointError, match=r"best\.tar does not exist.*--stage rnn"):
        load_dream(tmp_path, DreamRules())
    logdir = save_dream(tmp_path, vae_fingerprint="another V")
    with pytest.raises(CheckpointError, match="latents of another V"):
        load_dream(logdir, DreamRules())
    (logdir / "mdrnn" / "starts.npz").unlink()
    with pytest.raises(DataError, match="--data_dir"):
        load_dream(logdir, DreamRules())
    with pytest.raises(CheckpointError, match="starts have 4 latents and 3 actions, M 4 and 2"):
        Dream(random_cell(), some_starts(actions=3), rules())
    with pytest.raises(CheckpointError, match="starts have 5 latents"):
        Dream(random_cell(), some_starts(latents=5), rules())
