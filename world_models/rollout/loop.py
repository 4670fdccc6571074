"""THE loop: lanes, who acts on them, and whoever listens. Everything that drives or dreams is this.

Lanes are of frames or of states (`envs.lanes`); the loop cannot tell which. It owns the carry: a policy is given it and
returns the next one, so state cannot be forgotten, shared between episodes or kept from the last one.
"""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch

from world_models.envs.lanes import LaneFailure, Lanes
from world_models.errors import ActionSpaceError, EnvironmentFailure, WorldModelsError
from world_models.types import Episode, EpisodeResult, FloatArray, IntArray, Step

REASONS = ("", "terminal", "truncated", "time_limit", "hopeless")
"""Why an episode is over, as logs and files have it; "hopeless" is early termination."""


class Policy(Protocol):
    """Who acts. `carry` is anything with a place for every lane; rows of arguments belong to `lanes`."""

    def start(self, num_lanes: int) -> Any:
        """The carry before any episode."""

    def reset(self, carry: Any, lanes: IntArray, episodes: Sequence[Episode]) -> Any:
        """The carry after new episodes began on `lanes`."""

    def act(self, carry: Any, lanes: IntArray, observations: Any) -> tuple[Any, Any]:
        """Actions (n, A) for observations (n, ...) of `lanes`, and the next carry."""


class Transition(NamedTuple):
    """What listeners hear of one step of `lanes`: observations (n, ...) before it, what was done, what it gave.

    `frames` (n, 64, 64, 3) and `native_frames` before the step are uint8 arrays; None in a dream, which has none.
    """

    lanes: IntArray
    episodes: list[Episode]
    observations: Any
    actions: FloatArray
    step: Step
    frames: Any
    native_frames: Any


class Listener(Protocol):
    """Hears every transition and every end, in order."""

    def transition(self, transition: Transition) -> None:
        """One step of some lanes."""

    def ended(self, lane: int, result: EpisodeResult) -> None:
        """The episode on a lane is over."""


class Moved(NamedTuple):
    """What a step of the active lanes (n) came to.

    `reasons` (n,) are indices into `REASONS`, 0 where an episode goes on; `results` are of those that are over, each
    with its number in the order in which they began; `begun` are the lanes that took another one at once.
    """

    step: Step
    reasons: IntArray
    results: list[tuple[int, EpisodeResult]]
    begun: IntArray


