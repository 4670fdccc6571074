"""Episodes as C lives them: what it sees, what it does with noise on its outputs, what that brings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from world_models.models.agent import Agent
from world_models.rollout.loop import Transition
from world_models.rollout.policies import AgentCarry, AgentPolicy
from world_models.rollout.policy_gradient import Experience
from world_models.types import AgentState, Episode, EpisodeResult, FloatArray, IntArray, UInt8Array
from world_models.utils.seeding import derive_seed


class Lived(NamedTuple):
    """One episode of T steps: `states` (T, D), `outputs` (T, A) before squashing, `rewards` (T,), and how it ended."""

    states: FloatArray
    outputs: FloatArray
    rewards: FloatArray
    result: EpisodeResult


class StrayingPolicy(AgentPolicy):
    """An agent whose outputs have noise of an episode's own seed, and that remembers what it saw and did.

    Args:
        agent: V, M and the architecture of C.
        candidates: Flat parameters (N, P).
        spread: Standard deviation of what is added to C's outputs before they are squashed.
        horizon: Steps of the longest episode.
    """

    def __init__(self, agent: Agent, candidates: npt.ArrayLike, *, spread: float, horizon: int) -> None:
        super().__init__(agent, candidates, horizon=horizon)
        self.spread = spread
        self._strays: dict[int, torch.Tensor] = {}
        self.seen: dict[int, list[tuple[FloatArray, FloatArray]]] = {}

    def reset(self, carry: AgentCarry, lanes: IntArray, episodes: Sequence[Episode]) -> AgentCarry:
        """As an agent's; and the noise of the episodes that begin is drawn."""
        for lane, episode in zip(lanes.tolist(), episodes, strict=True):
            generator = torch.Generator().manual_seed(derive_seed("strays", episode.seed))
            size = self.horizon, self.agent.cell.actions
            self._strays[lane] = self.spread * torch.randn(size, generator=generator)
            self.seen[lane] = []
        return super().reset(carry, lanes, episodes)

    def _act(
        self,
        carry: AgentCarry,
        lanes: IntArray,
        frames: UInt8Array,
        state: AgentState,
        parameters: list[torch.Tensor],
        noise: torch.Tensor | None,
    ) -> tuple[torch.Tensor, AgentState]:
        times = carry.time[torch.from_numpy(np.asarray(lanes))].tolist()
        strays = torch.stack([self._strays[lane][t] for lane, t in zip(lanes.tolist(), times, strict=True)])
        told = self.agent.explore(torch.from_numpy(frames), state, parameters, noise, strays.to(self.agent.device))
        seen, outputs = told.seen.cpu().numpy(), told.outputs.cpu().numpy()
        for row, lane in enumerate(lanes.tolist()):
            self.seen[lane].append((seen[row], outputs[row]))
        return told.actions, told.state


class Diary:
    """A listener that puts rewards to what a straying policy remembers; `lived` are the episodes by their seeds."""

    def __init__(self, policy: StrayingPolicy) -> None:
        self.lived: dict[Episode, Lived] = {}
        self._policy = policy
        self._rewards: dict[int, list[float]] = {}

    def transition(self, transition: Transition) -> None:
        """Note the rewards."""
        for lane, reward in zip(transition.lanes.tolist(), transition.step.rewards.tolist(), strict=True):
            self._rewards.setdefault(lane, []).append(reward)

    def ended(self, lane: int, result: EpisodeResult) -> None:
        """Close the episode."""
        seen, outputs = zip(*self._policy.seen.pop(lane), strict=True)
        rewards = np.array(self._rewards.pop(lane), np.float32)
        self.lived[result.episode] = Lived(np.stack(seen), np.stack(outputs), rewards, result)


def experience_of(episodes: Sequence[Lived]) -> Experience:
    """Episodes side by side, a lane each, (T, L, ...) for the longest; the others' rest is not `driven`.

    One that ended by itself or was given up earns nothing more, one that was cut would have gone on.
    """
    steps, lanes = max(len(each.rewards) for each in episodes), len(episodes)
    first = episodes[0]
    states = np.zeros((steps + 1, lanes, first.states.shape[1]), np.float32)
    outputs = np.zeros((steps, lanes, first.outputs.shape[1]), np.float32)
    rewards = np.zeros((steps, lanes), np.float32)
    ended, cut, driven = (np.zeros((steps, lanes), bool) for _ in range(3))
    for lane, each in enumerate(episodes):
        length = len(each.rewards)
        states[:length, lane], outputs[:length, lane], rewards[:length, lane] = each.states, each.outputs, each.rewards
        over = each.result.ended_by in ("terminal", "hopeless")
        ended[length - 1, lane], cut[length - 1, lane] = over, not over
        driven[:length, lane] = True
    return Experience(*(torch.from_numpy(x) for x in (states, outputs, rewards, ended, cut, driven)))
