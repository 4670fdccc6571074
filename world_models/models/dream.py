"""The dream: M as an environment, many lanes at a time (Ha & Schmidhuber 2018, section 4).

One step: (z[t], a[t], (h, c)[t]) -> M -> mixture, reward r[t], terminal logit d[t], (h, c)[t+1]; then z[t+1] is drawn
from the mixture. All noise of an episode comes from its own seed.

Rows are computed in blocks of a fixed size, as in `models/agent.py`: what a lane dreams does not depend on how many
others there are, or on where it stands among them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from world_models.datasets.dream_starts import DreamStarts, load_starts, starts_path
from world_models.errors import CheckpointError, ConfigError
from world_models.models.load import load_cell
from world_models.models.mdrnn import MDRNNCell
from world_models.models.sampling import pick_component, point_of
from world_models.types import AgentState
from world_models.utils.precision import fast_precision
from world_models.utils.run_dir import best_path, load_checkpoint
from world_models.utils.seeding import derive_seed

BLOCK = 128  # rows of one matrix product: fewer cost speed, more are wasted where episodes run out
_CHUNK = 32  # steps of noise drawn at a time

TERMINALS = ("auto", "threshold", "sampled", "never")
STARTS = ("both", "first", "warm")
REWARDS = ("predicted", "survival")
PRECISIONS = ("auto", "fp32", "bf16")


@dataclass(frozen=True)
class DreamRules:
    """How to dream; plain values.

    Attributes:
        temperature: Divides the mixture's log weights and multiplies its variances; 1 is M as trained.
        deterministic: The limit of temperature 0: the likeliest component's mean, and starts without noise.
        terminal: What ends a dream: "threshold": M's terminal probability is above `threshold` (the reference
            implementation's rule); "sampled": a draw of it; "never": the step limit alone; "auto": "threshold"
            where M's terminal head was trained to be used, else "never".
        terminal_weight: How many times too high M's odds of a terminal are, for it was trained with terminals so
            weighted: undone where terminals are sampled; `load_dream` knows it.
        threshold: See `terminal`.
        starts: "first": first frames; "warm": after a real sequence; "both": half of each.
        reward: "predicted": M's; "survival": 1 a step, for M that was trained without rewards.
        reward_limit: Largest absolute reward of a step, against an M that promises too much; 0: none.
        precision: Of M's matrix products: "fp32", "bf16", or "auto" for what the device computes faster.

    Raises:
        ConfigError: a value that cannot work.
    """

    temperature: float = 1.0
    deterministic: bool = False
    terminal: str = "auto"
    threshold: float = 0.5
    terminal_weight: float = 1.0
    starts: str = "both"
    reward: str = "predicted"
    reward_limit: float = 0.0
    precision: str = "auto"

    def __post_init__(self) -> None:
        if not 0 < self.temperature < math.inf:
            raise ConfigError(
                f"temperature={self.temperature!r} cannot work: give a finite number above 0 (deterministic is the "
                "limit of 0)."
            )
        if not 0 < self.terminal_weight < math.inf:
            raise ConfigError(f"terminal_weight={self.terminal_weight!r} cannot work: give a number above 0.")
        if not 0 < self.threshold < 1:
            raise ConfigError(f"threshold={self.threshold!r} cannot work: give a probability between 0 and 1.")
        if not 0 <= self.reward_limit < math.inf:
            raise ConfigError(f"reward_limit={self.reward_limit!r} cannot work: give a finite number of at least 0.")
        named = {"terminal": TERMINALS, "starts": STARTS, "reward": REWARDS, "precision": PRECISIONS}
        for name, choices in named.items():
            if getattr(self, name) not in choices:
                raise ConfigError(f"{name}={getattr(self, name)!r} is unknown: it is one of {', '.join(choices)}.")


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
    """Lanes in which M dreams: `begin` as many as there are seeds, `step` all, `reset` some, `keep` some.

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
        self._net = _Network(cell, rules.precision)
        self._pool = _Beginnings(cell, starts)
        self.num_lanes = 0
        # [action, z, h, c]: M's input and C's are both a run of columns, so nothing is put together at every step.
        self._x = torch.zeros(0, self.actions + self.latents + 2 * self.hiddens, device=self.device)
        self._noise = _Noise(0, self.latents)

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
        self.num_lanes = len(seeds)
        rows = -(-self.num_lanes // self.block) * self.block
        self._x = torch.zeros(rows, self._x.shape[1], device=self.device)
        self._noise = _Noise(self.num_lanes, self.latents)
        self.reset(range(self.num_lanes), seeds)

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
            self._rewards(rewards), self._terminals(logits, uniform[:, 1]), logits, (kept != z).sum(dim=-1)
        )

    def _rewards(self, predicted: torch.Tensor) -> torch.Tensor:
        if self.rules.reward == "survival":
            return torch.ones_like(predicted)
        limit = self.rules.reward_limit
        return predicted.clamp(-limit, limit) if limit else predicted.clone()

    def _terminals(self, logits: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
        if self.rules.terminal == "sampled":
            return uniform.to(self.device) < (logits - math.log(self.rules.terminal_weight)).sigmoid()
        if self.rules.terminal == "threshold":
            return logits > math.log(self.rules.threshold / (1 - self.rules.threshold))
        return torch.zeros_like(logits, dtype=torch.bool)

    @torch.inference_mode()
    def keep(self, lanes: Sequence[int]) -> None:
        """Go on with these lanes alone, in this order; the others are given up."""
        index = torch.as_tensor(np.asarray(lanes, np.int64))
        self._x[: len(index)] = self._x[index.to(self.device)]
        self._noise.keep(index)
        self.num_lanes = len(index)


class _Network:
    """M's cell and head as plain matrix products on rows [action, z, h, c], whose h and c it replaces."""

    def __init__(self, cell: MDRNNCell, precision: str) -> None:
        weight = cell.gmm_linear.weight
        precision = fast_precision(weight.device) if precision == "auto" else precision
        self.dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        self.gaussians, self.latents, self.hiddens = cell.gaussians, cell.latents, cell.hiddens
        joined = torch.cat([cell.rnn.weight_ih, cell.rnn.weight_hh], dim=1).detach().clone()
        bias = (cell.rnn.bias_ih + cell.rnn.bias_hh).detach().clone()
        # tanh(x) = 2 sigmoid(2 x) - 1: PyTorch's tanh takes five times as long as its sigmoid, in all half of a step.
        for part in (joined, bias):
            part[2 * cell.hiddens : 3 * cell.hiddens] *= 2
        self._gates = _Product(joined, bias, self.dtype)
        self._head = _Product(cell.gmm_linear.weight, cell.gmm_linear.bias, self.dtype)

    def step(self, x: torch.Tensor, block: int) -> torch.Tensor:
        """The head's output for rows (n, A + Z + 2 R); n is a multiple of `block`."""
        r = self.hiddens
        h, c = x[:, -2 * r : -r], x[:, -r:]
        i, f, g, o = self._gates(x[:, :-r], block).sigmoid_().chunk(4, dim=1)
        c.mul_(f).addcmul_(i, g.mul_(2).sub_(1))
        torch.mul(o, (2 * c).sigmoid_().mul_(2).sub_(1), out=h)
        return self._head(h, block)

    def next_latent(
        self, head: torch.Tensor, rules: DreamRules, pick: torch.Tensor, noise: torch.Tensor
    ) -> torch.Tensor:
        """`sample_mixture` of the head, of which only the chosen component's mu and sigma are looked at."""
        k, z = self.gaussians, self.latents
        lanes = torch.arange(len(head), device=head.device)
        mus, logsigmas = (head[:, start : start + k * z].reshape(-1, k, z) for start in (0, k * z))
        logits = head[:, 2 * k * z : -2]  # logpi but for a constant, of which neither use depends
        if rules.deterministic:
            return mus[lanes, logits.argmax(-1)]
        component = pick_component(logits, rules.temperature, pick)
        return point_of(mus[lanes, component], logsigmas[lanes, component].exp(), rules.temperature, noise)


class _Product:
    """x W^T + b in float32, block by block, computed in `dtype`."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor, dtype: torch.dtype) -> None:
        self.weight = weight.detach().to(dtype).t()
        self.bias = bias.detach().to(dtype)
        self._out = torch.empty(0, len(bias), dtype=dtype, device=weight.device)

    def __call__(self, x: torch.Tensor, block: int) -> torch.Tensor:
        if len(self._out) < len(x):
            self._out = self._out.new_empty(len(x), self._out.shape[1])
        x, out = x.to(self.weight.dtype), self._out[: len(x)]
        for start in range(0, len(x), block):
            rows = slice(start, start + block)
            torch.addmm(self.bias, x[rows], self.weight, out=out[rows])
        return out.float()


class _Beginnings:
    """The starts with M warmed up on the sequences."""

    def __init__(self, cell: MDRNNCell, starts: DreamStarts) -> None:
        device = cell.gmm_linear.weight.device
        mu, logsigma, actions = (
            torch.from_numpy(x).to(device) for x in (starts.warm_mu, starts.warm_logsigma, starts.warm_actions)
        )
        h, c = cell.get_init_hidden(len(mu))
        with torch.inference_mode():
            for t in range(mu.shape[1] - 1):  # the last row's action is C's to choose
                h, c = cell.next_hidden(actions[:, t], mu[:, t], (h, c))
        self._warm = (mu[:, -1], logsigma[:, -1].exp(), h, c)
        first_mu, first_logsigma = (torch.from_numpy(x).to(device) for x in (starts.first_mu, starts.first_logsigma))
        zeros = torch.zeros(len(first_mu), cell.hiddens, device=device)
        self._first = (first_mu, first_logsigma.exp(), zeros, zeros)

    def draw(self, generator: torch.Generator, rules: DreamRules) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """z (Z,), h and c (R,) of one start."""
        which, place = torch.rand(2, generator=generator, dtype=torch.float64).tolist()
        warm = rules.starts == "warm" or (rules.starts == "both" and which < 0.5)
        mu, sigma, h, c = self._warm if warm else self._first
        index = int(place * len(mu))
        noise = torch.randn(mu.shape[1], generator=generator).to(mu.device)
        z = mu[index] if rules.deterministic else mu[index] + sigma[index] * noise
        return z, h[index], c[index]


class _Noise:
    """Each lane's noise from a generator of its own, drawn for some steps at a time."""

    def __init__(self, num_lanes: int, latents: int) -> None:
        self._uniform = torch.zeros(num_lanes, _CHUNK, 2)
        self._normal = torch.zeros(num_lanes, _CHUNK, latents)
        self._time = torch.zeros(num_lanes, dtype=torch.long)
        self._together: int | None = 0  # the time of all lanes, while it is one
        self._lanes = torch.arange(num_lanes)
        self._generators = [torch.Generator() for _ in range(num_lanes)]

    def begin(self, lane: int, generator: torch.Generator) -> None:
        """A new episode on a lane."""
        self._generators[lane] = generator
        self._time[lane] = 0
        self._together = 0 if self._together == 0 else None

    def next(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Uniform (L, 2) and standard normal (L, Z) numbers of the next step."""
        now = self._time % _CHUNK
        if self._together is None or self._together % _CHUNK == 0:
            self._draw(torch.nonzero(now == 0).flatten().tolist())
        self._time += 1
        if self._together is None:
            return self._uniform[self._lanes, now], self._normal[self._lanes, now]
        at = self._together % _CHUNK
        self._together += 1
        return self._uniform[:, at], self._normal[:, at]

    def _draw(self, lanes: list[int]) -> None:
        for lane in lanes:
            torch.rand(_CHUNK, 2, generator=self._generators[lane], out=self._uniform[lane])
            torch.randn(_CHUNK, self._normal.shape[2], generator=self._generators[lane], out=self._normal[lane])

    def keep(self, lanes: torch.Tensor) -> None:
        """These lanes alone, in this order."""
        self._uniform, self._normal, self._time = self._uniform[lanes], self._normal[lanes], self._time[lanes]
        self._generators = [self._generators[lane] for lane in lanes.tolist()]
        self._lanes = torch.arange(len(lanes))


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


def settled(rules: DreamRules, facts: Mapping[str, Any], where: str | Path) -> DreamRules:
    """`rules` with what M's checkpoint `facts` decide: the terminal "auto", and the terminal's weight.

    Raises:
        CheckpointError: the dream shall end by a terminal head that was not trained for it.
    """
    trained = bool(facts.get("terminal_trained", False))
    if rules.terminal == "auto":
        rules = replace(rules, terminal="threshold" if trained else "never")
    if rules.terminal != "never" and not trained:
        raise CheckpointError(
            f"M in {where} has no terminal head that was trained to be used, and terminal={rules.terminal!r} asks to "
            "end by it: use terminal='never', or train M on episodes that end (terminal_weight)."
        )
    return replace(rules, terminal_weight=float(facts.get("terminal_weight", 1.0)))


def _check_sizes(cell: MDRNNCell, starts: DreamStarts) -> None:
    actions = starts.warm_actions.shape[2]
    if (starts.latents, actions) != (cell.latents, cell.actions):
        raise CheckpointError(
            f"The dream's starts have {starts.latents} latents and {actions} actions, M {cell.latents} and "
            f"{cell.actions}: they are from different runs; make them again (--stage rnn)."
        )
