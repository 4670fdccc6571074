"""One episode as it was driven, with the pictures that the environment drew."""

from __future__ import annotations

from dataclasses import dataclass, replace

import gymnasium
import numpy as np
from gymnasium.envs.registration import load_env_creator
from PIL import Image

from world_models.envs.registry import canonical_id
from world_models.rollout.collect import Recorder
from world_models.rollout.driver import Driver, Recipe
from world_models.rollout.loop import Transition
from world_models.types import DoubleArray, Episode, EpisodeResult, Rollout, UInt8Array
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
    return FilmedEpisode(np.stack(reel.pictures), reel.rollout, result, frames_per_second(recipe.env_name))


class _Reel(Recorder):
    """A recorder that keeps one episode, with its pictures."""

    def __init__(self, rows: int | None) -> None:
        super().__init__(self._keep)
        self.rows, self.pictures = rows, list[UInt8Array]()

    def transition(self, transition: Transition) -> None:
        super().transition(transition)
        self.pictures.append(shown(transition.native_frames[0], self.rows))

    def _keep(self, result: EpisodeResult, rollout: Rollout) -> None:
        self.rollout = rollout


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
