"""Dreamed trajectories: M from a run's starts or from any state, whoever acts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch

from world_models.datasets.dream_starts import DreamStarts, starts_at
from world_models.errors import CheckpointError, ConfigError
from world_models.models.arrays import Array, Kind
from world_models.models.dream import BLOCK, Dream
from world_models.models.dream_rules import DreamRules, settled
from world_models.models.mdrnn import MDRNNCell
from world_models.utils.threads import one_torch_thread

Chooser: TypeAlias = Callable[[int, torch.Tensor], torch.Tensor]
"""Actions (B, A), or (A,) of them all, at time t in states [z, h, c] (B, D)."""


@dataclass(frozen=True)
class Trajectory:
    """A dream of T steps, time-major; of one dream the axis B is missing.

    Transition t is z[t], actions[t] -> rewards[t], terminals[t], z[t + 1]. The dream stops after `steps`, or when all
    of its lanes have ended; what a lane has after its own end counts for nothing.

    Attributes:
        z: (T + 1, B, Z); `h` and `c`: (T + 1, B, R), M's memory beside it.
        actions: (T, B, A), as rollout files store them.
        rewards, terminal_probability: (T, B); `terminals`: (T, B) bool.
        clamped: (T, B), how many entries of z[t + 1] were put back to the edge of the data's range.
        lengths: (B,) steps until a lane's end, T where it did not end.
        returns: (B,) the sum of its rewards until there.
    """

    z: Array
    h: Array
    c: Array
    actions: Array
    rewards: Array
    terminals: Array
    terminal_probability: Array
    clamped: Array
    lengths: Array
    returns: Array

    def __len__(self) -> int:
        return len(self.rewards)


class Recorder:
    """Puts a trajectory together, step by step, of lanes (B, ...)."""

    def __init__(self, state: torch.Tensor) -> None:
        self._states = [state.clone()]
        self._steps: list[tuple[torch.Tensor, ...]] = []
        self._alive = torch.ones(len(state), dtype=torch.bool, device=state.device)
        self._lengths = torch.zeros(len(state), dtype=torch.long, device=state.device)

    def add(self, actions: torch.Tensor, told: tuple[torch.Tensor, ...], state: torch.Tensor) -> bool:
        """One step: actions (B, A), a `DreamStep`, and the state [z, h, c] after it; whether a lane is left."""
        rewards, terminals, logits, clamped = told
        self._steps.append((actions.clone(), rewards, terminals, logits.sigmoid(), clamped))
        self._states.append(state.clone())
        self._lengths += self._alive
        self._alive &= ~terminals
        return bool(self._alive.any())

    def trajectory(self, latents: int, kind: Kind, batched: bool) -> Trajectory:
        """All of it, of states of so many latents."""
        states = torch.stack(self._states)
        hiddens = (states.shape[-1] - latents) // 2
        z, h, c = torch.split(states, [latents, hiddens, hiddens], dim=-1)
        actions, *others = (torch.stack(column) for column in zip(*self._steps, strict=True))
        rewards, terminals, probability, clamped = others
        counts = torch.arange(len(rewards), device=rewards.device)[:, None] < self._lengths
        returns = torch.where(counts, rewards, 0).sum(0, dtype=torch.float64)
        timed = (z, h, c, actions, rewards, terminals, probability, clamped)
        columns = [each if batched else each[:, 0] for each in timed]
        columns += [each if batched else each[0] for each in (self._lengths, returns)]
        return Trajectory(*(kind(each) for each in columns))


class Dreamer:
    """M of a run, from which trajectories are dreamed.

    Args:
        cell: M.
        starts: Where dreams begin that are given no state, and the range of the latents.
        facts: What M's checkpoint says of its training.
    """

    def __init__(self, cell: MDRNNCell, starts: DreamStarts | None, facts: Mapping[str, Any]) -> None:
        self.cell, self.starts, self._facts = cell, starts, facts
        self._last: tuple[object, Dream] | None = None

    def record(
        self, state: torch.Tensor | None, choose: Chooser, seeds: Sequence[int], steps: int, rules: DreamRules
    ) -> Recorder:
        """Dreams of these seeds, from [z, h, c] (D,) or (B, D), or from the starts, until all have ended.

        Raises:
            ConfigError: there are no starts to begin from.
            CheckpointError: they are of another V than M was trained on; M was not trained to end dreams.
        """
        dream = self._dream(state is not None, len(seeds), rules)
        with torch.no_grad(), one_torch_thread():
            dream.begin(seeds)
            if state is not None:
                dream.inputs.copy_(state)
            recorder = Recorder(dream.inputs)
            for t in range(steps):
                actions = choose(t, dream.inputs).expand(len(seeds), -1)
                if not recorder.add(actions, dream.step(actions), dream.inputs):
                    break
        return recorder

    def _dream(self, placed: bool, lanes: int, rules: DreamRules) -> Dream:
        """A dream of that many lanes; the last one is kept, as warming M up on the starts takes a while."""
        key = (rules, min(lanes, BLOCK), placed)
        if self._last is None or self._last[0] != key:
            starts = self._anywhere() if placed else self._starts()
            rules = settled(rules, self._facts, "this world model")
            self._last = key, Dream(self.cell, starts, rules, min(lanes, BLOCK))
        return self._last[1]

    def _starts(self) -> DreamStarts:
        if self.starts is None:
            raise ConfigError(
                "This world model has no starts of dreams: give start, such as a frame, or make them "
                "(`world-models dream evaluate --data_dir DATA`)."
            )
        seen_by = self._facts.get("vae_fingerprint")
        if seen_by is not None and seen_by != self.starts.fingerprint:
            raise CheckpointError("The starts have the latents of another V than M was trained on: make them again.")
        return self.starts

    def _anywhere(self) -> DreamStarts:
        """For dreams that are put where they shall begin: the range of the latents alone."""
        ends = (None, None) if self.starts is None else (self.starts.low, self.starts.high)
        return starts_at(np.zeros(self.cell.latents, np.float32), self.cell.actions, low=ends[0], high=ends[1])


def number_of_dreams(
    state: torch.Tensor | None, plan: torch.Tensor | None, seed: int | Sequence[int]
) -> tuple[list[int], bool]:
    """The seed of each dream that a start (D,) or (B, D), actions (T, A) or (T, B, A) and seeds ask for, and whether
    any of them has an axis B.

    Raises:
        ConfigError: they ask for different numbers.
    """
    sizes: dict[str, int] = {}
    if state is not None and state.dim() == 2:
        sizes["start"] = len(state)
    if plan is not None and plan.dim() == 3:
        sizes["actions"] = plan.shape[1]
    if not isinstance(seed, int | np.integer):
        sizes["seed"] = len(seed)
    if len(set(sizes.values())) > 1:
        told = ", ".join(f"{size} by {name}" for name, size in sizes.items())
        raise ConfigError(f"The arguments ask for different numbers of dreams, {told}: give as many of each.")
    count = next(iter(sizes.values()), 1)
    seeds = [int(seed) + i for i in range(count)] if isinstance(seed, int | np.integer) else [int(s) for s in seed]
    return seeds, bool(sizes)


def number_of_steps(steps: int | None, plan: torch.Tensor | None) -> int:
    """How many steps a dream has: as asked for, else as many as there are actions, else 100.

    Raises:
        ConfigError: there is none, or there are fewer actions.
    """
    count = steps if steps is not None else 100 if plan is None else len(plan)
    if count < 1 or (plan is not None and count > len(plan)):
        most = "" if plan is None else f" and at most the {len(plan)} that there are actions for"
        raise ConfigError(f"steps={count} cannot work: give a whole number of at least 1{most}.")
    return count
