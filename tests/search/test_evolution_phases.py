"""Phases of stage C: where each begins, and by which tracks its best is chosen."""

import numpy as np
import pytest

from tests.search.evolutions import CLIMBING, CLIMBS, PHASES, short_generations, train
from tests.small_runs import HIDDENS, LATENTS
from world_models.errors import CheckpointError, ConfigError
from world_models.models.controller import Controller, flatten_parameters
from world_models.search import run as evolution_run
from world_models.search.gradient_phase import GradientSearch
from world_models.search.state import EvolutionState
from world_models.utils.run_dir import load_checkpoint


def test_each_phase_begins_at_the_best_point_with_its_own_steps_candidates_and_episodes(new_run, monkeypatch):
    begun = []
    real = EvolutionState.begin_phase

    def listening(state, number, start, generations=0):
        real(state, number, start, generations)
        best, search = state.best_point if number else start, state.search
        begun.append((number, search.sigma, search.pop_size, state.samples.now, np.array_equal(start, best)))

    monkeypatch.setattr(EvolutionState, "begin_phase", listening)
    result = train(new_run(), max_env_steps=60, phases=PHASES, max_generations=None)
    assert begun == [(0, 0.1, 4, 2, True), (1, 0.05, 5, 3, True), (2, 0.02, 3, 4, True)]
    assert [record["generation"] for record in result.history] == list(range(1, len(result.history) + 1))
    assert result.generations == len(result.history)
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
        ([{"sigma": 0.1}], r"phases.0..pop_size is missing.*samples is missing.*env_steps is missing"),
        ([{**PHASES[0], "pop_size": 1}], r"phases.0..pop_size is 1, .* at least 2"),
        ([{**PHASES[0], "sigma": 0}], "sigma is 0"),
        ([{**PHASES[0], "samples": 1.5}], "samples is 1.5"),
        ([{**PHASES[0], "mean_learning_rate": 1.5}], r"mean_learning_rate is 1\.5.*at most 1"),
        ([{**PHASES[0], "replay_fraction": -0.5}], r"replay_fraction is -0\.5"),
        ([{**PHASES[0], "components": -1}], "components is -1"),
        ([{**PHASES[0], "components": 4}], "the first phase has none"),
        ([{**PHASES[0], "search": "newton"}], "search is 'newton'.*cma-es, pgpe, gradient"),
        ([{**PHASES[0], "search": "gradient", "components": 4}], "search gradient has a space of its own"),
        ([{**PHASES[0], "search": "gradient"}], "evolved in components first"),
        (
            [{**PHASES[0], "early_termination_penalty": 9.0}],
            "early_termination_penalty, delayed_actions, mirrored, from_scratch are of search gradient",
        ),
        (
            [{**PHASES[0], "from_scratch": True}],
            "early_termination_penalty, delayed_actions, mirrored, from_scratch are of search gradient",
        ),
        ([{**PHASES[0], "search": "gradient", "from_scratch": 1}], "from_scratch is 1, and must be true or false"),
        ([{**PHASES[0], "search": "gradient", "early_termination_penalty": -1}], "early_termination_penalty is -1"),
        ([{**PHASES[0], "search": "gradient", "delayed_actions": 1}], "delayed_actions is 1, and must be a list"),
        ([{**PHASES[0], "search": "gradient", "delayed_actions": [2]}], "evolved in components first"),
        ([{**PHASES[0], "gradient_steps": 9}], "gradient_steps needs a new space"),
        ([{**PHASES[0], "search": "pgpe"}], "even pop_size"),
        ([{**PHASES[0], "search": "pgpe", "pop_size": 4, "replay_fraction": 0.5}], "no replay_fraction"),
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
    best = load_checkpoint(logdir / "ctrl" / "best.tar")["state_dict"]
    fresh = [{**PHASES[0], "components": 4, "mean_learning_rate": 0.5, "env_steps": 20}]
    other = new_run("other")
    result = train(other, max_env_steps=60, max_generations=None, phases=fresh, **space)
    new = load_checkpoint(other / "ctrl" / "checkpoint.tar")
    assert new["space"]["components"].shape[0] == 4
    assert new["space"]["further"].shape[0] == 2 * 2, "a gain and a bias for each action"
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
        selection_episodes=5,
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


def test_up_the_gradient_c_earns_more_on_tracks_that_it_has_not_driven(new_run, monkeypatch):
    """A return is that of the place that the actions lead to, so that steering at random costs."""
    short_generations(monkeypatch)
    phase = {"sigma": 0.3, "pop_size": 16, "samples": 1, "env_steps": 16_000, "search": "gradient"}
    settings = {"max_env_steps": 60, "components": 3, "whitening_episodes": 3, "max_generations": None, "sigma": 1.0}
    result = train(new_run(), **settings, phases=[phase], eval_every=50, eval_episodes=40)
    first = next(i for i, record in enumerate(result.history) if "eval_mean" in record)
    assert result.history[-1]["eval_mean"] > result.history[first]["eval_mean"] + 2.0
    climbing = result.history[first + 1 :]
    assert climbing[0]["sigma"] > 0.28 and climbing[-1]["sigma"] == pytest.approx(0.1)
    steps = [record["env_steps"] for record in climbing]
    assert np.diff(steps)[1:-1].min() >= 16 * 5 * 3 and climbing[-1]["mean"] > climbing[0]["mean"]


