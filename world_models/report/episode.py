"""One episode as it was driven, with the pictures that the environment drew."""

from __future__ import annotations

from dataclasses import dataclass, replace

import gymnasium
import numpy as np
from gymnasium.envs.registration import load_env_creator
from PIL import Image

from world_models.envs.registry import canonical_id
from world_models.rollout.driver import Driver, Recipe
from world_models.rollout.loop import Transition
from world_models.types import DoubleArray, Episode, EpisodeResult, FloatArray, Rollout, UInt8Array
from world_models.utils.threads import cpu_count

_TALLEST = 288  # a taller frame is made smaller as it comes: a thousand of 400x600 would take 720 MB
_USUAL_FPS = 30.0


@dataclass(frozen=True)
class FilmedEpisode:
    """An episode that was watched.

    Attributes:
        pictures: What the agent is shown, (T, H, W, 3) uint8: native frames without the rows that are cut off,
            at most 288 pixels tall.
        rollout: The same moments as they would be stored.
        result: Seed, return, steps, and what ended it.
        fps: Pictures a second as the environment means them.
    """

    pictures: UInt8Array
    rollout: Rollout
    result: EpisodeResult
    fps: float


def film(
    recipe: Recipe, seed: int, candidate: DoubleArray | None = None, *, time_limit: int | None = None
) -> FilmedEpisode:
    """Drives one episode and keeps it.

    Args:
        recipe: Who drives, and where.
        seed: Of the episode.
        candidate: C's parameters (P,); by default the recipe's own.
        time_limit: Steps at most; by default the recipe's.
    """
    driver = Driver(replace(recipe, num_lanes=1, threads=cpu_count()))
    reel = _Reel(driver.lanes.spec.rows)
    try:
        episodes, candidates = [Episode(0, seed)], None if candidate is None else candidate[None]
        (result,) = driver.evaluate(episodes, candidates, time_limit=time_limit, listeners=[reel])
    finally:
        driver.close()
    return FilmedEpisode(np.stack(reel.pictures), reel.rollout(), result, frames_per_second(recipe.env_name))


class _Reel:
    """A listener that keeps one episode."""

    def __init__(self, rows: int | None) -> None:
        self.rows = rows
        self.pictures: list[UInt8Array] = []
        self.frames: list[UInt8Array] = []
        self.actions: list[FloatArray] = []
        self.rewards: list[float] = []
        self.terminals: list[float] = []

    def transition(self, transition: Transition) -> None:
        self.pictures.append(shown(transition.native_frames[0], self.rows))
        self.frames.append(transition.frames[0].copy())
        self.actions.append(transition.actions[0].copy())
        self.rewards.append(float(transition.step.rewards[0]))
        self.terminals.append(float(transition.step.terminals[0]))

    def ended(self, lane: int, result: EpisodeResult) -> None:
        """Nothing more to keep."""

    def rollout(self) -> Rollout:
        rewards, terminals = (np.array(each, np.float32) for each in (self.rewards, self.terminals))
        return Rollout(np.stack(self.frames), np.stack(self.actions), rewards, terminals)


def shown(native: UInt8Array, rows: int | None) -> UInt8Array:
    """What the agent is shown of a native frame (H, W, 3), made smaller where it is tall; a copy."""
    kept = native[:rows]
    if len(kept) <= _TALLEST:
        return kept.copy()
    size = (round(kept.shape[1] * _TALLEST / len(kept)), _TALLEST)
    return np.asarray(Image.fromarray(kept).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0))


def frames_per_second(env_name: str) -> float:
    """An environment's own `render_fps`; 30 where it has none."""
    spec = gymnasium.spec(canonical_id(env_name).rpartition(":")[2])
    creator = spec.entry_point if callable(spec.entry_point) else load_env_creator(str(spec.entry_point))
    return float(getattr(creator, "metadata", {}).get("render_fps") or _USUAL_FPS)
