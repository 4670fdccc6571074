"""Real episodes beside which the page dreams: driven, chosen, and warmed up by M."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from world_models.models.mdrnn import MDRNNCell
from world_models.rollout.collect import Recorder
from world_models.rollout.driver import Driver
from world_models.types import FRAME_SIZE, Episode, EpisodeResult, FloatArray, Rollout, UInt8Array
from world_models.vision.frames import images_from_frames
from world_models.vision.VAE.ConvVAE import ConvVAE

COLUMNS = 25
_QUALITY = 85
_BATCH = 256  # frames through V at a time
# Digits that the files keep. M is warmed up on the rounded numbers, so that a page that warms up for itself
# comes to the same state.
_DIGITS = 5
_STATE_DIGITS = 7


@dataclass(frozen=True)
class Recording:
    """An episode's first steps as the page gets them.

    frames (T, 64, 64, 3) uint8; actions (T, A), latents (T, Z), rewards (T,), as rounded as in the file;
    h and c (R,) after `warm_up` steps.
    """

    seed: int
    frames: UInt8Array
    actions: FloatArray
    latents: FloatArray
    rewards: FloatArray
    warm_up: int
    h: FloatArray
    c: FloatArray


def drive_well(driver: Driver, seed: int, count: int, steps: int, tries: int = 3) -> list[tuple[int, Rollout]]:
    """The `count` episodes of most reward among `tries` times as many, in the order of their seeds.

    Args:
        driver: Drives; episodes have the seeds seed, seed + 1, ...
        count: How many to keep.
        steps: Where an episode is cut.
        tries: How many are driven for one that is kept.

    Returns:
        Seed and rollout of each.
    """
    driven: dict[int, Rollout] = {}

    def keep(result: EpisodeResult, rollout: Rollout) -> None:
        driven[result.episode.seed] = rollout

    episodes = [Episode(0, seed + number) for number in range(count * tries)]
    driver.evaluate(episodes, time_limit=steps, listeners=[Recorder(keep)])
    best = sorted(driven.items(), key=lambda item: (-item[1].episode_return, item[0]))[:count]
    return sorted(best, key=lambda item: item[0])


def make_recording(vae: ConvVAE, cell: MDRNNCell, seed: int, rollout: Rollout, warm_up: int) -> Recording:
    """What the page needs of an episode in which the dream begins after `warm_up` steps."""
    latents = _rounded(_means(vae, rollout.observations))
    actions = _rounded(rollout.actions)
    h, c = warmed_up(cell, latents[:warm_up], actions[:warm_up])
    return Recording(
        seed, rollout.observations, actions, latents, _rounded(rollout.rewards), warm_up, h.numpy()[0], c.numpy()[0]
    )


@torch.no_grad()
def warmed_up(cell: MDRNNCell, latents: FloatArray, actions: FloatArray) -> tuple[torch.Tensor, torch.Tensor]:
    """(h, c), each (1, R), of M that has taken in latents (T, Z) and actions (T, A) from an episode's start."""
    state = cell.get_init_hidden(1)
    for z, action in zip(torch.from_numpy(latents), torch.from_numpy(actions), strict=True):
        state = cell.next_hidden(action[None], z[None], state)
    return state


@torch.no_grad()
def _means(vae: ConvVAE, frames: UInt8Array) -> FloatArray:
    parts = (frames[start : start + _BATCH] for start in range(0, len(frames), _BATCH))
    return np.concatenate([vae.encoder(images_from_frames(part))[0].numpy() for part in parts])


def _rounded(values: FloatArray) -> FloatArray:
    return np.asarray(np.round(values.astype(np.float64), _DIGITS), np.float32)


def plain_numbers(values: FloatArray, digits: int = _DIGITS) -> list[Any]:
    """Numbers, or rows of them, as JSON writes them shortest."""
    if values.ndim > 1:
        return [plain_numbers(row, digits) for row in values]
    return [round(float(value), digits) for value in values]


def recording_json(recording: Recording) -> dict[str, Any]:
    """The recording's numbers."""
    return {
        "actions": plain_numbers(recording.actions),
        "latents": plain_numbers(recording.latents),
        "rewards": plain_numbers(recording.rewards),
        "frames": len(recording.frames),
        "columns": COLUMNS,
    }


def start_json(recording: Recording) -> dict[str, Any]:
    """Where the dream begins: the last real latent, and M's state beside it."""
    return {
        "seed": recording.seed,
        "warm_up": recording.warm_up,
        "z": plain_numbers(recording.latents[recording.warm_up]),
        "h": plain_numbers(recording.h, _STATE_DIGITS),
        "c": plain_numbers(recording.c, _STATE_DIGITS),
    }


def sprite_sheet(frames: UInt8Array) -> bytes:
    """Frames (T, 64, 64, 3) as tiles of one JPEG, `COLUMNS` a row; the last row is filled up with black.

    64 pixels are whole blocks of JPEG's, and colours keep their full resolution, so that no tile bleeds into
    its neighbour, and a car of three red pixels stays red.
    """
    rows = -(-len(frames) // COLUMNS)
    tiles = np.zeros((rows * COLUMNS, FRAME_SIZE, FRAME_SIZE, 3), np.uint8)
    tiles[: len(frames)] = frames
    grid = tiles.reshape(rows, COLUMNS, FRAME_SIZE, FRAME_SIZE, 3).swapaxes(1, 2)
    data = io.BytesIO()
    sheet = Image.fromarray(grid.reshape(rows * FRAME_SIZE, COLUMNS * FRAME_SIZE, 3))
    sheet.save(data, "JPEG", quality=_QUALITY, subsampling="4:4:4", optimize=True)
    return data.getvalue()
