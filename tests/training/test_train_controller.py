"""Stage C on small environments: targets, budgets, what candidates drive, what is kept."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.search.evolutions import config, timeless, train
from tests.small_envs import STEER
from tests.small_runs import HIDDENS, LATENTS
from world_models.errors import CheckpointError
from world_models.models.agent import Agent
from world_models.models.controller import Controller, flatten_parameters
from world_models.models.load import load_cell, load_controller, load_vae
from world_models.rollout.driver import Driver, Recipe
from world_models.runs.evaluation import run_recipe
from world_models.search import run as evolution_run
from world_models.search.settings import ControllerSettings
from world_models.search.whitening import states_of, states_of_noise
from world_models.types import Episode, Rollout
from world_models.utils.run_dir import load_checkpoint, log_path, read_jsonl


def test_it_runs_until_a_budget_and_leaves_best_checkpoint_and_log(new_run):
    logdir = new_run()
    result = train(logdir)
    assert result.generations == len(result.history) == 4
    assert [record["generation"] for record in result.history] == [1, 2, 3, 4]
    assert ["eval_mean" in record for record in result.history] == [False, True, False, True]
    # 4 candidates of 2 episodes in each generation, 3 controllers of 2 episodes in each re-evaluation
    # Two re-evaluations, 2 episodes each: in the first the recent means' average is the mean, who drives once.
    assert result.episodes == 4 * 4 * 2 + (2 + 3) * 2
    assert read_jsonl(log_path(logdir, "ctrl")) == result.history
    best, facts = load_controller(logdir)
    assert result.best == logdir / "ctrl" / "best.tar" and facts["return_mean"] == result.best_return
    assert (best.latent_size, best.hidden_size, best.action_size) == (LATENTS, HIDDENS, 2)
    evaluated = [r for r in result.history if "eval_mean" in r]
    assert result.best_return == max(max(r["eval_mean"], r["eval_leader"], r["eval_average"]) for r in evaluated)
    assert (logdir / "ctrl" / "checkpoint.tar").is_file() and facts["env_name"] == STEER


def test_best_tar_really_earns_what_it_says(new_run):
    logdir = new_run()
    result = train(logdir)
    run = evolution_run.EvolutionRun(config(logdir), ControllerSettings.from_config(config(logdir)))
    seeds = [run._seed("re-evaluation", i) for i in range(2)]
    run.close()
    driver = Driver(Recipe(STEER, logdir=str(logdir), trained=True, time_limit=6))
    returns = [r.episode_return for r in driver.evaluate([Episode(0, seed) for seed in seeds])]
    assert np.mean(returns) == result.best_return


@pytest.mark.parametrize("components", [0, 3])
def test_a_controller_with_the_cell_state_and_no_bias_is_evolved_kept_and_driven(new_run, components):
    logdir = new_run()
    changes = {"use_cell": True, "bias": False, "components": components, "whitening_episodes": 2}
    result = train(logdir, **changes)
    best, facts = load_controller(logdir)
    assert (best.use_cell, best.bias, facts["use_cell"], facts["bias"]) == (True, False, True, False)
    assert [tuple(p.shape) for p in best.parameters()] == [(2, LATENTS + 2 * HIDDENS)]
    assert read_jsonl(log_path(logdir, "ctrl")) == result.history
    recipe = run_recipe(logdir, time_limit=6)
    returns = [r.episode_return for r in Driver(recipe).evaluate([Episode(0, seed) for seed in (1, 2)])]
    flat = flatten_parameters(best.parameters())[None]
    given = Driver(replace(recipe, trained=False)).evaluate([Episode(0, seed) for seed in (1, 2)], flat)
    assert returns == [r.episode_return for r in given]
    whole = train(new_run("whole"), max_generations=6, **changes)
    goes_on = train(logdir, max_generations=6, **changes)
    assert timeless(goes_on.history)[4:] == timeless(whole.history)[4:]
    with pytest.raises(CheckpointError, match="use_cell=True"):
        train(logdir, max_generations=6, **(changes | {"use_cell": False}))


def test_states_with_the_cell_state_are_z_h_c_of_a_plain_loop(source):
    vae, cell = load_vae(source), load_cell(source)
    agent = Agent(vae, cell, Controller(LATENTS, HIDDENS, 2, use_cell=True), torch.tanh)
    frames = np.random.default_rng(0).integers(0, 256, (5, 64, 64, 3), dtype=np.uint8)
    actions = np.random.default_rng(1).uniform(-1, 1, (5, 2)).astype(np.float32)
    zeros = np.zeros(5, np.float32)
    states = torch.from_numpy(states_of(agent, Rollout(frames, actions, zeros, zeros)))
    z, memory = agent.encode(torch.from_numpy(frames)), cell.get_init_hidden()
    for t in range(5):
        torch.testing.assert_close(states[t], torch.cat([z[t], memory[0][0], memory[1][0]]), rtol=1e-4, atol=1e-5)
        with torch.no_grad():
            memory = cell(torch.from_numpy(actions[t : t + 1]), z[t : t + 1], memory)[-1]


def test_it_stops_at_the_target_return(new_run):
    result = train(new_run(), target_return=-1e6, max_generations=50, eval_every=3)
    assert result.generations == 3 and result.best_return >= -1e6


def test_returns_rise(new_run):
    result = train(new_run(), max_generations=15, pop_size=8, sigma=0.5, eval_every=15)
    first, last = (np.mean([r["mean"] for r in part]) for part in (result.history[:3], result.history[-3:]))
    assert last > first + 0.3


@pytest.fixture
def calls(monkeypatch):
    """The episodes of every time that controllers are driven."""
    calls, real = [], evolution_run.evaluate

    def listening(executor, episodes, *args, **kwargs):
        calls.append(list(episodes))
        return real(executor, episodes, *args, **kwargs)

    monkeypatch.setattr(evolution_run, "evaluate", listening)
    return calls


def test_where_tracks_are_not_shared_each_candidate_drives_its_own(new_run, calls):
    train(new_run(), max_generations=1, eval_every=1, common_random_numbers=False)
    evolved, check = ([(each.candidate, each.seed) for each in episodes] for episodes in calls)
    assert sorted(k for k, _ in evolved) == [0, 0, 1, 1, 2, 2, 3, 3]
    assert len({seed for _, seed in evolved}) == 8
    assert len({seed for _, seed in check}) == 2


@pytest.mark.parametrize("shared", [True, False])
def test_the_pairs_of_pgpe_drive_tracks_of_their_own(new_run, calls, shared):
    pairs = [{"sigma": 0.05, "pop_size": 6, "samples": 2, "env_steps": 200, "search": "pgpe"}]
    train(new_run(), max_env_steps=1, phases=pairs, max_generations=None, eval_every=100, common_random_numbers=shared)
    driven: dict[int, set[int]] = {}
    for episode in calls[2]:
        driven.setdefault(episode.candidate, set()).add(episode.seed)
    assert sorted(driven) == list(range(6)) and all(len(seeds) == 2 for seeds in driven.values())
    assert [driven[k] == driven[k + 3] for k in range(3)] == [True] * 3
    assert len(driven[0] | driven[1] | driven[2]) == 6


def test_candidates_of_a_generation_drive_the_same_seeds_and_re_evaluation_drives_others(new_run, calls):
    train(new_run(), max_generations=2, eval_every=1)
    seeds = []
    for episodes in calls:
        by_candidate = {}
        for episode in episodes:
            by_candidate.setdefault(episode.candidate, []).append(episode.seed)
        assert len(set(map(tuple, by_candidate.values()))) == 1
        seeds.append(set(by_candidate[0]))
    first, check, second, check_again = seeds
    assert check == check_again and not check & (first | second) and not first & second


@pytest.mark.slow
def test_equal_seeds_give_equal_runs_whatever_the_lanes_and_workers_and_other_seeds_others(new_run, monkeypatch):
    monkeypatch.setattr("world_models.executors.local.cpu_count", lambda: 2)
    one = train(new_run("one"), max_generations=2)
    lanes = train(new_run("lanes"), max_generations=2, num_lanes=3)
    processes = train(new_run("processes"), max_generations=2, max_workers=2)
    assert timeless(one.history) == timeless(lanes.history) == timeless(processes.history)
    assert timeless(train(new_run("other"), max_generations=2, seed=1).history) != timeless(one.history)


@pytest.mark.parametrize("budget", [{"max_seconds": 1e-6}, {"max_env_steps": 1}])
def test_a_run_that_any_budget_ends_has_a_best_controller(new_run, budget):
    logdir = new_run()
    result = train(logdir, max_generations=None, eval_every=99, **budget)
    assert result.generations == 1 and result.best.is_file() and np.isfinite(result.best_return)


def test_episodes_grow_longer_up_to_the_time_limit_once_most_candidates_last(new_run):
    result = train(new_run(), initial_horizon=2, horizon_growth=1.5, max_generations=5)
    horizons = [record["horizon"] for record in result.history]
    assert horizons[0] == 2 and horizons == sorted(horizons) and horizons[-1] == 6


def test_candidates_get_more_episodes_while_their_order_is_chance(new_run):
    logdir = new_run()
    result = train(logdir, max_samples=5, target_f_statistic=1e9)
    samples = [record["samples"] for record in result.history]
    assert samples == sorted(samples) and samples[0] == 2 and 2 < samples[-1] <= 5
    assert result.episodes == 4 * sum(samples) + (2 + 3) * 2
    steady = train(new_run("steady"), max_samples=5, target_f_statistic=0.0)
    assert {record["samples"] for record in steady.history} == {2}


@pytest.mark.parametrize("hidden", [True, False])
def test_a_whitened_search_finds_a_plain_linear_controller(new_run, hidden):
    logdir = new_run()
    train(logdir, components=3, whitening_episodes=2, use_hidden=hidden, max_generations=2)
    best, _ = load_controller(logdir)
    assert best.hidden_size == (HIDDENS if hidden else 0) and isinstance(best.fc, torch.nn.Linear)
    assert flatten_parameters(best.parameters()).any()
    assert load_checkpoint(logdir / "ctrl" / "checkpoint.tar")["space"]["components"].shape[0] == 3


def test_the_states_that_are_whitened_are_those_that_the_agent_is_in_while_it_drives(source):
    driver = Driver(Recipe(STEER, logdir=str(source)))
    agent = driver.agent
    frames = np.random.default_rng(0).integers(0, 256, (5, 64, 64, 3), dtype=np.uint8)
    state, expected, actions = agent.start(1), [], []
    for frame in torch.from_numpy(frames)[:, None]:
        expected.append(torch.cat([agent.encode(frame), state.h], -1)[0].numpy())
        action, state = agent.act(frame, state)
        actions.append(action[0].numpy())
    zeros = np.zeros(5, np.float32)
    states = states_of(agent, Rollout(frames, np.stack(actions), zeros, zeros))
    np.testing.assert_allclose(states, np.stack(expected), rtol=1e-2, atol=1e-2)
    noise = states_of_noise(Recipe(STEER, logdir=str(source), time_limit=6), [3, 4], use_hidden=False)
    assert noise.shape[1] == LATENTS and 8 <= len(noise) <= 12


def test_a_rendered_gymnasium_environment_with_discrete_actions_is_trained_on(new_run):
    result = train(new_run(), env_name="CartPole-v1", time_limit=4, n_samples=1, max_generations=1)
    assert result.best_return == 4.0  # a reward a step: no pole falls in four
