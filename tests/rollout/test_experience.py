"""Experience for the policy gradient: what C did and earned, noise of a lane's own, lanes anywhere alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.small_envs import STEER
from tests.small_runs import HIDDENS, LATENTS, save_run
from world_models.errors import ConfigError, WorkerError
from world_models.models.controller import flatten_parameters
from world_models.models.load import load_controller
from world_models.rollout.driver import Driver, Recipe
from world_models.rollout.experience import joined
from world_models.types import Episode
from world_models.utils.seeding import derive_seed

SEEDS, LIMIT = (3, 1, 4, 15), 6


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_run(tmp_path_factory.mktemp("run"), STEER)


def driver(run: Path) -> Driver:
    return Driver(Recipe(STEER, logdir=str(run), num_lanes=2, time_limit=LIMIT))


def parameters(run: Path) -> np.ndarray:
    return flatten_parameters(load_controller(run)[0].parameters())


def own_outputs(run: Path, states: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return load_controller(run)[0](states)


def test_without_noise_a_lane_drives_its_episodes_as_the_agent_does(run: Path):
    mine, steps = driver(run), 25
    (found,) = mine.experience(parameters(run), 0.0, steps, seeds=SEEDS, time_limit=LIMIT)
    states, outputs, rewards, ended, cut, progress = found.experience
    assert states.shape == (steps + 1, len(SEEDS), LATENTS + HIDDENS) and outputs.shape == (steps, len(SEEDS), 2)
    torch.testing.assert_close(outputs, own_outputs(run, states[:-1]), atol=1e-5, rtol=1e-5)
    returns, reasons = [], set()
    for lane, seed in enumerate(SEEDS):
        first = 0
        for k, end in enumerate(torch.nonzero(ended[:, lane]).ravel().tolist()):
            (result,) = mine.evaluate([Episode(0, derive_seed("road", seed, k))], parameters(run)[None])
            assert float(rewards[first : end + 1, lane].sum()) == pytest.approx(result.episode_return, abs=1e-5)
            assert end + 1 - first == result.steps
            gone = torch.arange(result.steps) / LIMIT
            torch.testing.assert_close(progress[first : end + 1, lane, 0], gone)
            earned = rewards[first : end + 1, lane].cumsum(0)
            torch.testing.assert_close(progress[first + 1 : end + 1, lane, 1], earned[:-1])
            reasons.add(result.ended_by)
            torch.testing.assert_close(states[end + 1, lane, LATENTS:], torch.zeros(HIDDENS))
            returns.append(result.episode_return)
            first = end + 1
    # The critic knows the time limit: for it an episode that meets the limit is over like any other.
    assert len(returns) >= 2 * len(SEEDS) and not cut.any() and reasons == {"terminal", "time_limit"}
    assert sorted(found.returns) == pytest.approx(sorted(returns), abs=1e-5)


def test_lanes_of_two_processes_are_as_those_of_one_and_go_on_where_they_were(run: Path):
    whole, half, other = driver(run), driver(run), driver(run)
    alone, shared = [], []
    for seeds in (SEEDS, None, None):
        alone += whole.experience(parameters(run), 0.5, 4, seeds=seeds, time_limit=LIMIT)
        parts = (None, None) if seeds is None else (SEEDS[:1], SEEDS[1:])
        pairs = zip((half, other), parts, strict=True)
        both = [mine.experience(parameters(run), 0.5, 4, seeds=part, time_limit=LIMIT)[0] for mine, part in pairs]
        shared.append(joined(both))
    for one, same in zip(alone, shared, strict=True):
        for mine, theirs in zip(one.experience, same.experience, strict=True):
            assert torch.equal(mine, theirs)
        assert sorted(one.returns) == sorted(same.returns)
    assert torch.equal(alone[0].experience.states[-1], alone[1].experience.states[0])


def test_noise_is_on_the_outputs_and_a_lanes_own(run: Path):
    (found,) = driver(run).experience(parameters(run), 0.5, 40, seeds=SEEDS, time_limit=LIMIT)
    noise = found.experience.outputs - own_outputs(run, found.experience.states[:-1])
    assert 0.4 < float(noise.std()) < 0.6
    assert abs(float(np.corrcoef(noise[:, 0].ravel(), noise[:, 1].ravel())[0, 1])) < 0.5


def test_an_idle_lane_is_terminated_early(run: Path):
    (found,) = driver(run).experience(parameters(run), 5.0, 12, seeds=SEEDS, time_limit=100, early_termination=2)
    early = 0
    for lane in range(len(SEEDS)):
        idle = 0
        for t in range(12):
            idle = 0 if found.experience.rewards[t, lane] > 0 else idle + 1
            if idle >= 2:
                early += 1
                assert found.experience.ended[t, lane]
            if found.experience.ended[t, lane]:
                idle = 0
    assert early


def test_who_lost_its_lanes_or_has_no_agent_says_so(run: Path):
    with pytest.raises(WorkerError, match="its lanes with it; start again"):
        driver(run).experience(parameters(run), 0.1, 3, seeds=None)
    with pytest.raises(ConfigError, match="Only an agent has states"):
        Driver(Recipe(STEER, policy="uniform", num_lanes=1, time_limit=3)).experience(np.zeros(3), 0.1, 3, seeds=[1])
