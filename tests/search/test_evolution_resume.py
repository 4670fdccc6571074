"""Stage C taken up where it was stopped, and what is not gone on with."""

import pytest
import torch

from tests.search.evolutions import CLIMBING, FRESH, PAIRS, PHASES, short_generations, timeless, train
from world_models.errors import CheckpointError
from world_models.models.load import load_controller
from world_models.search import run as evolution_run
from world_models.utils.run_dir import load_checkpoint, log_path, read_jsonl


@pytest.mark.parametrize(
    ("stop_at_call", "changes"),
    [
        (1, {}),
        (3, {}),  # in a re-evaluation, after its generation was told
        (5, {}),
        (3, {"components": 3, "whitening_episodes": 3}),
        (4, {"hidden_layers": [3], "initial_horizon": 2}),
        (4, {"max_samples": 5, "target_f_statistic": 1e9}),
        (6, {"max_env_steps": 60, "phases": PHASES, "max_generations": None, "selection_episodes": 3}),
        (7, {"replay_fraction": 0.5, "max_generations": 8, "eval_every": 20}),
        (3, {"max_env_steps": 60, "phases": PHASES, "max_generations": None}),
        (5, {"max_env_steps": 60, "phases": PHASES, "max_generations": None}),
        (5, {"max_env_steps": 60, "phases": FRESH, "max_generations": None, "components": 3, "whitening_episodes": 3}),
        (5, {"max_env_steps": 60, "phases": PAIRS, "max_generations": None, "components": 3, "whitening_episodes": 3}),
        *((stop, CLIMBING) for stop in (3, 4, 5)),
    ],
)
def test_a_run_that_ctrl_c_stopped_goes_on_as_if_it_had_not_been(new_run, monkeypatch, changes, stop_at_call):
    short_generations(monkeypatch)
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


def test_the_gradient_goes_on_exactly_where_it_was_stopped_between_two_updates(new_run, monkeypatch):
    short_generations(monkeypatch)
    straight = train(new_run("straight"), **CLIMBING)
    logdir, real, calls = new_run("stopped"), evolution_run.experience, []

    def interrupted(*args, **kwargs):
        calls.append(0)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(evolution_run, "experience", interrupted)
        train(logdir, **CLIMBING)
    assert read_jsonl(log_path(logdir, "ctrl"))[-1]["generation"] < straight.history[-1]["generation"]
    assert timeless(train(logdir, **CLIMBING).history) == timeless(straight.history)


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


@pytest.mark.parametrize(("changes"), [{"pop_size": 6}, {"sigma": 0.7}])
def test_a_run_cannot_go_on_with_another_search_and_its_checkpoint_stays(new_run, changes):
    logdir = new_run()
    train(logdir, max_generations=1)
    before = (logdir / "ctrl" / "checkpoint.tar").read_bytes()
    with pytest.raises(CheckpointError, match="start anew with noreload"):
        train(logdir, **changes)
    assert (logdir / "ctrl" / "checkpoint.tar").read_bytes() == before
