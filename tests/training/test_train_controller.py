"""Stage C on small environments: targets, budgets, exact resume, what cannot be trained."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.small_envs import STEER
from tests.small_runs import HIDDENS, LATENTS, copy_of_run, save_run
from world_models.configs.wm_config import WMControllerConfig
from world_models.errors import CheckpointError, ConfigError, EnvironmentNameError
from world_models.models.agent import Agent
from world_models.models.controller import Controller, flatten_parameters
from world_models.models.load import load_cell, load_controller, load_vae
from world_models.rollout.driver import Driver, Recipe
from world_models.training import evolution_run
from world_models.training.controller_settings import ControllerSettings
from world_models.training.evaluation import run_recipe
from world_models.training.train_controller import ControllerResult, train_controller
from world_models.training.whitening import states_of, states_of_noise
from world_models.types import Episode, Rollout
from world_models.utils.run_dir import load_checkpoint, log_path, read_jsonl


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return save_run(tmp_path_factory.mktemp("run"))


@pytest.fixture
def new_run(source, tmp_path):
    """Makes run folders with the same V and M."""
    return lambda name="run": copy_of_run(source, tmp_path / name)


# Steps of a generation: 4 candidates of 2 episodes of 6 at first, then 5 of 3, then 3 of 4.
PHASES = [
    {"sigma": 0.05, "pop_size": 5, "samples": 3, "env_steps": 150},
    {"sigma": 0.02, "pop_size": 3, "samples": 4, "env_steps": 300},
]
FRESH = [{**PHASES[0], "refresh": True, "mean_rate": 0.3, "replayed": 0.5}, PHASES[1]]


def config(logdir: Path, **changes) -> WMControllerConfig:
    settings = {
        "logdir": str(logdir),
        "env_name": STEER,
        "latent_size": LATENTS,
        "hidden_size": HIDDENS,
        "action_size": 2,
        "n_samples": 2,
        "pop_size": 4,
        "target_return": 1e9,
        "max_workers": 1,
        "display": False,
        "time_limit": 6,
        "max_generations": 4,
        "eval_every": 2,
        "eval_episodes": 2,
    }
    return WMControllerConfig({**settings, **changes})


def train(logdir: Path, **changes) -> ControllerResult:
    return train_controller(config(logdir, **changes))


def timeless(history: list[dict]) -> list[dict]:
    return [{key: value for key, value in record.items() if key != "seconds"} for record in history]


def test_it_runs_until_a_budget_and_leaves_best_checkpoint_and_log(new_run):
    logdir = new_run()
    result = train(logdir)
    assert result.generations == len(result.history) == 4
    assert [record["generation"] for record in result.history] == [1, 2, 3, 4]
    assert ["eval_mean" in record for record in result.history] == [False, True, False, True]
    # 4 candidates of 2 episodes in each generation, 3 controllers of 2 episodes in each re-evaluation
    assert result.episodes == 4 * 4 * 2 + 2 * 3 * 2
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


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"use_cell": True, "use_hidden": False}, "set use_hidden=True"),
        ({"bias": False, "first_bias": [0.0, 0.0]}, "no bias to begin with"),
    ],
)
def test_settings_that_contradict_each_other_are_named(new_run, changes, message):
    with pytest.raises(ConfigError, match=message):
        train(new_run(), **changes)


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


def test_each_phase_begins_at_the_best_point_with_its_own_steps_candidates_and_episodes(new_run, monkeypatch):
    begun = []
    real = evolution_run.EvolutionRun._begin_phase

    def listening(run, number, start, generations=0):
        real(run, number, start, generations)
        best = run.best_point if number else start
        begun.append((number, run.search.sigma, run.search.pop_size, run.samples.now, np.array_equal(start, best)))

    monkeypatch.setattr(evolution_run.EvolutionRun, "_begin_phase", listening)
    result = train(new_run(), max_env_steps=60, phases=PHASES, max_generations=None)
    assert begun == [(0, 0.1, 4, 2, True), (1, 0.05, 5, 3, True), (2, 0.02, 3, 4, True)]
    assert [record["generation"] for record in result.history] == list(range(1, len(result.history) + 1))
    assert sorted({record["samples"] for record in result.history}) == [2, 3, 4]
    assert result.env_steps >= 60 + 150 + 300
    ends = [
        i
        for i, (a, b) in enumerate(zip(result.history, result.history[1:], strict=False))
        if a["samples"] < b["samples"]
    ]
    assert all("eval_mean" in result.history[i] for i in [*ends, -1]), "a phase ends with a re-evaluation"


@pytest.mark.parametrize(
    ("phases", "said"),
    [
        ([{"sigma": 0.1}], "sigma, pop_size, samples, env_steps"),
        ([{**PHASES[0], "pop_size": 1}], "pop_size=1"),
        ([{**PHASES[0], "sigma": 0}], "sigma=0"),
        ([{**PHASES[0], "samples": 1.5}], "samples=1.5"),
        ([{**PHASES[0], "mean_rate": 1.5}], r"mean_rate=1\.5.*at most 1"),
        ([{**PHASES[0], "replayed": -0.5}], r"replayed=-0\.5"),
        ([{**PHASES[0], "refresh": 1}], "refresh=1"),
        ([{**PHASES[0], "refresh": True}], "needs components"),
        ("all", "'all'"),
    ],
)
def test_phases_that_cannot_be_are_named(new_run, phases, said):
    with pytest.raises(ConfigError, match=said):
        train(new_run(), max_env_steps=60, phases=phases)


def test_phases_need_a_budget_before_them(new_run):
    with pytest.raises(ConfigError, match="max_env_steps"):
        train(new_run(), phases=PHASES)


def test_a_checkpoint_of_a_later_phase_is_not_resumed_without_it(new_run):
    logdir = new_run()
    train(logdir, max_env_steps=60, phases=PHASES, max_generations=None)
    with pytest.raises(CheckpointError, match="phase 3 of its evolution"):
        train(logdir, max_env_steps=60, phases=PHASES[:1], max_generations=None)


def test_a_phase_in_a_new_space_begins_at_the_same_controller_and_counts_its_drives(new_run):
    logdir = new_run()
    space = {"components": 3, "whitening_episodes": 3, "eval_every": 100}
    before = train(logdir, max_env_steps=60, max_generations=None, **space)
    old = load_checkpoint(logdir / "ctrl" / "checkpoint.tar")
    best = load_checkpoint(logdir / "ctrl" / "best.tar")["state_dict"]
    fresh = [{**PHASES[0], "refresh": True, "mean_rate": 0.5, "env_steps": 20}]
    other = new_run("other")
    result = train(other, max_env_steps=60, max_generations=None, phases=fresh, **space)
    new = load_checkpoint(other / "ctrl" / "checkpoint.tar")
    assert not np.array_equal(new["space"]["components"], old["space"]["components"])
    controller = Controller(LATENTS, HIDDENS, 2)
    controller.load_state_dict(best)
    np.testing.assert_allclose(new["space"]["offset"], flatten_parameters(controller.parameters()), rtol=1e-6)
    count = len(before.history)
    assert result.history[count - 1]["episodes"] == before.episodes + 3, "the episodes of the new space"
    assert before.env_steps < result.history[count - 1]["env_steps"] <= before.env_steps + 3 * 6


def test_at_the_end_of_each_phase_the_best_is_chosen_on_more_tracks(new_run, monkeypatch):
    calls = []
    real = evolution_run.EvolutionRun._returns_of

    def listening(run, points, purpose, count, *parts):
        returns = real(run, points, purpose, count, *parts)
        calls.append((purpose, count, parts, points, returns.mean(1)))
        return returns

    monkeypatch.setattr(evolution_run.EvolutionRun, "_returns_of", listening)
    logdir = new_run()
    result = train(
        logdir,
        max_env_steps=60,
        phases=[{**PHASES[0], "env_steps": 600}],
        max_generations=None,
        choice_episodes=5,
        eval_every=1,
    )
    choices = [call for call in calls if call[0] == "choice"]
    assert [(count, parts, len(points)) for _, count, parts, points, _ in choices] == [(5, (0,), 4), (5, (1,), 4)]
    before = max((call[4].max(), i) for i, call in enumerate(calls[: calls.index(choices[0])]))
    best = calls[before[1]]
    np.testing.assert_array_equal(choices[0][3][3], best[3][best[4].argmax()], "the best so far is among them")
    assert result.best_return == choices[1][4].max(), "what re-evaluations had said no longer counts"
    assert load_checkpoint(logdir / "ctrl" / "best.tar")["return_mean"] == result.best_return
    assert result.history[-1]["eval_best"] == choices[1][4][3]


def test_a_mean_rate_that_cannot_be_is_named(new_run):
    with pytest.raises(ConfigError, match=r"mean_rate is 0"):
        train(new_run(), mean_rate=0)


def test_candidates_of_a_generation_drive_the_same_seeds_and_re_evaluation_drives_others(new_run, monkeypatch):
    calls = []
    real = evolution_run.evaluate

    def listening(executor, episodes, *args, **kwargs):
        calls.append(list(episodes))
        return real(executor, episodes, *args, **kwargs)

    monkeypatch.setattr(evolution_run, "evaluate", listening)
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


@pytest.mark.parametrize(
    ("stop_at_call", "changes"),
    [
        (1, {}),
        (3, {}),  # in a re-evaluation, after its generation was told
        (5, {}),
        (3, {"components": 3, "whitening_episodes": 3}),
        (4, {"hidden_layers": [3], "first_horizon": 2}),
        (4, {"max_samples": 5, "wanted_f": 1e9}),
        (6, {"max_env_steps": 60, "phases": PHASES, "max_generations": None, "choice_episodes": 3}),
        (7, {"replayed": 0.5, "max_generations": 8, "eval_every": 20}),
        (3, {"max_env_steps": 60, "phases": PHASES, "max_generations": None}),
        (5, {"max_env_steps": 60, "phases": PHASES, "max_generations": None}),
        (5, {"max_env_steps": 60, "phases": FRESH, "max_generations": None, "components": 3, "whitening_episodes": 3}),
    ],
)
def test_a_run_that_ctrl_c_stopped_goes_on_as_if_it_had_not_been(new_run, monkeypatch, changes, stop_at_call):
    straight = train(new_run("straight"), **changes)
    real, calls = evolution_run.evaluate, []

    def interrupted(*args, **kwargs):
        calls.append(0)
        if len(calls) == stop_at_call:
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    logdir = new_run("stopped")
    monkeypatch.setattr(evolution_run, "evaluate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(logdir, **changes)
    result = train(logdir, **changes)
    assert timeless(result.history) == timeless(straight.history)
    assert timeless(read_jsonl(log_path(logdir, "ctrl"))) == timeless(straight.history)
    assert (result.best_return, result.episodes, result.env_steps) == (
        straight.best_return,
        straight.episodes,
        straight.env_steps,
    )
    best, expected = (load_checkpoint(r.best)["state_dict"] for r in (result, straight))
    assert all(torch.equal(best[name], expected[name]) for name in expected)


def test_a_finished_run_returns_at_once_and_a_larger_budget_goes_on_from_it(new_run, monkeypatch):
    logdir = new_run()
    first = train(logdir, max_generations=2)
    with monkeypatch.context() as patched:
        patched.setattr(evolution_run, "evaluate", None)  # nothing is driven
        assert train(logdir, max_generations=2) == first
    assert timeless(train(logdir, max_generations=4).history) == timeless(train(new_run("straight")).history)


def test_a_search_of_another_environment_is_not_gone_on_with(new_run):
    logdir = new_run()
    train(logdir, max_generations=1)
    with pytest.raises(CheckpointError, match=r"checkpoint\.tar was evolved on tests.*Steer-v0, and env_name is Lunar"):
        train(logdir, env_name="LunarLander-v3", max_generations=2)


def test_noreload_starts_anew_and_the_log_with_it(new_run):
    logdir = new_run()
    train(logdir, seed=5)
    again = train(logdir, max_generations=1, noreload=True)
    assert again.generations == 1 and read_jsonl(log_path(logdir, "ctrl")) == again.history
    assert load_controller(logdir)[1]["generation"] == 1


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
    result = train(new_run(), first_horizon=2, horizon_growth=1.5, max_generations=5)
    horizons = [record["horizon"] for record in result.history]
    assert horizons[0] == 2 and horizons == sorted(horizons) and horizons[-1] == 6


def test_candidates_get_more_episodes_while_their_order_is_chance(new_run):
    logdir = new_run()
    result = train(logdir, max_samples=5, wanted_f=1e9)
    samples = [record["samples"] for record in result.history]
    assert samples == sorted(samples) and samples[0] == 2 and 2 < samples[-1] <= 5
    assert result.episodes == 4 * sum(samples) + 2 * 3 * 2
    steady = train(new_run("steady"), max_samples=5, wanted_f=0.0)
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


@pytest.mark.parametrize("missing", ["vae", "mdrnn"])
def test_without_v_or_m_there_is_an_error_that_says_how_to_train_it_and_nothing_is_written(new_run, missing):
    logdir = new_run()
    (logdir / missing).unlink()
    before = sorted(logdir.iterdir())
    with pytest.raises(CheckpointError, match=rf"{missing}.best\.tar does not exist: .*--stage"):
        train(logdir)
    assert sorted(logdir.iterdir()) == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"latent_size": 5}, r"latent_size=5 .* have 4"),
        ({"action_size": 3}, r"action_size=3 .* have 2"),
        ({"env_name": "Pendulum-v1"}, r"2 actions, Pendulum-v1 has 1"),
    ],
)
def test_sizes_that_do_not_fit_are_an_error_that_names_both_and_nothing_is_written(new_run, changes, message):
    logdir = new_run()
    with pytest.raises(CheckpointError, match=message):
        train(logdir, **changes)
    assert not (logdir / "ctrl").exists()


def test_another_hidden_size_is_replaced_by_ms_with_a_warning_that_names_both(new_run, caplog):
    result = train(new_run(), hidden_size=200, max_generations=1)
    assert "hidden_size=200" in caplog.text and f"has {HIDDENS}" in caplog.text
    assert load_checkpoint(result.best)["hidden_size"] == HIDDENS


def test_an_unknown_environment_is_an_error_and_nothing_is_written(new_run):
    logdir = new_run()
    with pytest.raises(EnvironmentNameError, match="Steer-v99"):
        train(logdir, env_name="Steer-v99")
    assert not (logdir / "ctrl").exists()


@pytest.mark.parametrize(("changes"), [{"pop_size": 6}, {"sigma": 0.7}])
def test_a_run_cannot_go_on_with_another_search_and_its_checkpoint_stays(new_run, changes):
    logdir = new_run()
    train(logdir, max_generations=1)
    before = (logdir / "ctrl" / "checkpoint.tar").read_bytes()
    with pytest.raises(CheckpointError, match="start anew with noreload"):
        train(logdir, **changes)
    assert (logdir / "ctrl" / "checkpoint.tar").read_bytes() == before


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"eval_every": 0}, "eval_every is 0"),
        ({"num_lanes": "many"}, "num_lanes is 'many'"),
        ({"backend": "mujoco"}, "backend is 'mujoco'"),
        ({"sigma": -1.0}, "sigma is -1.0"),
        ({"max_generations": 0}, "max_generations is 0"),
        ({"hidden_layers": [0]}, r"hidden_layers is \[0\]"),
        ({"components": 3, "hidden_layers": [4]}, "components=3 needs a linear controller"),
        ({"components": 99, "whitening_episodes": 3}, "components=99 .* have only 10"),
    ],
)
def test_a_setting_that_cannot_work_is_an_error_with_its_name_and_value(new_run, changes, field):
    logdir = new_run()
    with pytest.raises(ConfigError, match=field):
        train(logdir, **changes)
    assert not (logdir / "ctrl").exists()


def test_settings_have_their_defaults_and_the_first_step_depends_on_the_space():
    assert ControllerSettings.from_config(WMControllerConfig()) == ControllerSettings()
    assert ControllerSettings().first_sigma == 0.1
    assert ControllerSettings(components=4).first_sigma == 0.2
    assert ControllerSettings(sigma=0.5, components=4).first_sigma == 0.5
