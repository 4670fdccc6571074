"""Runs to dream in: starts of noise, and M by hand whose best action is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from tests.small_envs import STEER
from tests.small_runs import GAUSSIANS, HIDDENS, LATENTS, save_mdrnn, save_vae
from world_models.datasets.dream_starts import DreamStarts, save_starts, starts_path
from world_models.models.mdrnn import MDRNN, MDRNNCell
from world_models.utils.run_dir import best_path, save_checkpoint

ACTIONS = 2
RANGE = 3.0


def some_starts(
    latents: int = LATENTS, actions: int = ACTIONS, count: int = 6, width: int = 5, env_name: str = STEER
) -> DreamStarts:
    """Starts of noise; the latents' range is -3 to 3."""
    rng = np.random.default_rng(4)

    def noise(*shape: int) -> np.ndarray:
        return np.clip(rng.standard_normal(shape), -2, 2).astype(np.float32)

    edge = np.full(latents, RANGE, np.float32)
    return DreamStarts(
        first_mu=noise(count, latents),
        first_logsigma=noise(count, latents) - 4,
        warm_mu=noise(count, width, latents),
        warm_logsigma=noise(count, width, latents) - 4,
        warm_actions=noise(count, width, actions),
        low=-edge,
        high=edge,
        fingerprint="a V",
        env_name=env_name,
    )


def random_cell(seed: int = 0, scale: float = 1.0, actions: int = ACTIONS) -> MDRNNCell:
    """M with weights of chance, `scale` times as large as usual."""
    torch.manual_seed(seed)
    cell = MDRNNCell(LATENTS, actions, HIDDENS, GAUSSIANS).eval()
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.mul_(scale)
    return cell


def hand_made(goals: tuple[float, ...], steepness: float = 6.0) -> MDRNN:
    """M that forgets everything but the last action, and rewards it the more the nearer it is to `goals` (A,).

    The reward is a bump at each goal, 2 tanh(tanh(k / 10)) high and 0 far away. Latents stay about 0 and do not
    depend on anything.
    """
    mdrnn = MDRNN(LATENTS, len(goals), HIDDENS, GAUSSIANS).eval()
    r = HIDDENS
    with torch.no_grad():
        for parameter in mdrnn.parameters():
            parameter.zero_()
        bias = mdrnn.rnn.bias_ih_l0
        bias[:r], bias[r : 2 * r], bias[3 * r :] = 30, -30, 30  # input, forget and output gates: open, shut, open
        for k, goal in enumerate(goals):
            for unit, place, sign in ((2 * k, goal - 0.1, 1), (2 * k + 1, goal + 0.1, -1)):
                mdrnn.rnn.weight_ih_l0[2 * r + unit, k] = steepness
                bias[2 * r + unit] = -steepness * place
                mdrnn.gmm_linear.weight[-2, unit] = sign
        stride = GAUSSIANS * LATENTS
        mdrnn.gmm_linear.bias[stride : 2 * stride] = -2  # logsigma
    return mdrnn


def best_reward(goals: tuple[float, ...], steepness: float = 6.0) -> float:
    """What `hand_made` rewards at most a step."""
    return len(goals) * 2 * float(np.tanh(np.tanh(steepness * 0.1)))


def save_dream(folder: Path, mdrnn: MDRNN | None = None, env_name: str = STEER, **facts: object) -> Path:
    """V, M (by default of chance) and its starts in a run's folder, which is returned."""
    save_vae(folder)
    if mdrnn is None:
        mdrnn = save_mdrnn(folder)
    save_checkpoint(best_path(folder, "mdrnn"), {"state_dict": mdrnn.state_dict(), **mdrnn.sizes, **facts})
    save_starts(starts_path(folder), some_starts(actions=mdrnn.actions, env_name=env_name))
    return folder
