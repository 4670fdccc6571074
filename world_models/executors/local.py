"""Executors on this machine: inline, and in spawned processes whose threads do not fight."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import sys
import traceback
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import NamedTuple

import torch

from world_models.envs.known.registration import Registration, registration_of
from world_models.errors import WorkerError, WorldModelsError
from world_models.executors.base import Executor, Job, Progressed
from world_models.rollout.driver import Driver, Recipe
from world_models.types import EpisodeResult
from world_models.utils.interrupts import deaf_children
from world_models.utils.threads import cpu_count


class InlineExecutor:
    """Runs every job in this process, on one driver."""

    workers = 1

    def __init__(self, recipe: Recipe) -> None:
        self.driver = Driver(recipe)

    def run(self, jobs: Sequence[Job], progressed: Progressed | None = None) -> list[list[EpisodeResult]]:
        """One job after the other."""
        results = []
        for job in jobs:
            results.append(job.run(self.driver))
            if progressed:
                progressed(results[-1])
        return results

    def close(self) -> None:
        """Let the environments go."""
        self.driver.close()


class _Worker(NamedTuple):
    process: BaseProcess
    pipe: Connection


class ProcessExecutor:
    """Runs jobs in `workers` spawned processes, each with a driver of its own.

    A worker that dies is noticed at once; its job is given to a new one, once. A job that raises brings
    its traceback home.

    Raises (from `run`):
        WorkerError: a job killed two workers, or raised something that is not the user's to mend.
        WorldModelsError: what a worker raised of this family, as it is.
    """

    def __init__(self, recipe: Recipe, workers: int) -> None:
        self.workers = workers
        self._recipe = recipe
        self._registration = registration_of(recipe.env_name)
        self._crew = [self._spawn() for _ in range(workers)]

    def _spawn(self) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(theirs, self._recipe, self._registration), daemon=True)
        with deaf_children():
            process.start()
        theirs.close()
        return _Worker(process, ours)

    def run(self, jobs: Sequence[Job], progressed: Progressed | None = None) -> list[list[EpisodeResult]]:
        """Jobs to whoever is free, results in the order of `jobs`."""
        try:
            return _Dispatch(self._crew, jobs, self._spawn, progressed).run()
        except BaseException:
            self.close()  # a worker may still be busy with a job of this call: no later call may hear of it
            raise

    def close(self) -> None:
        """Stop the workers."""
        for worker in self._crew:
            worker.process.terminate()
        for worker in self._crew:
            worker.pipe.close()
            worker.process.join(timeout=5)
        self._crew = []


class _Dispatch:
    """One `run`: which job is with which worker, and how often it was given out."""

    def __init__(self, crew, jobs, spawn, progressed) -> None:  # type: ignore[no-untyped-def]
        self.crew: list[_Worker] = crew
        self.jobs: Sequence[Job] = jobs
        self.spawn = spawn
        self.progressed: Progressed | None = progressed
        self.todo = deque(range(len(jobs)))
        self.busy: dict[int, int] = {}  # place in the crew -> job
        self.tries = [0] * len(jobs)
        self.results: list[list[EpisodeResult]] = [[] for _ in jobs]

    def run(self) -> list[list[EpisodeResult]]:
        while self.todo or self.busy:
            for place in range(len(self.crew)):
                if self.todo and place not in self.busy:
                    self._give(place)
            if not self.busy:
                continue
            ready = wait([x for place in self.busy for x in (self.crew[place].pipe, self.crew[place].process.sentinel)])
            for place in list(self.busy):
                worker = self.crew[place]
                if worker.pipe in ready or worker.process.sentinel in ready:
                    self._take(place)
        return self.results

    def _give(self, place: int) -> None:
        job = self.todo.popleft()
        self.busy[place] = job
        self.tries[job] += 1
        try:
            self.crew[place].pipe.send(self.jobs[job])
        except OSError:
            self._bury(place)

    def _take(self, place: int) -> None:
        try:
            kind, payload = self.crew[place].pipe.recv()
        except (EOFError, OSError):
            self._bury(place)
            return
        job = self.busy.pop(place)
        if kind == "error":
            raise payload
        if kind == "traceback":
            raise WorkerError(f"Worker {place} failed at job {job}; its traceback:\n{payload}")
        self.results[job] = payload
        if self.progressed:
            self.progressed(payload)

    def _bury(self, place: int) -> None:
        """A worker died: put its job back, once, and another worker in its place."""
        worker = self.crew[place]
        job = self.busy.pop(place)
        worker.process.join(timeout=5)
        if self.tries[job] >= 2:
            raise WorkerError(
                f"Worker {place} died at job {job} (exit code {worker.process.exitcode}), as one before it: it may "
                "have run out of memory; use fewer workers (--ctrl_workers)."
            )
        worker.pipe.close()
        self.crew[place] = self.spawn()
        self.todo.appendleft(job)


def _work(pipe: Connection, recipe: Recipe, registration: Registration | None = None) -> None:
    """A worker's life: build the driver at the first job, run jobs until the pipe closes or the worker is stopped.

    Either way the environments are closed: some are processes of their own, which would be left alone.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # where it could not be blocked
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with contextlib.ExitStack() as at_the_end:
        _run_jobs(pipe, recipe, registration, at_the_end)


def _run_jobs(
    pipe: Connection, recipe: Recipe, registration: Registration | None, at_the_end: contextlib.ExitStack
) -> None:
    driver: Driver | None = None
    while True:
        try:
            job = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            if driver is None:
                if registration is not None:
                    registration.register()
                driver = Driver(recipe)
                at_the_end.callback(driver.close)
            answer: tuple[str, object] = ("results", job.run(driver))
        except WorldModelsError as error:
            answer = ("error", error)
        except Exception:  # whatever it is, the master shall see it
            answer = ("traceback", traceback.format_exc())
        try:
            pipe.send(answer)
        except OSError:  # nobody waits for it any more
            return


def make_executor(recipe: Recipe, max_workers: int) -> Executor:
    """A process a core, at most `max_workers`, each with one thread; a single one is this process.

    EnvPool could step on threads of its own, but then one core waits while the other is at V and M. A GPU dreams for
    one process: several would take turns (14 on an H100 dreamed about as much, all together, as one).
    """
    dreams_on_gpu = recipe.world == "dream" and torch.device(recipe.device).type != "cpu"
    workers = 1 if dreams_on_gpu else max(1, min(max_workers, cpu_count()))
    recipe = replace(recipe, threads=1)
    return InlineExecutor(recipe) if workers == 1 else ProcessExecutor(recipe, workers)
