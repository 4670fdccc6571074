"""The dream's driver: candidates evaluated inside M, hundreds of episodes as one batch.

It stands beside `driver.py` and `loop.py`, which are about frames; a dream has none.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from world_models.envs.actions import ActionAdapter
from world_models.envs.registry import env_spec, make_gym
from world_models.errors import CheckpointError
from world_models.models.controller import Controller, Population, controller_outputs, flatten_parameters
from world_models.models.dream import DreamStep, load_dream
from world_models.models.dream_rules import DreamRules
from world_models.models.load import load_controller
from world_models.rollout.consequences import Consequences, consequences
from world_models.types import DoubleArray, Episode, EpisodeResult, IntArray
from world_models.utils.threads import one_torch_thread

LANES = 256  # dreams of one batch, where nothing else is asked for
_REASONS = ("", "terminal", "time_limit", "hopeless")


@dataclass(frozen=True)
class DreamRecipe:
    """All that a dream's driver is built from; as `Recipe`, but for what only frames need."""

    env_name: str
    logdir: str
    rules: DreamRules = field(default_factory=DreamRules)
    num_lanes: int = LANES
    threads: int = 1
    device: str = "cpu"
    time_limit: int = 1000
    hidden_layers: tuple[int, ...] = ()
    use_hidden: bool = True
    use_cell: bool = False
    bias: bool = True
    trained: bool = False
    backend: str = "dream"
    env_kwargs: Mapping[str, object] = field(default_factory=dict)

    def driver(self) -> DreamDriver:
        """What the recipe is for."""
        return DreamDriver(self)


def environment_actions(env_name: str, env_kwargs: Mapping[str, Any] | None = None) -> ActionAdapter:
    """The actions of an environment; it is made for a moment."""
    made_with = env_kwargs or {}
    env = make_gym(env_name, **made_with)
    try:
        return env_spec(env_name, made_with).adapter(env.action_space)
    finally:
        env.close()


class DreamDriver:
    """A dream and C's architecture; made once and used for every shard of episodes.

    Raises:
        CheckpointError: M, its starts or C are missing, or their sizes do not fit.
    """

    def __init__(self, recipe: DreamRecipe) -> None:
        self.recipe = recipe
        self.dream = load_dream(recipe.logdir, recipe.rules, device=recipe.device)
        self.actions = environment_actions(recipe.env_name, recipe.env_kwargs)
        dream = self.dream
        if dream.actions != self.actions.size:
            raise CheckpointError(
                f"M in {recipe.logdir} was trained with {dream.actions} actions, {recipe.env_name} has "
                f"{self.actions.size}: name the environment that M is of."
            )
        if recipe.trained:
            self.controller, _ = load_controller(recipe.logdir, recipe.device)
        else:
            hidden = dream.hiddens if recipe.use_hidden else 0
            more = {"use_cell": recipe.use_cell, "bias": recipe.bias}
            self.controller = Controller(dream.latents, hidden, dream.actions, recipe.hidden_layers, **more)
        self._check_controller()

    def _check_controller(self) -> None:
        sizes = (self.controller.latent_size, self.controller.hidden_size, self.controller.action_size)
        dream = self.dream
        if sizes[0] != dream.latents or sizes[1] not in (0, dream.hiddens) or sizes[2] != dream.actions:
            raise CheckpointError(
                f"C in {self.recipe.logdir} has {sizes[0]} latents, {sizes[1]} hidden units and {sizes[2]} actions, M "
                f"{dream.latents}, {dream.hiddens} and {dream.actions}: train C on this M."
            )

    def evaluate(
        self,
        episodes: Sequence[Episode],
        candidates: DoubleArray | None = None,
        *,
        time_limit: int | None = None,
        hopeless: int | None = None,
    ) -> list[EpisodeResult]:
        """Dream episodes; `Episode.candidate` is a row of `candidates` (N, P), by default C alone.

        Args:
            episodes: Begun in this order; a lane whose episode has ended takes the next one.
            candidates: Flat parameters.
            time_limit: Steps after which an episode is cut.
            hopeless: Steps without a positive reward after which it is given up (None: never).

        Returns:
            One result an episode, in the order of `episodes`.
        """
        if candidates is None:
            candidates = flatten_parameters(self.controller.parameters())[None]
        population = Population(self.controller, candidates)
        limits = (time_limit or self.recipe.time_limit, hopeless)
        with torch.inference_mode(), one_torch_thread():
            return _Shard(self, population, list(episodes), *limits).run()

    def consequences(self, seed: int, count: int, parameters: DoubleArray) -> list[Consequences]:
        """See `rollout.consequences`; a list of one, as an executor wants it."""
        with one_torch_thread():
            return [consequences(self, seed, count, parameters)]

    def close(self) -> None:
        """There is nothing to let go."""


