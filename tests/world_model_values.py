"""What the tests of the façade share: latents of noise, pictures, numbers of either kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gymnasium
import numpy as np
import torch

KINDS: list[Callable] = [np.asarray, torch.as_tensor]

ROOT = Path(__file__).parents[1]
ID = "world_models/Dream-v0"
AXES = [(), (3,), (2, 3)]


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def pictures(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def number(value: object) -> np.ndarray:
    return value.numpy() if isinstance(value, torch.Tensor) else np.asarray(value)


def stepped(env: gymnasium.Env, seed: int, actions: np.ndarray) -> dict[str, list]:
    """What the environment gives from a reset on, until it ends."""
    told: dict[str, list] = {
        "states": [env.reset(seed=seed)[0]],
        "rewards": [],
        "terminals": [],
        "ends": [],
        "clamped": [],
    }
    for action in actions:
        state, reward, terminated, _, info = env.step(action)
        for name, value in (("states", state), ("rewards", reward), ("terminals", terminated)):
            told[name].append(value)
        told["ends"].append(info["terminal_probability"]), told["clamped"].append(info["clamped"])
        if terminated:
            break
    return told
