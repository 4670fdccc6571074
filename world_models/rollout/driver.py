"""A driver: lanes and a policy built from a recipe of plain values, ready to evaluate or to collect.

The recipe crosses process borders; what it builds does not. Every executor runs drivers, so a shard of
episodes is evaluated by the same code wherever it runs, in the environment or in dreams of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from world_models.datasets.rollout_files import write_rollout
from world_models.envs.choices import POLICIES
from world_models.envs.env_kwargs import env_kwargs_text
from world_models.envs.frames import ResizedLanes
from world_models.envs.mirrored import in_mirror
from world_models.errors import ConfigError, WorkerError
from world_models.models.agent import Agent
from world_models.models.controller import Controller
from world_models.models.dream import Dream, load_dream
from world_models.rollout.collect import Recorder
from world_models.rollout.consequences import Consequences, consequences
from world_models.rollout.experience import Collected, Collector, noise_of_lane, noisy_outputs, seeds_of_lane
from world_models.rollout.loop import Listener, Policy, drive
from world_models.rollout.policies import ControllerPolicy, NoisePolicy
from world_models.rollout.population import around
from world_models.rollout.recipe import (
    Recipe,
    choose_backend,
    make_agent,
    make_controller,
    make_dreams,
    make_lanes,
)
from world_models.rollout.states import Dreamed, Perceived, StateLanes
from world_models.search.algorithms.policy_gradient import Experience
from world_models.types import DoubleArray, Episode, EpisodeResult, Rollout
from world_models.utils.threads import one_torch_thread

__all__ = ["Driver", "Recipe", "choose_backend", "make_agent", "make_lanes"]


class Driver:
    """Lanes and C's architecture; made once and used for every shard.

    Attributes:
        lanes: Of states; of frames for a policy that does not look.
        agent: V, M and C, where the environment is driven by them.
        controller: C's architecture, where there is one.
    """

    def __init__(self, recipe: Recipe) -> None:
        if recipe.policy not in POLICIES:
            raise ConfigError(f"policy={recipe.policy!r} is unknown: it is one of {', '.join(POLICIES)}.")
        if recipe.policy == "agent" and not recipe.draw:
            raise ConfigError("draw=False would have the agent drive blind: it is for policies that do not look.")
        self.recipe = recipe
        self.agent: Agent | None = None
        self.controller: Controller | None = None
        self.lanes = self._make_lanes(recipe, recipe.time_limit if recipe.sample_latents else 0)
        self._dream: Dream | None = None
        self._collector: tuple[Collector, list[torch.Generator]] | None = None
        self._collecting: tuple[Recipe, StateLanes] | None = None

    def _make_lanes(self, recipe: Recipe, horizon: int = 0) -> ResizedLanes | Perceived | Dreamed:
        if recipe.world == "dream":
            dreams = make_dreams(recipe)
            dream = dreams.dream
            self.controller = make_controller(recipe, dream.latents, dream.hiddens, dream.actions)
            return dreams
        frames = ResizedLanes(make_lanes(recipe))
        if recipe.policy != "agent":
            return frames
        self.agent = self.agent or make_agent(recipe, frames.actions)
        self.controller = self.agent.controller
        return Perceived(frames, self.agent, horizon)

    def _policy(self, candidates: DoubleArray | None) -> Policy:
        if self.recipe.policy == "agent":
            return ControllerPolicy(*self.states(), candidates)
        drift = self.lanes.spec.drift_of(self.lanes.actions)
        return NoisePolicy(self.lanes.actions, self.recipe.time_limit, self.recipe.policy, drift)

    def states(self) -> tuple[StateLanes, Controller]:
        """The lanes, which are of states, and C that acts on them.

        Raises:
            ConfigError: a random policy drives, which sees frames.
        """
        if isinstance(self.lanes, ResizedLanes) or self.controller is None:
            raise ConfigError("Only an agent has states: give the recipe the policy 'agent'.")
        return self.lanes, self.controller

    def evaluate(
        self,
        episodes: Sequence[Episode],
        candidates: DoubleArray | None = None,
        *,
        time_limit: int | None = None,
        early_termination: int | None = None,
        listeners: Sequence[Listener] = (),
    ) -> list[EpisodeResult]:
        """Drive episodes, one result for each; `Episode.candidate` is a row of `candidates` (N, P), by default C alone.

        Args:
            episodes: Begun in this order.
            candidates: Flat parameters.
            time_limit, early_termination, listeners: See `rollout.loop.Loop`.
        """
        limits: Any = {"time_limit": time_limit or self.recipe.time_limit, "early_termination": early_termination}
        with torch.inference_mode(), one_torch_thread():
            return drive(self.lanes, self._policy(candidates), episodes, listeners=listeners, **limits)

    def experience(
        self,
        parameters: DoubleArray,
        action_noise: float,
        steps: int,
        *,
        seeds: Sequence[int] | None,
        time_limit: int | None = None,
        early_termination: int | None = None,
        mirrored: bool = False,
    ) -> list[Collected]:
        """Experience for the policy gradient (`rollout.experience`), a list of one, as an executor wants it.

        Args:
            parameters: C's, flat (P,).
            action_noise: Standard deviation of the noise on its outputs.
            steps: Of each lane.
            seeds: Of lanes to begin; None: the lanes that are there go on.
            time_limit, early_termination: When an episode of lanes that begin is over.
            mirrored: Half of the episodes of lanes that begin are in the mirror.

        Raises:
            WorkerError: there are no lanes to go on with; whoever had them died.
        """
        if seeds is not None:
            self._begin(seeds, time_limit or self.recipe.time_limit, early_termination, mirrored)
        if self._collector is None:
            raise WorkerError(
                "A worker died, and its lanes with it; start again, and the run goes on from its last generation."
            )
        collector, noise = self._collector
        _, controller = self.states()
        with one_torch_thread():
            act = noisy_outputs(collector.lanes, controller, parameters, noise, action_noise, steps)
            found = collector.collect(act, steps)
        return [found._replace(experience=Experience(*(x.cpu() for x in found.experience)))]

    def _begin(self, seeds: Sequence[int], time_limit: int, early: int | None, mirrored: bool) -> None:
        _, controller = self.states()
        wanted = replace(self.recipe, num_lanes=len(seeds), mirrored=mirrored)
        if self._collecting is None or self._collecting[0] != wanted:
            if self._collecting is not None:
                self._collecting[1].close()
            made = self._make_lanes(wanted)
            assert not isinstance(made, ResizedLanes)
            self._collecting = wanted, made
        lanes = self._collecting[1]
        endless = [seeds_of_lane(seed) for seed in seeds]
        collector = Collector(lanes, endless, controller.inputs, time_limit, early, progress=True)
        self._collector = collector, [noise_of_lane(seed) for seed in seeds]

    def consequences(self, seed: int, count: int, parameters: DoubleArray) -> list[Consequences]:
        """See `rollout.consequences`; a list of one, as an executor wants it."""
        lanes, controller = self.states()
        if self._dream is None:
            of_lanes = lanes.dream if isinstance(lanes, Dreamed) else None
            self._dream = of_lanes or load_dream(str(self.recipe.logdir), self.recipe.rules, device=self.recipe.device)
        with one_torch_thread():
            return [consequences(lanes, self._dream, controller, parameters, seed, count, self.recipe.time_limit)]

    def collect(self, paths: Mapping[int, str], early_termination: int | None = None) -> list[EpisodeResult]:
        """Drive one episode a seed and write it to its path; a file is there whole or not at all."""
        if self.recipe.world == "dream":
            raise ConfigError("A dream has no frames to write to files: collect in the environment.")
        made_with = env_kwargs_text(self.recipe.env_kwargs)

        def save(result: EpisodeResult, rollout: Rollout) -> None:
            seed = result.episode.seed
            write_rollout(
                Path(paths[seed]),
                rollout,
                {
                    "env_id": self.lanes.spec.env_id,
                    "backend": self.lanes.backend,
                    "seed": seed,
                    "policy": self.recipe.policy,
                    "mirrored": self.recipe.mirrored and in_mirror(seed),
                    **({"env_kwargs": made_with} if made_with else {}),
                },
            )

        candidates = None
        if self.agent is not None and self.recipe.spread and self.recipe.logdir is not None:
            candidates = around(self.recipe.logdir, self.agent.controller, list(paths), self.recipe.spread)
        episodes = [Episode(0 if candidates is None else row, seed) for row, seed in enumerate(paths)]
        return self.evaluate(episodes, candidates, early_termination=early_termination, listeners=[Recorder(save)])

    def close(self) -> None:
        """Let the environments go."""
        self.lanes.close()
        if self._collecting is not None:
            self._collecting[1].close()
