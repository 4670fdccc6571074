"""The documented workers of stage C: an episode's total reward, and parameters in, returns out, over real queues."""

import multiprocessing
import queue

import numpy as np
import pytest
import torch

from tests.small_envs import STEER
from tests.small_runs import save_run
from world_models.errors import CheckpointError, ConfigError, WorkerError, WorldModelsError
from world_models.models.controller import Controller, flatten_parameters, load_parameters
from world_models.models.load import load_cell
from world_models.rollout.driver import Driver, Recipe
from world_models.training import queue_workers, train_controller
from world_models.types import Episode


@pytest.fixture
def run(source):
    """The arguments of the documented call after the parameters, of a run on the steering environment."""
    return str(source), STEER, 2, 6, "cpu"


@pytest.fixture
def parameters(source):
    """C's, flat, and others."""
    cell = load_cell(source)
    torch.manual_seed(5)
    return [flatten_parameters(Controller(cell.latents, cell.hiddens, 2).parameters()) for _ in range(3)]


def expected(source, candidates, seeds):
    driver = Driver(Recipe(STEER, logdir=str(source), time_limit=6))
    episodes = [Episode(row, seed) for row, seed in enumerate(seeds)]
    return [result.episode_return for result in driver.evaluate(episodes, np.stack(candidates))]


def test_a_rollout_gives_the_total_reward_of_the_drivers_own_episode(run, source, parameters):
    returns = [train_controller._run_rollout(each, *run, seed=7) for each in parameters]
    assert returns == expected(source, parameters, [7, 7, 7]) and all(type(each) is float for each in returns)
    assert len(set(returns)) == 3


def test_a_rollout_without_a_seed_is_another_one_each_time_and_keeps_the_time_limit(parameters, source):
    logdir, env_name, action_size, _, device = str(source), STEER, 2, 6, "cpu"
    drawn = {train_controller._run_rollout(parameters[0], logdir, env_name, action_size, 4, device) for _ in range(3)}
    assert len(drawn) > 1
    arguments = {"logdir": logdir, "env_name": env_name, "action_size": 2, "device": torch.device("cpu")}
    one = train_controller._run_rollout(ctrl_params=parameters[0], time_limit=1, **arguments)
    assert one <= 1  # at most 1 a step


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"logdir": "nowhere"}, CheckpointError, "nowhere.*does not exist"),
        ({"action_size": 3}, ConfigError, "action_size is 3.*2 actions"),
        ({"ctrl_params": np.zeros(5)}, ConfigError, "22 parameters.*5"),
        ({"time_limit": 0}, ConfigError, "time_limit is 0"),
    ],
)
def test_what_cannot_be_driven_is_refused_by_name(run, parameters, changes, error, says):
    names = ("ctrl_params", "logdir", "env_name", "action_size", "time_limit", "device")
    given = dict(zip(names, (parameters[0], *run), strict=True)) | changes
    with pytest.raises(error, match=says):
        train_controller._run_rollout(**given)


@pytest.mark.slow
def test_workers_answer_every_item_over_real_queues_and_end_when_they_are_told(run, source, parameters):
    context = multiprocessing.get_context("spawn")
    p_queue, r_queue, e_queue = context.Queue(), context.Queue(), context.Queue()
    workers = [
        context.Process(target=train_controller.slave_routine, args=(p_queue, r_queue, e_queue, index, *run))
        for index in range(2)
    ]
    for worker in workers:
        worker.start()
    seeds = [3, 4, 5]
    for s_id, item in enumerate(zip(parameters, seeds, strict=True)):
        p_queue.put((s_id, *item))
    p_queue.put((3, parameters[0]))  # as documented: the episode's seed is drawn
    p_queue.put((4, np.zeros(1)))
    answers = dict(r_queue.get(timeout=120) for _ in range(5))
    assert [answers[s_id] for s_id in range(3)] == expected(source, parameters, seeds)
    assert isinstance(answers[3], float)
    assert isinstance(answers[4], ConfigError) and all(worker.is_alive() for worker in workers)
    e_queue.put(True)
    for worker in workers:
        worker.join(timeout=30)
    assert [worker.exitcode for worker in workers] == [0, 0]


def answer(item, monkeypatch, *run, driver=None):
    """What a worker in this process answers to one item."""
    given, answers, ends = queue.Queue(), queue.Queue(), queue.Queue()
    given.put(item)
    put = answers.put
    monkeypatch.setattr(answers, "put", lambda told: (put(told), ends.put(True)))
    if driver:
        monkeypatch.setattr(queue_workers, "_driver", driver)
    train_controller.slave_routine(given, answers, ends, 0, *run)
    return answers.get_nowait()


def test_a_worker_without_a_run_and_one_with_a_defect_answer_so_that_nobody_waits(run, parameters, monkeypatch):
    s_id, error = answer((1, parameters[0]), monkeypatch, "nowhere", *run[1:])
    assert s_id == 1 and isinstance(error, CheckpointError)

    def broken(*_):
        raise ZeroDivisionError("the bolt is loose")

    s_id, error = answer((2, parameters[0]), monkeypatch, *run, driver=broken)
    assert s_id == 2 and isinstance(error, WorkerError) and "the bolt is loose" in str(error)


def test_a_worker_closes_its_environment_and_keeps_it_between_items(run, parameters, monkeypatch):
    made, closed, real = [], [], queue_workers._driver

    def counted(*given):
        made.append(real(*given))
        monkeypatch.setattr(made[-1], "close", lambda: closed.append(True))
        return made[-1]

    given, answers, ends = queue.Queue(), queue.Queue(), queue.Queue()
    for s_id in range(3):
        given.put((s_id, parameters[s_id], 9))
    put = answers.put
    monkeypatch.setattr(answers, "put", lambda told: (put(told), told[0] == 2 and ends.put(True)))
    monkeypatch.setattr(queue_workers, "_driver", counted)
    train_controller.slave_routine(given, answers, ends, 0, *run)
    assert [answers.get_nowait()[0] for _ in range(3)] == [0, 1, 2]
    assert len(made) == len(closed) == 1


def test_a_worker_takes_the_gpu_of_its_number_where_none_is_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [queue_workers._own_device(index) for index in range(3)] == ["cuda:0", "cuda:1", "cuda:0"]
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert queue_workers._own_device(3) == "cpu"


def test_parameters_that_were_flattened_are_loaded_back():
    one, other = Controller(4, 6, 2), Controller(4, 6, 2)
    load_parameters(flatten_parameters(one.parameters()), other)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    assert train_controller.flatten_parameters is flatten_parameters


def test_the_answers_of_workers_are_of_one_family(tmp_path, parameters, monkeypatch):
    save_run(tmp_path)
    _, error = answer((1, parameters[0]), monkeypatch, str(tmp_path), "NoSuchEnv-v0", 2, 6, "cpu")
    assert isinstance(error, WorldModelsError)
