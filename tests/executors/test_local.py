"""The same shard inline and in processes; workers that die or fail."""

import os
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.small_envs import STEER, FailingJob, KillingJob
from tests.small_runs import HIDDENS, LATENTS, save_run
from world_models.errors import CheckpointError, WorkerError
from world_models.executors import local
from world_models.executors.base import Job, evaluate, shards
from world_models.executors.local import InlineExecutor, ProcessExecutor, make_executor
from world_models.models.controller import Controller, flatten_parameters
from world_models.rollout.driver import Recipe
from world_models.rollout.recipe import dream_recipe
from world_models.types import Episode
from world_models.utils.threads import cpu_count

NOISE = Recipe(STEER, policy="uniform", num_lanes=2, time_limit=6)


def job(seeds: range = range(3)) -> Job:
    return Job("evaluate", {"episodes": [Episode(0, seed) for seed in seeds]})


@pytest.fixture(scope="module")
def lasting_crew():
    """A crew of one worker for the tests after which it is whole again."""
    executor = ProcessExecutor(NOISE, 1)
    yield executor
    executor.close()


@pytest.fixture
def crew():
    """A crew of one worker, which jobs of noise suffice for."""
    executor = ProcessExecutor(NOISE, 1)
    yield executor
    executor.close()


@given(n=st.integers(0, 200), workers=st.integers(1, 9), size=st.integers(1, 70))
def test_shards_hold_every_item_once_in_order_evenly_and_employ_every_worker(n, workers, size):
    parts = shards(range(n), workers, size)
    assert [item for part in parts for item in part] == list(range(n))
    lengths = [len(part) for part in parts]
    assert all(0 < length <= size for length in lengths) or n == 0
    assert len(parts) >= min(workers, n) or n <= 1
    assert not lengths or max(lengths) - min(lengths) <= 1


@pytest.mark.slow
def test_returns_are_identical_inline_and_in_processes_and_come_in_the_order_asked(tmp_path):
    save_run(tmp_path)
    torch.manual_seed(0)
    candidates = np.stack([flatten_parameters(Controller(LATENTS, HIDDENS, 2).parameters()) for _ in range(3)])
    episodes = [Episode(candidate, seed) for seed in (5, 3) for candidate in (2, 0, 1)]
    recipe = Recipe(STEER, logdir=str(tmp_path), num_lanes=4, time_limit=6)
    answers = []
    for executor in (InlineExecutor(recipe), ProcessExecutor(recipe, 2)):
        told = []
        answers.append(
            evaluate(executor, episodes, candidates, time_limit=6, shard_size=2, progressed=told.extend),
        )
        executor.close()
        assert sorted(told) == sorted(answers[-1])
    assert answers[0] == answers[1]
    assert [result.episode for result in answers[0]] == episodes


def test_a_worker_that_is_killed_is_replaced_and_its_job_done_once_more(lasting_crew, tmp_path):
    notes = tmp_path / "begun"
    killing = KillingJob("evaluate", job().arguments, notes=str(notes), kills=1)
    told = []
    with_it = lasting_crew.run([job(), killing, job(range(5, 7))], told.append)
    inline = InlineExecutor(NOISE)
    assert with_it == inline.run([job(), job(), job(range(5, 7))])
    assert len(told) == 3
    begun = notes.read_text().split()
    assert len(begun) == 2 and begun[0] != begun[1] and str(os.getpid()) not in begun
    assert lasting_crew.run([job()]) == inline.run([job()])  # the new worker stays


def test_a_job_that_kills_two_workers_is_an_error_that_says_the_mend(crew, tmp_path):
    killing = KillingJob("evaluate", job().arguments, notes=str(tmp_path / "begun"), kills=9)
    with pytest.raises(WorkerError, match=r"died at job 0 .*exit code -9.*fewer workers"):
        crew.run([killing])
    assert len((tmp_path / "begun").read_text().split()) == 2


def test_a_worker_that_dies_between_two_calls_is_replaced(lasting_crew):
    first = lasting_crew.run([job()])
    victim = lasting_crew._crew[0].process
    os.kill(victim.pid, 9)
    victim.join(timeout=10)
    assert lasting_crew.run([job()]) == first


def test_an_exception_in_a_worker_brings_its_traceback_home(crew):
    with pytest.raises(WorkerError) as error:
        crew.run([job(), FailingJob("evaluate")])
    text = str(error.value)
    assert "Traceback" in text and "ZeroDivisionError: the bolt is loose" in text and "small_envs.py" in text


def test_what_the_user_can_mend_comes_home_as_it_is(tmp_path):
    executor = ProcessExecutor(Recipe(STEER, logdir=str(tmp_path)), 1)
    with pytest.raises(CheckpointError, match=r"vae.best\.tar does not exist"):
        executor.run([job()])


def test_ctrl_c_in_the_master_stops_the_workers(crew):
    processes = [worker.process for worker in crew._crew]

    def interrupt(results: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        crew.run([job(), job()], interrupt)
    assert not any(process.is_alive() for process in processes)


def test_closing_ends_every_worker_and_can_be_done_twice():
    executor = ProcessExecutor(NOISE, 2)
    processes = [worker.process for worker in executor._crew]
    executor.close()
    executor.close()
    assert not any(process.is_alive() for process in processes)


def test_a_process_a_core_but_not_more_than_allowed_and_one_runs_inline(monkeypatch):
    monkeypatch.setattr(local, "cpu_count", lambda: 2)
    alone = make_executor(NOISE, 1)
    assert isinstance(alone, InlineExecutor) and alone.workers == 1
    many = make_executor(NOISE, 32)
    assert isinstance(many, ProcessExecutor) and many.workers == 2
    many.close()


@pytest.mark.parametrize(("device", "workers"), [("cpu", 2), ("cuda", 1), ("cuda:1", 1)])
def test_a_gpu_dreams_for_one_process(monkeypatch, device, workers):
    monkeypatch.setattr(local, "cpu_count", lambda: 2)
    monkeypatch.setattr(
        "world_models.executors.local.Driver", lambda recipe: recipe
    )  # no GPU is needed to see who would dream
    monkeypatch.setattr(local, "ProcessExecutor", lambda recipe, workers: SimpleNamespace(workers=workers))
    assert make_executor(dream_recipe(STEER, "run", device=device), 32).workers == workers


def test_every_driver_gets_one_thread_and_the_lanes_asked_for():
    executor = make_executor(Recipe(STEER, policy="uniform", num_lanes=8, threads=4), 1)
    assert isinstance(executor, InlineExecutor)
    assert (executor.driver.recipe.threads, executor.driver.recipe.num_lanes) == (1, 8)


def test_there_is_a_core():
    assert cpu_count() >= 1