class Loop:
    """Lanes at their episodes: which lane has which, how it stands, what it shows now.

    Attributes:
        active: Lanes (n,) that have an episode, in order.
        observations: What these show (n, ...).
        episodes: Of every lane, its present or last one.
        steps, returns: Of every lane's present episode.

    Args:
        lanes: Of frames or of states.
        next_episode: What a lane shall do next; None: nothing more.
        count: Lanes to begin with, the first ones.
        time_limit: Steps after which an episode is cut.
        early_termination: Steps without a positive reward after which it is over (None: never).
        listeners: Hear every step and every end.
    """

    def __init__(
        self,
        lanes: Lanes[Any],
        next_episode: Callable[[int], Episode | None],
        count: int,
        *,
        time_limit: int,
        early_termination: int | None = None,
        listeners: Sequence[Listener] = (),
    ) -> None:
        if time_limit < 1:
            raise ValueError(f"time_limit={time_limit} leaves no step: it starts at 1.")
        self._lanes, self._next, self._listeners = lanes, next_episode, listeners
        self._limits = time_limit, early_termination
        size = lanes.num_lanes
        self.episodes = [Episode(0, 0)] * size
        self.returns, self._last_rewards = np.zeros(size), np.zeros(size)
        self.steps, self._idle, self._clamped = (np.zeros(size, np.int64) for _ in range(3))
        self._numbers, self._begun = np.zeros(size, np.int64), 0
        self.active: IntArray
        self.observations: Any
        self.active, self.observations = self._begin(np.arange(count))

    def _begin(self, lanes: IntArray) -> tuple[IntArray, Any]:
        """The next episodes of these lanes: which of them have one, and what those show."""
        begun = []
        for lane in lanes.tolist():
            episode = self._next(lane)
            if episode is not None:
                self.episodes[lane], self._numbers[lane] = episode, self._begun
                self._begun += 1
                begun.append(lane)
        active = np.array(begun, np.int64)
        for each in (self.returns, self.steps, self._idle, self._clamped):
            each[active] = 0
        if not begun:
            return active, None
        with self._failures_named(active):
            return active, self._lanes.reset(active, [self.episodes[lane].seed for lane in begun])

    def step(self, actions: Any) -> Moved:
        """One step of the active lanes; one whose episode is over takes the next at once, or stands idle.

        Raises:
            EnvironmentFailure: an environment raised; it names lane, seed and step.
        """
        active = self.active
        pictures = getattr(self._lanes, "pictures", None) if self._listeners else None
        frames, native = pictures(active) if pictures else (None, None)
        before = _copied(self.observations) if self._listeners else None
        with self._failures_named(active):
            step = self._lanes.step(active, actions)
        if self._listeners:
            episodes = [self.episodes[lane] for lane in active]
            heard = Transition(active, episodes, before, _as_array(actions), step, frames, native)
            for listener in self._listeners:
                listener.transition(heard)
        # A slice where it can be: to index by numbers costs the more the more lanes there are.
        rows = slice(len(active)) if active[-1] == len(active) - 1 else active
        self._add(rows, step)
        self.observations = step.observations
        reasons = self._reasons(rows, step)
        over = np.flatnonzero(reasons)
        results = []
        for row in over:
            lane = int(active[row])
            result = self._result(lane, REASONS[reasons[row]])
            results.append((int(self._numbers[lane]), result))
            for listener in self._listeners:
                listener.ended(lane, result)
        return Moved(step, reasons, results, self._refill(over) if results else active[:0])

    def _add(self, lanes: IntArray | slice, step: Step) -> None:
        self.returns[lanes] += step.rewards
        self._last_rewards[lanes] = step.rewards
        self.steps[lanes] += 1
        self._idle[lanes] = np.where(step.rewards > 0, 0, self._idle[lanes] + 1)
        if step.clamped is not None:
            self._clamped[lanes] += step.clamped

    def _reasons(self, lanes: IntArray | slice, step: Step) -> IntArray:
        time_limit, early = self._limits
        reasons = np.where(self.steps[lanes] >= time_limit, 3, 0)
        if early is not None:
            reasons[(reasons == 0) & (self._idle[lanes] >= early)] = 4
        reasons[step.truncated] = 2
        reasons[step.terminals] = 1
        return reasons

    def _result(self, lane: int, reason: str) -> EpisodeResult:
        total, steps = float(self.returns[lane]), int(self.steps[lane])
        last = int(self._clamped[lane]), float(self._last_rewards[lane])
        return EpisodeResult(self.episodes[lane], total, steps, reason, *last)

    def _refill(self, over: IntArray) -> IntArray:
        begun, seen = self._begin(self.active[over])
        refilled = np.isin(self.active[over], begun)
        if begun.size:
            self.observations[over[refilled]] = seen
        if not refilled.all():
            stay = np.setdiff1d(np.arange(len(self.active)), over[~refilled])
            self.active, self.observations = self.active[stay], self.observations[stay]
        return begun

    @contextlib.contextmanager
    def _failures_named(self, lanes: IntArray) -> Iterator[None]:
        """What an environment raises becomes an error that names lane, seed and step, and keeps the traceback.

        Raises:
            EnvironmentFailure: a backend that does not say which lane it was gets all that it was driving named.
            ActionSpaceError: of a lane; it gets the same names, and needs no traceback.
        """

        def place(lane: int) -> str:
            return f"lane {lane}, seed {self.episodes[lane].seed}, step {self.steps[lane]}"

        try:
            yield
        except ActionSpaceError as error:
            if error.row is None:
                raise
            raise type(error)(f"{str(error).rstrip('.')} ({place(int(lanes[error.row]))}).") from error
        except WorldModelsError:
            raise
        except Exception as error:
            blamed = [error.lane] if isinstance(error, LaneFailure) else lanes.tolist()
            cause = error.__cause__ if isinstance(error, LaneFailure) and error.__cause__ else error
            places = "; ".join(place(lane) for lane in blamed)
            words = "".join(traceback.format_exception(cause)).rstrip()
            raise EnvironmentFailure(
                f"{self._lanes.spec.env_id} ({self._lanes.backend}) raised {type(cause).__name__}: {cause} ({places}); "
                f"the defect is in the environment, or in the actions that it takes. Its traceback:\n{words}"
            ) from error


def _copied(observations: Any) -> Any:
    return observations.clone() if isinstance(observations, torch.Tensor) else observations.copy()


def _as_array(actions: Any) -> FloatArray:
    array: FloatArray = actions.cpu().numpy() if isinstance(actions, torch.Tensor) else actions
    return array


def drive(
    lanes: Lanes[Any],
    policy: Policy,
    episodes: Sequence[Episode],
    *,
    time_limit: int,
    early_termination: int | None = None,
    listeners: Sequence[Listener] = (),
) -> list[EpisodeResult]:
    """Drive episodes to their ends; a lane whose episode has ended takes the next one at once.

    Args:
        lanes: Of frames or of states.
        policy: Who acts.
        episodes: (candidate, seed) pairs, started in this order.
        time_limit, early_termination, listeners: See `Loop`.

    Returns:
        One result an episode, in the order of `episodes`.
    """
    lanes.announce([episode.seed for episode in episodes])
    waiting, count = iter(episodes), min(lanes.num_lanes, len(episodes))
    limits: Any = {"time_limit": time_limit, "early_termination": early_termination, "listeners": listeners}
    loop = Loop(lanes, lambda lane: next(waiting, None), count, **limits)
    carry = policy.reset(policy.start(lanes.num_lanes), loop.active, loop.episodes[:count])
    results: dict[int, EpisodeResult] = {}
    while loop.active.size:
        actions, carry = policy.act(carry, loop.active, loop.observations)
        moved = loop.step(actions)
        results.update(moved.results)
        if moved.begun.size:
            carry = policy.reset(carry, moved.begun, [loop.episodes[lane] for lane in moved.begun])
    return [results[number] for number in range(len(episodes))]
