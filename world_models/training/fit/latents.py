"""Frames into latents: once for all of them (`precompute_latents`), or a batch at a time (`to_latent`).

What is stored is mu and logsigma; z = mu + exp(logsigma) * eps is drawn afresh for each batch, as the paper's
training of M does (Ha & Schmidhuber 2018, appendix A.2).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from world_models.configs.wm_config import WMMDNRNNConfig, WMVAEConfig
from world_models.datasets.dream_starts import make_starts, save_starts, starts_path
from world_models.datasets.frame_cache import FrameCache
from world_models.datasets.latents import Latents, load_latents, save_latents, vae_fingerprint
from world_models.datasets.rollout_files import read_meta
from world_models.errors import CheckpointError, DataError
from world_models.models.load import load_vae
from world_models.utils.device import resolve_device
from world_models.utils.progress import Progress
from world_models.utils.run_dir import best_path
from world_models.utils.seeding import derive_seed
from world_models.vision.latents import FRAMES_AT_ONCE, draw_latents, encode
from world_models.vision.VAE.ConvVAE import ConvVAE

_LOG = logging.getLogger(__name__)
_FRAMES_FOR_STARTS = 10_000


class LatentSource(NamedTuple):
    """The trained V, the frames, and the file in which its latents of them belong."""

    vae: ConvVAE
    fingerprint: str
    cache: FrameCache
    path: Path


def latent_source(vae_config: WMVAEConfig, mdrnn_config: WMMDNRNNConfig) -> LatentSource:
    """The V of `vae_config.logdir` and the frames of `mdrnn_config.data_dir`.

    Raises:
        CheckpointError: There is no V (train the vae stage), or its latent size is not M's.
        DataError: There are no rollouts, or one breaks the schema.
    """
    vae = load_vae(vae_config.logdir, resolve_device(mdrnn_config.device))
    if vae.latent_size != mdrnn_config.latent_size:
        raise CheckpointError(
            f"{best_path(vae_config.logdir, 'vae')}: latent_size is {vae.latent_size} in the checkpoint and "
            f"{mdrnn_config.latent_size} in M's settings; set it to {vae.latent_size}, or train another V"
        )
    vae = vae.requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    path = Path(mdrnn_config.data_dir) / "latents" / f"latents_{vae.latent_size}.npz"
    return LatentSource(vae, vae_fingerprint(vae.state_dict()), FrameCache.open(mdrnn_config.data_dir), path)


def precompute_latents(vae_config: WMVAEConfig, mdrnn_config: WMMDNRNNConfig) -> Path:
    """Encodes all frames with the trained V into `<data_dir>/latents/latents_<Z>.npz`, and returns its path.

    A file that this very V made from these very rollouts is left as it is; any other is made anew, which the
    log says.

    Raises:
        CheckpointError: There is no V (train the vae stage), or its latent size is not M's.
        DataError: There are no rollouts, or one breaks the schema.
    """
    source = latent_source(vae_config, mdrnn_config)
    read_or_make(source)
    return source.path


def read_or_make(source: LatentSource) -> Latents:
    """The latents of `source`, from its file where that is current; the file is current afterwards."""
    if source.path.exists():
        try:
            return load_latents(source.path, source.fingerprint, source.cache.fingerprint)
        except DataError as error:
            _LOG.warning("the latents are made anew: %s", error)
    latents = _make(source)
    save_latents(source.path, latents)
    return latents


def write_starts(source: LatentSource, logdir: str | Path, latents: Latents | None = None, seed: int = 0) -> Path:
    """Writes where M's dreams may begin, beside M: `<logdir>/mdrnn/starts.npz`, which is returned.

    Without `latents` of all frames some thousand frames are encoded for it.
    """
    cache = source.cache
    if latents is None:
        count = min(len(cache.files), max(1, _FRAMES_FOR_STARTS * len(cache.files) // int(cache.lengths.sum())))
        latents = _make(source, np.unique(np.linspace(0, len(cache.files) - 1, count).astype(np.int64)).tolist())
    meta = read_meta(cache.files[0])
    env_name, env_kwargs = (str(meta.get(name, "")) for name in ("env_id", "env_kwargs"))
    path = starts_path(logdir)
    save_starts(path, make_starts(latents, env_name, derive_seed(seed, "dream starts"), env_kwargs))
    return path


def _make(source: LatentSource, episodes: Sequence[int] | None = None) -> Latents:
    cache = source.cache
    episodes = range(len(cache.files)) if episodes is None else episodes
    rows = cache.rows_of(episodes)
    mu = np.empty((len(rows), source.vae.latent_size), np.float32)
    logsigma = np.empty_like(mu)
    with Progress("latents", len(rows), "frame") as progress:
        for start in range(0, len(rows), FRAMES_AT_ONCE):
            part = slice(start, start + FRAMES_AT_ONCE)
            means, logs = encode(source.vae, cache.gather(rows[part]))
            mu[part], logsigma[part] = means.cpu().numpy(), logs.cpu().numpy()
            progress.update(len(means))
    return Latents(
        mu=mu,
        logsigma=logsigma,
        actions=np.asarray(cache.actions)[rows],
        rewards=np.asarray(cache.rewards)[rows],
        terminals=np.asarray(cache.terminals)[rows],
        lengths=cache.lengths[list(episodes)],
        fingerprint=source.fingerprint,
        data_fingerprint=cache.fingerprint,
    )


def to_latent(
    obs: torch.Tensor,
    next_obs: torch.Tensor | None,
    vae: ConvVAE,
    generator: torch.Generator | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Encodes sequences of frames: the on-the-fly counterpart of the latents file.

    Each frame is encoded once and has one z, which is the next latent of the row before it.

    Args:
        obs: uint8 (B, T, 64, 64, 3), or T + 1 rows where `next_obs` is None.
        next_obs: uint8 (B, T, 64, 64, 3), next_obs[:, t] being obs[:, t + 1]; or None.
        vae: The trained V.
        generator: Of z's noise, on V's device; None draws from the global one.

    Returns:
        latent_obs and latent_next_obs, each (B, T, Z), without gradient.
    """
    frames = obs if next_obs is None else torch.cat([obs, next_obs[:, -1:]], dim=1)
    z = draw_latents(*encode(vae, frames), generator)
    return z[:, :-1], z[:, 1:]
