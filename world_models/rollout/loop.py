"""THE loop: lanes of environments, a policy, and whoever listens. Everything that drives is this.

The loop owns the carry: a policy is given it and returns the next one, so state cannot be forgotten, shared
between episodes or kept from the last one.
"""

from __future__ import annotations

import contextlib
import traceback
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from world_models.envs.frames import resize_frames
from world_models.envs.lanes import LaneFailure, Lanes
from world_models.errors import ActionSpaceError, EnvironmentFailure, WorldModelsError
from world_models.types import FRAME_SHAPE, Episode, EpisodeResult, FloatArray, IntArray, Step, UInt8Array


class Policy(Protocol):
    """Who acts. `carry` is anything with a place for every lane; rows of arguments belong to `lanes`."""

    def start(self, num_lanes: int) -> Any:
        """The carry before any episode."""

    def reset(self, carry: Any, lanes: IntArray, episodes: Sequence[Episode]) -> Any:
        """The carry after new episodes began on `lanes`."""

    def act(self, carry: Any, lanes: IntArray, frames: UInt8Array) -> tuple[FloatArray, Any]:
        """Actions (n, A) for frames (n, 64, 64, 3) of `lanes`, and the next carry."""


class Transition(NamedTuple):
    """What listeners hear of one step of `lanes`: frames (n, 64, 64, 3) and native ones before the step."""

    lanes: IntArray
    episodes: list[Episode]
    frames: UInt8Array
    native_frames: UInt8Array
    actions: FloatArray
    step: Step


class Listener(Protocol):
    """Hears every transition and every end, in order."""

    def transition(self, transition: Transition) -> None:
        """One step of some lanes."""

    def ended(self, lane: int, result: EpisodeResult) -> None:
        """The episode on a lane is over."""


class Board:
    """Where every lane stands: its episode, return, steps, steps since the last reward."""

    def __init__(self, num_lanes: int) -> None:
        self.frames = np.zeros((num_lanes, *FRAME_SHAPE), np.uint8)
        self.native: UInt8Array | None = None
        self.index = np.full(num_lanes, -1)
        self.returns = np.zeros(num_lanes)
        self.steps = np.zeros(num_lanes, np.int64)
        self.idle = np.zeros(num_lanes, np.int64)
        self.last_rewards = np.zeros(num_lanes)

    def see(self, lanes: IntArray, native: UInt8Array, rows: int | None) -> None:
        self.frames[lanes] = resize_frames(native, rows=rows)
        if self.native is None:
            self.native = np.zeros((len(self.index), *native.shape[1:]), np.uint8)
        self.native[lanes] = native

    def begin(self, lanes: IntArray, indices: Sequence[int]) -> None:
        self.index[lanes] = indices
        self.returns[lanes] = 0
        self.steps[lanes] = 0
        self.idle[lanes] = 0

    def add(self, lanes: IntArray, rewards: FloatArray) -> None:
        self.returns[lanes] += rewards
        self.last_rewards[lanes] = rewards
        self.steps[lanes] += 1
        self.idle[lanes] = np.where(rewards > 0, 0, self.idle[lanes] + 1)


