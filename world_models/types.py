"""The vocabulary: the types that the package's parts hand each other.

Letters used in shapes: T time, B batch or lanes, Z latent size, R recurrent hidden size, A action size,
K gaussians, N candidates, S episodes a candidate, P parameters a candidate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

FRAME_SIZE = 64
FRAME_SHAPE = (FRAME_SIZE, FRAME_SIZE, 3)

UInt8Array = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

MemoryState = tuple[torch.Tensor, torch.Tensor]
"""(h, c) of M's LSTM, each (B, R)."""


class Step(NamedTuple):
    """What one step of some lanes gives: row i belongs to the i-th lane that was stepped.

    `observations` (n, ...) are those after the step: frames, an array, or states, a tensor; `rewards` (n,) float32;
    `terminals` (n,) the task ended; `truncated` (n,) the environment's own time limit cut it; in a dream `clamped`
    (n,) says how many entries of the new latent were put back to the edge of the data's range.
    """

    observations: Any
    rewards: FloatArray
    terminals: BoolArray
    truncated: BoolArray
    clamped: IntArray | None = None


@dataclass(frozen=True)
class Rollout:
    """One episode: transition t is observations[t], actions[t] -> rewards[t], terminals[t].

    observations (T, 64, 64, 3) uint8; actions (T, A), rewards (T,), terminals (T,) float32.
    `terminals` is 1 where the task ended, never where a time limit cut it.
    """

    observations: UInt8Array
    actions: FloatArray
    rewards: FloatArray
    terminals: FloatArray

    def __len__(self) -> int:
        return len(self.rewards)

    @property
    def episode_return(self) -> float:
        """The sum of rewards; higher is better."""
        return float(np.sum(self.rewards, dtype=np.float64))


class Mixture(NamedTuple):
    """M's prediction of the next latent: mus, sigmas (..., K, Z) and logpi (..., K)."""

    mus: torch.Tensor
    sigmas: torch.Tensor
    logpi: torch.Tensor


class AgentState(NamedTuple):
    """What an agent carries from frame to frame: M's (h, c), each (B, R). There is nothing else."""

    h: torch.Tensor
    c: torch.Tensor


class Episode(NamedTuple):
    """One episode to drive: which candidate drives it, and the seed of its track and its noise."""

    candidate: int
    seed: int


class EpisodeResult(NamedTuple):
    """How an episode ended: return (higher is better), steps, and what ended it.

    `clamped` is of dreams alone: how many entries of their latents had left the data's range and were put back.
    `last_reward` is the last step's: an episode that was terminated early (`ended_by` "hopeless", as logs and files
    have it) would most likely have gone on with it.
    """

    episode: Episode
    episode_return: float
    steps: int
    ended_by: str  # "terminal" | "truncated" | "time_limit" | "hopeless"
    clamped: int = 0
    last_reward: float = 0.0

    def expected_return(self, time_limit: int) -> float:
        """What the episode would have come to at `time_limit`: one terminated early earns its last reward until then.

        Without this, early termination would pay: in CarRacing each step costs 0.1, driven or not.
        """
        early = self.ended_by == "hopeless"
        return self.episode_return + (max(0, time_limit - self.steps) * self.last_reward if early else 0.0)
