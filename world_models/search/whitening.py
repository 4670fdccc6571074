"""The states [z, h] (or [z, h, c]) that evolution's space is whitened with: what C sees on a drive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch

from world_models.models.agent import Agent
from world_models.rollout.collect import Recorder
from world_models.rollout.driver import Driver, Recipe, make_agent
from world_models.types import DoubleArray, Episode, EpisodeResult, Rollout

STEPS = 300  # of an episode: by then correlated noise has left the road
_EARLY_TERMINATION = 60


def states_of(agent: Agent, rollout: Rollout) -> npt.NDArray[np.float32]:
    """[z[t], h[t]] (T, Z + R) of a rollout: what C would have seen at each step; where the agent's C sees c,
    [z[t], h[t], c[t]] (T, Z + 2 R)."""
    frames = torch.from_numpy(rollout.observations)
    actions = torch.from_numpy(rollout.actions).to(agent.device)
    latents = torch.cat([agent.encode(part) for part in torch.split(frames, 64)])
    h, c = agent.start(1)
    memories = []
    with torch.no_grad():
        for action, latent in zip(actions[:, None], latents[:, None], strict=True):
            memories.append(torch.cat([h, c], -1) if agent.controller.use_cell else h)
            h, c = agent.cell.next_hidden(action, latent, (h, c))
    return torch.cat([latents, torch.cat(memories)], -1).cpu().numpy()


def states_of_noise(recipe: Recipe, seeds: Sequence[int], use_hidden: bool) -> npt.NDArray[np.float32]:
    """States of correlated-noise episodes with these seeds, (n, Z + R) or (n, Z + 2 R), or (n, Z) without h."""
    noisy = replace(recipe, policy="brownian", time_limit=min(STEPS, recipe.time_limit))
    return _driven(noisy, [Episode(0, seed) for seed in seeds], None, use_hidden)[0]


def states_of_driving(
    recipe: Recipe, candidates: DoubleArray, seeds: Sequence[int], use_hidden: bool
) -> tuple[npt.NDArray[np.float32], list[EpisodeResult]]:
    """What controllers (n, P) see, each in the episode of its seed, as `states_of_noise`; and how those ended."""
    return _driven(recipe, [Episode(k, seed) for k, seed in enumerate(seeds)], candidates, use_hidden)


def _driven(
    recipe: Recipe, episodes: Sequence[Episode], candidates: DoubleArray | None, use_hidden: bool
) -> tuple[npt.NDArray[np.float32], list[EpisodeResult]]:
    driver = Driver(recipe)
    try:
        agent = driver.agent or make_agent(recipe, driver.lanes.actions)
        found: dict[int, npt.NDArray[np.float32]] = {}

        def keep(result: EpisodeResult, rollout: Rollout) -> None:
            found[result.episode.seed] = states_of(agent, rollout)

        early = _EARLY_TERMINATION if driver.lanes.spec.early_termination else None
        results = driver.evaluate(episodes, candidates, early_termination=early, listeners=[Recorder(keep)])
    finally:
        driver.close()
    states = np.concatenate([found[episode.seed] for episode in episodes])
    return states if use_hidden else states[:, : agent.cell.latents], results