def drive(
    lanes: Lanes,
    policy: Policy,
    episodes: Sequence[Episode],
    *,
    time_limit: int,
    hopeless: int | None = None,
    listeners: Sequence[Listener] = (),
) -> list[EpisodeResult]:
    """Drive episodes to their ends; a lane whose episode has ended takes the next one at once.

    Args:
        lanes: Environments.
        policy: Who acts.
        episodes: (candidate, seed) pairs, started in this order.
        time_limit: Steps after which an episode is cut.
        hopeless: Steps without a positive reward after which it is given up (None: never).
        listeners: Told of every step and every end.

    Returns:
        One result an episode, in the order of `episodes`.
    """
    if time_limit < 1:
        raise ValueError(f"time_limit={time_limit} leaves no step: it starts at 1.")
    lanes.announce([episode.seed for episode in episodes])
    waiting = deque(range(len(episodes)))
    board = Board(lanes.num_lanes)
    carry = policy.start(lanes.num_lanes)
    results: list[EpisodeResult | None] = [None] * len(episodes)
    free = np.arange(min(lanes.num_lanes, len(episodes)))
    active = free
    carry = _refill(lanes, policy, episodes, waiting, board, carry, free)
    while active.size:
        actions, carry = policy.act(carry, active, board.frames[active])
        with failures_named(lanes, board, episodes, active):
            step = lanes.step(active, actions)
        if listeners:
            assert board.native is not None
            heard = Transition(
                active,
                [episodes[i] for i in board.index[active]],
                board.frames[active],
                board.native[active],
                actions,
                step,
            )
            for listener in listeners:
                listener.transition(heard)
        board.add(active, step.rewards)
        board.see(active, step.frames, lanes.spec.rows)
        reasons = reasons_of(board, active, step, time_limit, hopeless)
        over = np.flatnonzero(reasons)
        for row in over:
            lane = int(active[row])
            where = int(board.index[lane])
            result = EpisodeResult(
                episodes[where],
                float(board.returns[lane]),
                int(board.steps[lane]),
                REASONS[reasons[row]],
                last_reward=float(board.last_rewards[lane]),
            )
            results[where] = result
            for listener in listeners:
                listener.ended(lane, result)
        if over.size:
            refilled = active[over][: len(waiting)]
            stay = np.setdiff1d(active, active[over][len(refilled) :])
            carry = _refill(lanes, policy, episodes, waiting, board, carry, refilled)
            active = stay
    return [result for result in results if result is not None]


@contextlib.contextmanager
def failures_named(lanes: Lanes, board: Board, episodes: Sequence[Episode], active: IntArray) -> Iterator[None]:
    """What an environment raises becomes an error that names lane, seed and step, and keeps the traceback.

    Raises:
        EnvironmentFailure: a backend that does not say which lane it was gets all that it was driving named.
        ActionSpaceError: of a lane; it gets the same names, and needs no traceback.
    """

    def place(lane: int) -> str:
        return f"lane {lane}, seed {episodes[board.index[lane]].seed}, step {board.steps[lane]}"

    try:
        yield
    except ActionSpaceError as error:
        if error.row is None:
            raise
        raise type(error)(f"{str(error).rstrip('.')} ({place(int(active[error.row]))}).") from error
    except WorldModelsError:
        raise
    except Exception as error:
        blamed = [error.lane] if isinstance(error, LaneFailure) else active.tolist()
        cause = error.__cause__ if isinstance(error, LaneFailure) and error.__cause__ else error
        places = "; ".join(place(lane) for lane in blamed)
        told = "".join(traceback.format_exception(cause)).rstrip()
        raise EnvironmentFailure(
            f"{lanes.spec.env_id} ({lanes.backend}) raised {type(cause).__name__}: {cause} ({places}); the defect is "
            f"in the environment, or in the actions that it takes. Its traceback:\n{told}"
        ) from error


REASONS = ("", "terminal", "truncated", "time_limit", "hopeless")


def reasons_of(
    board: Board, active: IntArray, step: Step, time_limit: int, hopeless: int | None
) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Why each active lane's episode is over, as an index into `REASONS`; 0 where it goes on."""
    given_up = board.idle[active] >= hopeless if hopeless is not None else np.zeros(len(active), bool)
    return np.select(
        [step.terminals, step.truncated, board.steps[active] >= time_limit, given_up], [1, 2, 3, 4], default=0
    ).astype(np.int64)


def _refill(
    lanes: Lanes,
    policy: Policy,
    episodes: Sequence[Episode],
    waiting: deque[int],
    board: Board,
    carry: Any,
    free: IntArray,
) -> Any:
    if not free.size:
        return carry
    indices = [waiting.popleft() for _ in free]
    starting = [episodes[i] for i in indices]
    board.begin(free, indices)
    with failures_named(lanes, board, episodes, free):
        frames = lanes.reset(free, [episode.seed for episode in starting])
    board.see(free, frames, lanes.spec.rows)
    return policy.reset(carry, free, starting)
