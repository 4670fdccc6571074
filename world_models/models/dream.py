"""The dream: M as an environment, many lanes at a time (Ha & Schmidhuber 2018, section 4).

One step: (z[t], a[t], (h, c)[t]) -> M -> mixture, reward r[t], terminal logit d[t], (h, c)[t+1]; then z[t+1] is drawn
from the mixture. All noise of an episode comes from its own seed.

Rows are computed in blocks of a fixed size, as in `models/agent.py`: what a lane dreams does not depend on how many
others there are, or on where it stands among them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from world_models.datasets.dream_starts import DreamStarts, load_starts, starts_path
from world_models.errors import CheckpointError, ConfigError
from world_models.models.dream_parts import Beginnings, Network, Noise
from world_models.models.dream_rules import DreamRules, settled
from world_models.models.load import load_cell
from world_models.models.mdrnn import MDRNNCell
from world_models.types import AgentState
from world_models.utils.run_dir import best_path, load_checkpoint
from world_models.utils.seeding import derive_seed

BLOCK = 128  # rows of one matrix product: fewer cost speed, more are wasted where episodes run out


class DreamStep(NamedTuple):
    """What a step of n lanes gives: row i is lane i.

    `rewards` (n,); `terminals` (n,) bool, the dream says that the task ended; `logits` (n,) of the terminal;
    `clamped` (n,) how many of the next latent's entries had left the data's range and were put back to its edge.
    """

    rewards: torch.Tensor
    terminals: torch.Tensor
    logits: torch.Tensor
    clamped: torch.Tensor


class Dream:
    """Lanes in which M dreams: `begin` as many as there are seeds, `step` all, `reset` some, `keep` some,
    `grow` by some.

    Args:
        cell: M.
        starts: Where dreams begin, and the range of the latents.
        rules: How to dream; with `terminal` "auto" they end at the step limit alone (`load_dream` settles it).
        block: Rows of a matrix product. Dreams of one block size are the same to the bit; those of another
            one differ in the last digits, which a long dream amplifies.

    Raises:
        CheckpointError: the starts are of other sizes than M.
    """

    def __init__(self, cell: MDRNNCell, starts: DreamStarts, rules: DreamRules, block: int = BLOCK) -> None:
        if block < 1:
            raise ConfigError(f"block={block} cannot work: give a whole number of at least 1.")
        _check_sizes(cell, starts)
        self.rules, self.block = rules, block
        self.device = cell.gmm_linear.weight.device
        self.latents, self.actions, self.hiddens = cell.latents, cell.actions, cell.hiddens
        self.low, self.high = (torch.from_numpy(x).to(self.device) for x in (starts.low, starts.high))
        self._net = Network(cell, rules.precision)
        self._pool = Beginnings(cell, starts)
        self.num_lanes = 0
        # [action, z, h, c]: M's input and C's are both a run of columns, so nothing is put together at every step.
        self._x = torch.zeros(0, self.actions + self.latents + 2 * self.hiddens, device=self.device)
        self._noise = Noise(0, self.latents)

    @property
    def z(self) -> torch.Tensor:
        """(L, Z), a view."""
        return self._x[: self.num_lanes, self.actions : self.actions + self.latents]

    @property
    def state(self) -> AgentState:
        """(h, c), each (L, R), views."""
        h = self.actions + self.latents
        x = self._x[: self.num_lanes]
        return AgentState(x[:, h : h + self.hiddens], x[:, h + self.hiddens :])

    @property
    def inputs(self) -> torch.Tensor:
        """[z, h, c] (L, Z + 2 R), a view: C takes its first columns."""
        return self._x[: self.num_lanes, self.actions :]

    def begin(self, seeds: Sequence[int]) -> None:
        """As many lanes as there are seeds, each at the beginning of its dream."""
        self.num_lanes, self._noise = 0, Noise(0, self.latents)
        self.grow(len(seeds))
        self.reset(range(self.num_lanes), seeds)

    def grow(self, count: int) -> None:
        """So many lanes more, of which nothing holds before they are reset."""
        before = self._x[: self.num_lanes]
        self.num_lanes += count
        rows = -(-self.num_lanes // self.block) * self.block
        self._x = torch.zeros(rows, self._x.shape[1], device=self.device)
        self._x[: len(before)] = before
        self._noise.grow(count)

    @torch.inference_mode()
    def reset(self, lanes: Sequence[int], seeds: Sequence[int]) -> None:
        """Begin the dream of `seeds[i]` on lane `lanes[i]`."""
        for lane, seed in zip(lanes, seeds, strict=True):
            generator = torch.Generator().manual_seed(derive_seed("dream", seed))
            z, h, c = self._pool.draw(generator, self.rules)
            row = self._x[lane, self.actions :]
            torch.cat([z.clamp(self.low, self.high), h, c], out=row)
            self._noise.begin(lane, generator)

    @torch.inference_mode()
    def step(self, actions: torch.Tensor) -> DreamStep:
        """One step of all lanes.

        Args:
            actions: (L, A), as files store them.

        Raises:
            CheckpointError: M gave something that is not a number.
        """
        n, rules = self.num_lanes, self.rules
        rows = -(-n // self.block) * self.block
        x = self._x[:rows]
        x[:n, : self.actions] = actions
        head = self._net.step(x, self.block)[:n]
        uniform, normal = self._noise.next()
        z = self._net.next_latent(head, rules, uniform[:, 0].to(self.device), normal.to(self.device))
        kept = z.clamp(self.low, self.high)
        self.z.copy_(kept)
        rewards, logits = head[:, -2], head[:, -1].clone()  # the head's memory is the next step's as well
        if not math.isfinite(kept.sum() + head.sum()):
            raise CheckpointError(
                "M dreamed something that is not a number: its weights are broken; train it again (--stage rnn), with "
                "a lower learning rate if it happens again."
            )
        return DreamStep(
            self._rewards(rewards),
            uniform[:, 1].to(self.device) < self.odds_of_end(logits),
            logits,
            (kept != z).sum(dim=-1),
        )

    def _rewards(self, predicted: torch.Tensor) -> torch.Tensor:
        if self.rules.reward == "survival":
            return torch.ones_like(predicted)
        limit = self.rules.reward_limit
        return predicted.clamp(-limit, limit) if limit else predicted.clone()

    def odds_of_end(self, logits: torch.Tensor) -> torch.Tensor:
        """How likely a dream ends at a step with these logits (n,), by the rules: 0 or 1 where they do not draw."""
        if self.rules.terminal == "sampled":
            return (logits - math.log(self.rules.terminal_weight)).sigmoid()
        if self.rules.terminal == "threshold":
            return (logits > math.log(self.rules.threshold / (1 - self.rules.threshold))).float()
        return torch.zeros_like(logits)

    @torch.inference_mode()
    def keep(self, lanes: Sequence[int]) -> None:
        """Go on with these lanes alone, in this order; the others are given up."""
        index = torch.as_tensor(np.asarray(lanes, np.int64))
        self._x[: len(index)] = self._x[index.to(self.device)]
        self._noise.keep(index)
        self.num_lanes = len(index)


def load_dream(
    logdir: str | Path,
    rules: DreamRules,
    block: int = BLOCK,
    device: torch.device | str = "cpu",
) -> Dream:
    """The dream of a run's M, from its starts.

    Raises:
        CheckpointError: there is no M; its terminal head was not trained and `rules` ask to end by it; or its
            starts are of another V or of other sizes.
        DataError: the file of starts is missing or damaged; the message says how to make it.
    """
    path = best_path(logdir, "mdrnn")
    cell = load_cell(logdir, device)
    facts = load_checkpoint(path)
    starts = load_starts(starts_path(logdir))
    seen_by = facts.get("vae_fingerprint")
    if seen_by is not None and seen_by != starts.fingerprint:
        raise CheckpointError(
            f"{starts_path(logdir)} has the latents of another V than {path} was trained on: remove it, and make it "
            "again (--stage rnn, or `world-models dream` with --data_dir)."
        )
    return Dream(cell, starts, settled(rules, facts, path), block)


def _check_sizes(cell: MDRNNCell, starts: DreamStarts) -> None:
    actions = starts.warm_actions.shape[2]
    if (starts.latents, actions) != (cell.latents, cell.actions):
        raise CheckpointError(
            f"The dream's starts have {starts.latents} latents and {actions} actions, M {cell.latents} and "
            f"{cell.actions}: they are from different runs; make them again (--stage rnn)."
        )
