"""The documented workers of stage C (specification, "Parallel evaluation"): a controller's parameters in, returns out.

For programs that run an evolution of their own over queues. Ours evaluates through `executors/`; both drive with
the one driver of `rollout/`.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import queue
import secrets
import traceback
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

from world_models.datasets.checks import check_at_least_1
from world_models.errors import ConfigError, WorkerError, WorldModelsError
from world_models.rollout.driver import Driver, Recipe
from world_models.types import Episode
from world_models.utils.device import resolve_device

_SECONDS = 0.2  # between two looks at whether the work is over


class Queue(Protocol):
    """A queue of `queue`, `multiprocessing` or `torch.multiprocessing`."""

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """The next item; queue.Empty after `timeout` seconds without one."""

    def put(self, obj: Any) -> None:
        """Adds an item."""

    def empty(self) -> bool:
        """Whether there is no item."""


def _run_rollout(
    ctrl_params: npt.ArrayLike,
    logdir: str | Path,
    env_name: str,
    action_size: int,
    time_limit: int,
    device: str | torch.device,
    seed: int | None = None,
) -> float:
    """The total reward of one episode: V and M of `logdir` see and remember, a linear C acts.

    Args:
        ctrl_params: C's parameters (P,), as `flatten_parameters` gives them; P = (Z + R + 1) A.
        logdir: The run's folder, with vae/best.tar and mdrnn/best.tar.
        env_name: A Gymnasium id.
        action_size: A.
        time_limit: Steps after which the episode is cut.
        device: Of V and M; the CPU where it is missing.
        seed: Of the episode; None draws one.

    Raises:
        CheckpointError: V or M is missing, or M does not fit the environment.
        ConfigError: `ctrl_params` or `action_size` does not fit M, or there is no step in `time_limit`.
    """
    with contextlib.closing(_driver(logdir, env_name, action_size, time_limit, device)) as driver:
        return _total_reward(driver, ctrl_params, seed)


def slave_routine(
    p_queue: Queue,
    r_queue: Queue,
    e_queue: Queue,
    p_index: int,
    logdir: str | Path,
    env_name: str,
    action_size: int,
    time_limit: int = 1000,
    device: str | torch.device | None = None,
) -> None:
    """A worker's life: takes parameters, drives an episode with each, answers its total reward; higher is better.

    The target of a process that is started with the method "spawn". V, M and the environment are made once, at
    the first item. The worker returns once there is something in `e_queue`, or its parent process is gone.

    Args:
        p_queue: Where (s_id, ctrl_params) come from, or (s_id, ctrl_params, seed); see `_run_rollout`.
        r_queue: Where (s_id, total_reward) go to. What fails is answered as well, so that nobody waits for
            ever: (s_id, the error), a WorldModelsError in place of the number.
        e_queue: Anything in it ends all workers.
        p_index: The worker's number, which chooses its GPU where `device` is None.
        logdir, env_name, action_size, time_limit, device: As in `_run_rollout`.
    """
    device = _own_device(p_index) if device is None else device
    parent = multiprocessing.parent_process()
    with contextlib.ExitStack() as at_the_end:
        driver: Driver | None = None
        while e_queue.empty() and (parent is None or parent.is_alive()):
            try:
                s_id, ctrl_params, *seed = p_queue.get(timeout=_SECONDS)
            except queue.Empty:
                continue
            try:
                if driver is None:
                    driver = _driver(logdir, env_name, action_size, time_limit, device)
                    at_the_end.callback(driver.close)
                r_queue.put((s_id, _total_reward(driver, ctrl_params, *seed)))
            except Exception as error:
                r_queue.put((s_id, _sendable(error, p_index)))


def _driver(logdir: str | Path, env_name: str, action_size: int, time_limit: int, device: str | torch.device) -> Driver:
    check_at_least_1("time_limit", time_limit)
    recipe = Recipe(
        env_name=env_name,
        logdir=str(logdir),
        num_lanes=1,
        device=str(resolve_device(str(device))),
        time_limit=time_limit,
    )
    driver = Driver(recipe)
    if driver.lanes.actions.size != action_size:
        driver.close()
        raise ConfigError(
            f"action_size is {action_size}, and {env_name} has {driver.lanes.actions.size} actions: "
            f"set it to {driver.lanes.actions.size}"
        )
    return driver


def _total_reward(driver: Driver, ctrl_params: npt.ArrayLike, seed: int | None = None) -> float:
    candidate = np.asarray(ctrl_params, dtype=np.float64).reshape(1, -1)
    (result,) = driver.evaluate([Episode(0, secrets.randbits(31) if seed is None else seed)], candidate)
    return float(result.episode_return)


def _own_device(p_index: int) -> str:
    count = torch.cuda.device_count()
    return f"cuda:{p_index % count}" if count else "cpu"


def _sendable(error: Exception, p_index: int) -> WorldModelsError:
    """The error, or its traceback in an error that surely can be pickled."""
    if isinstance(error, WorldModelsError):
        return error
    return WorkerError(f"worker {p_index} failed; its traceback:\n{traceback.format_exc()}")