def test_each_phase_up_the_gradient_goes_from_its_beginning_to_its_end(new_run, monkeypatch):
    """What the first generation spent beyond its budget, and what whitening drove, is no share of it."""
    short_generations(monkeypatch)
    shares: dict[float, list[float]] = {}
    learn = GradientSearch.learn

    def noted(search, lived, done):
        shares.setdefault(search._phase.sigma, []).append(done)
        learn(search, lived, done)

    monkeypatch.setattr(GradientSearch, "learn", noted)
    phases = [{**CLIMBS[0], "env_steps": 900}, {**CLIMBS[1], "env_steps": 500}]
    train(new_run(), **{**CLIMBING, "phases": phases})
    assert list(shares) == [0.3, 0.2]
    for share in shares.values():
        assert share[0] == 0 and share[-1] > 0.8 and share == sorted(share)


def test_a_phase_anew_begins_where_the_run_did_and_the_best_of_all_is_kept(new_run, monkeypatch):
    short_generations(monkeypatch)
    begun = []
    begin_phase = EvolutionState.begin_phase

    def noted(state, number, start, generations=0):
        begun.append(state.space.to_parameters(np.zeros(state.space.size)) if number else state.origin)
        begin_phase(state, number, start, generations)

    monkeypatch.setattr(EvolutionState, "begin_phase", noted)
    phases = [CLIMBS[0], {**CLIMBS[0], "from_scratch": True}, CLIMBS[1]]
    logdir = new_run()
    settings = {**CLIMBING, "initial_bias": (-0.5, 0.25), "phases": phases, "selection_episodes": 5}
    result = train(logdir, **settings)
    np.testing.assert_allclose(begun[0][-2:], [-0.5, 0.25])
    assert np.abs(begun[1] - begun[0]).max() > 1e-3, "the second begins at the best of the first"
    np.testing.assert_allclose(begun[2], begun[0], atol=1e-9)
    chosen = [record for record in result.history if "eval_best" in record]
    best = max(chosen[2]["eval_best"], chosen[2]["eval_mean"], chosen[2]["eval_leader"], chosen[2]["eval_average"])
    assert chosen[2]["best_so_far"] == pytest.approx(best), "what came before it is among the choice"
    assert np.abs(begun[3] - begun[2]).max() > 1e-3


def test_nobody_asks_what_the_first_phase_has_come_to_where_the_next_begins_anew(new_run, monkeypatch):
    short_generations(monkeypatch)
    logdir = new_run()
    result = train(logdir, **{**CLIMBING, "phases": [{**CLIMBS[0], "from_scratch": True}], "selection_episodes": 3})
    asked = ["eval_mean" in record for record in result.history]
    assert not asked[0] and asked[-1]
    assert load_checkpoint(logdir / "ctrl" / "best.tar")["return_mean"] == result.best_return


def test_a_phase_in_the_mirror_needs_an_environment_that_has_one(new_run):
    with pytest.raises(ConfigError, match=r"mirrored=True, but .* is not known to be alike left and right"):
        train(new_run(), **{**CLIMBING, "phases": [{**CLIMBS[0], "mirrored": True}]})


def test_an_action_that_is_not_there_cannot_be_late(new_run):
    phase = {**PHASES[0], "search": "gradient", "delayed_actions": [0, 2]}
    with pytest.raises(ConfigError, match=r"delayed_actions=\[0, 2\]: C has 2 actions, 0 to 1"):
        train(new_run(), **{**CLIMBING, "phases": [phase]})


def test_an_mlp_and_sampled_latents_cannot_go_up_the_gradient(new_run):
    settings = {"max_env_steps": 60, "components": 3, "phases": CLIMBS[:1]}
    with pytest.raises(ConfigError, match="leave out sample_latents"):
        train(new_run(), **settings, sample_latents=True)
    with pytest.raises(ConfigError, match="needs a linear C"):
        train(new_run("mlp"), **{**settings, "components": 0, "hidden_layers": [3]})


def test_who_drives_where_does_not_change_the_gradient(new_run, monkeypatch):
    short_generations(monkeypatch)
    settings = {"max_env_steps": 60, "components": 3, "whitening_episodes": 3, "max_generations": None}
    few, many = (train(new_run(str(lanes)), **settings, phases=CLIMBS[:1], num_lanes=lanes) for lanes in (1, 9))
    assert [record["mean"] for record in few.history] == [record["mean"] for record in many.history]