class _Shard:
    """Episodes being dreamed: which lane has which, and how each stands."""

    def __init__(
        self,
        driver: DreamDriver,
        population: Population,
        episodes: list[Episode],
        time_limit: int,
        hopeless: int | None,
    ) -> None:
        self.dream, self.actions = driver.dream, driver.actions
        self.population, self.episodes = population, episodes
        self.time_limit, self.hopeless = time_limit, hopeless
        count = min(driver.recipe.num_lanes, len(episodes))
        self.waiting = deque(range(count, len(episodes)))
        self.index = np.arange(count)  # of each lane's episode; -1: its results are told, and it idles
        self.returns, self.steps = np.zeros(count), np.zeros(count, np.int64)
        self.idle, self.clamped = np.zeros(count, np.int64), np.zeros(count, np.int64)
        self.results: list[EpisodeResult | None] = [None] * len(episodes)

    def run(self) -> list[EpisodeResult]:
        if not self.episodes:
            return []
        self.dream.begin([self.episodes[i].seed for i in self.index])
        self.parameters = [p.to(self.dream.device) for p in self._gathered(self.index)]
        while (self.index >= 0).any():
            raw = controller_outputs(self.parameters, self.dream.inputs)
            reasons = self._add(self.dream.step(self.actions.from_raw(raw)))
            over = np.flatnonzero((reasons > 0) & (self.index >= 0))
            if over.size:
                self._end(over, reasons)
        return [result for result in self.results if result is not None]

    def _gathered(self, indices: IntArray) -> list[torch.Tensor]:
        return self.population.gather(torch.tensor([self.episodes[i].candidate for i in indices]))

    def _add(self, step: DreamStep) -> IntArray:
        """Take a step in; why each lane's episode is over, as an index into `_REASONS`, 0 where it goes on."""
        rewards = step.rewards.cpu().numpy()
        self.returns += rewards
        self.last_rewards = rewards
        self.steps += 1
        self.clamped += step.clamped.cpu().numpy()
        reasons = np.where(self.steps >= self.time_limit, 2, 0)
        if self.hopeless is not None:
            self.idle = np.where(rewards > 0, 0, self.idle + 1)
            reasons[(reasons == 0) & (self.idle >= self.hopeless)] = 3
        reasons[step.terminals.cpu().numpy()] = 1
        return reasons

    def _end(self, over: IntArray, reasons: IntArray) -> None:
        for lane in over:
            where = int(self.index[lane])
            told = (float(self.returns[lane]), int(self.steps[lane]), _REASONS[reasons[lane]])
            last = int(self.clamped[lane]), float(self.last_rewards[lane])
            self.results[where] = EpisodeResult(self.episodes[where], *told, *last)
        self.index[over] = -1
        refilled = over[: len(self.waiting)]
        if refilled.size:
            self._refill(refilled)
        # Idle lanes are let go when that spares a block of rows: to move the others costs something too.
        alive = np.flatnonzero(self.index >= 0)
        block = self.dream.block
        if alive.size and -(-alive.size // block) < -(-len(self.index) // block):
            self._keep(alive)

    def _refill(self, lanes: IntArray) -> None:
        self.index[lanes] = [self.waiting.popleft() for _ in lanes]
        self.dream.reset(lanes.tolist(), [self.episodes[i].seed for i in self.index[lanes]])
        for mine, new in zip(self.parameters, self._gathered(self.index[lanes]), strict=True):
            mine[torch.from_numpy(lanes)] = new.to(mine.device)
        for each in (self.returns, self.steps, self.idle, self.clamped):
            each[lanes] = 0

    def _keep(self, lanes: IntArray) -> None:
        self.dream.keep(lanes.tolist())
        self.parameters = [p[torch.from_numpy(lanes)] for p in self.parameters]
        self.index, self.returns, self.steps = self.index[lanes], self.returns[lanes], self.steps[lanes]
        self.idle, self.clamped = self.idle[lanes], self.clamped[lanes]
