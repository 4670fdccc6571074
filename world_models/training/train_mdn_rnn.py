"""Stage M: trains the MDN-RNN on sequences of latents (specification, Stage 2)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from world_models.configs.wm_config import WMMDNRNNConfig, WMVAEConfig
from world_models.datasets.frame_cache import FrameCache
from world_models.datasets.latents import Latents
from world_models.datasets.loaders import FrameSequenceBatches, SequenceBatches
from world_models.datasets.windows import least_rows
from world_models.errors import ConfigError
from world_models.models.mdrnn import MDRNN
from world_models.training.callable_modules import callable_as_its_function
from world_models.training.fit.devices import autocast_for, has_fused_adam
from world_models.training.fit.job import FitJob
from world_models.training.fit.latents import (
    LatentSource,
    latent_source,
    precompute_latents,
    read_or_make,
    to_latent,
    write_starts,
)
from world_models.training.fit.loop import FitResult, fit
from world_models.training.fit.mdrnn_loss import MDRNNLoss, get_loss
from world_models.training.fit.passes import Batches, Learner, held_out_pass, train_pass
from world_models.training.fit.resume import check_sizes
from world_models.training.fit.reward_goal import RewardGoal
from world_models.training.fit.sequences import Episodes, check_sequences
from world_models.training.fit.settings import MdrnnSettings
from world_models.training.fit.splits import split_indices, training_files
from world_models.training.fit.terminals import calibration
from world_models.utils.device import resolve_device
from world_models.utils.run_dir import checkpoint_path, load_checkpoint
from world_models.utils.seeding import derive_seed, seed_everything
from world_models.utils.tracking import Tracking
from world_models.vision.VAE.ConvVAE import ConvVAE

__all__ = ["MDRNNLoss", "data_pass", "get_loss", "precompute_latents", "to_latent", "train_mdn_rnn"]

_LOG = logging.getLogger(__name__)


def train_mdn_rnn(
    vae_config: WMVAEConfig,
    mdrnn_config: WMMDNRNNConfig,
    use_precomputed_latents: bool = True,
    use_amp: bool = False,
) -> FitResult:
    """Trains M and writes `<logdir>/mdrnn/{best,checkpoint}.tar`, log.jsonl and starts.npz, where dreams may begin.

    Logged, a step of a sequence: `loss` and its parts `gmm`, `bce`, `mse` (before the scaling by Z + 2).
    Where no file is held out, M is validated on the training part. An M in the logdir that learned the
    latents of another V is trained anew; the log says so.

    Args:
        vae_config: Where V is (`logdir`).
        mdrnn_config: The settings; further ones, of `MdrnnSettings`, in `extra`. With `terminal_weight` one of the
            training files must come to its end; logged are then also terminal_rate, terminal_mean, terminal_ece,
            terminal_auc (`terminals.calibration`), and the checkpoints say terminal_trained and terminal_weight.
            What is logged of the reward is never weighted.
        use_precomputed_latents: Train on latents_<Z>.npz, made where it is missing or stale; otherwise encode
            raw frames batch by batch: slower, without the file. Both give the same losses.
        use_amp: Matrix products in bf16.

    Raises:
        DataError: No rollouts, one that breaks the schema, or none to train on with 2 rows.
        CheckpointError: There is no V (train the vae stage); V or an M in the logdir has other sizes.
        ConfigError: A setting that cannot work, or an action_size that is not the data's.
    """
    settings = MdrnnSettings.from_config(mdrnn_config)
    source = latent_source(vae_config, mdrnn_config)
    _check_action_size(source.cache, mdrnn_config)
    train_files, _ = training_files(source.cache.files, settings.num_test_files)
    check_sequences(mdrnn_config, Episodes.of_cache(source.cache, train_files))
    device, seed = resolve_device(mdrnn_config.device), settings.seed
    weight, goal = settings.terminal_weight, RewardGoal.of_settings(settings)
    latents = read_or_make(source) if use_precomputed_latents else None
    train_batches, test_batches = _batches(source, mdrnn_config, settings, latents, device)
    mdrnn = _new_mdrnn(mdrnn_config, seed).to(device)
    job = FitJob(
        stage="mdrnn",
        logdir=mdrnn_config.logdir,
        model=mdrnn,
        optimizer=_optimizer(mdrnn, mdrnn_config.learning_rate, settings.optimizer, device),
        loss_fn=MDRNNLoss(mdrnn, device, mdrnn_config.include_reward, source.vae, weight, goal),
        train_batches=train_batches,
        test_batches=test_batches,
        num_epochs=mdrnn_config.num_epochs,
        sizes=mdrnn.sizes,
        device=device,
        facts={"vae_fingerprint": source.fingerprint, "data_contents": source.cache.contents}
        | goal.facts
        | ({"terminal_trained": True, "terminal_weight": weight} if weight else {}),
        scheduler_patience=mdrnn_config.scheduler_patience,
        scheduler_factor=mdrnn_config.scheduler_factor,
        early_stopping_patience=mdrnn_config.early_stopping_patience,
        anneal=settings.anneal,
        noreload=mdrnn_config.noreload or _is_of_another_vae(mdrnn_config, mdrnn, source.fingerprint),
        seed=seed,
        grad_clip=settings.grad_clip or None,
        autocast=autocast_for(device, use_amp),
        summary=calibration if weight else None,
        settings={
            **mdrnn_config.to_dict(),
            **asdict(settings),
            "amp": use_amp,
            "precomputed_latents": use_precomputed_latents,
        },
        tracking=Tracking.from_extra(mdrnn_config.extra),
    )
    result = fit(job)
    write_starts(source, mdrnn_config.logdir, latents, seed)
    return result


def data_pass(
    mdrnn: MDRNN,
    batches: Batches,
    include_reward: bool = True,
    *,
    optimizer: torch.optim.Optimizer | None = None,
    vae: ConvVAE | None = None,
    epoch: int = 0,
    seed: int = 0,
    grad_clip: float | None = None,
    autocast: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> dict[str, float]:
    """One pass over `batches`: training with an optimizer, validation without one.

    Args:
        mdrnn: M.
        batches: SequenceBatches (latents) or FrameSequenceBatches (raw frames, encoded on the fly by `vae`).
        include_reward: As in `get_loss`.
        optimizer: Of M's parameters; None only measures.
        vae: V; needed for raw frames.
        epoch: Decides, with `seed`, the order and the noise of training.
        seed: See `epoch`.
        grad_clip: Largest norm of the gradient; None leaves it.
        autocast: Makes the context in which losses are computed.

    Returns:
        The mean gmm, bce, mse and loss.
    """
    device = next(mdrnn.parameters()).device
    learner = Learner(
        model=mdrnn,
        loss_fn=MDRNNLoss(mdrnn, device, include_reward, vae),
        device=device,
        optimizer=optimizer,
        seed=seed,
        grad_clip=grad_clip,
        autocast=autocast,
    )
    means = held_out_pass(learner, batches) if optimizer is None else train_pass(learner, batches, epoch)
    return {name: float(value) for name, value in means.items() if value.dim() == 0}


def _batches(
    source: LatentSource,
    config: WMMDNRNNConfig,
    settings: MdrnnSettings,
    latents: Latents | None,
    device: torch.device,
) -> tuple[Batches, Batches]:
    """The training and the validation part, in windows of seq_len + 1 rows, shorter episodes padded."""
    train, test = split_indices(source.cache.files, settings.num_test_files, "mdrnn")
    cap, whole = settings.batches_per_epoch, settings.terminal_weight > 0

    def batches(episodes: list[int]) -> Batches:
        sizes = (episodes, config.batch_size, config.seq_len, settings.seed, True)
        if latents is not None:
            return SequenceBatches(latents, *sizes, device=device, max_batches=cap, whole=whole)
        return FrameSequenceBatches(source.cache, *sizes, max_batches=cap, whole=whole)

    return batches(train), batches(_long_enough(source.cache, test, least_rows(whole)) or train)


def _long_enough(cache: FrameCache, test: list[int], least: int) -> list[int]:
    """The held-out episodes, or none where none of them gives a window."""
    if any(cache.lengths[index] >= least for index in test):
        return test
    reason = f"every held-out episode is shorter than {least} rows" if test else "no file is held out"
    _LOG.warning("mdrnn: %s; M is validated on the training part", reason)
    return []


def _check_action_size(cache: FrameCache, config: WMMDNRNNConfig) -> None:
    if cache.action_size != config.action_size:
        raise ConfigError(
            f"WMMDNRNNConfig.action_size is {config.action_size}, and the actions in {config.data_dir} have "
            f"{cache.action_size} columns; set it to {cache.action_size}, or name other data"
        )


def _new_mdrnn(config: WMMDNRNNConfig, seed: int) -> MDRNN:
    seed_everything(derive_seed(seed, "mdrnn", "weights"))
    return MDRNN(config.latent_size, config.action_size, config.hidden_size, config.gmm_components)


def _optimizer(mdrnn: MDRNN, learning_rate: float, name: str, device: torch.device) -> torch.optim.Optimizer:
    if name == "adam":
        return torch.optim.Adam(mdrnn.parameters(), learning_rate, fused=has_fused_adam(device))
    return torch.optim.RMSprop(mdrnn.parameters(), learning_rate, alpha=0.9)


def _is_of_another_vae(config: WMMDNRNNConfig, mdrnn: MDRNN, fingerprint: str) -> bool:
    """Whether the run in the logdir learned the latents of another V than the one of `fingerprint`."""
    path: Path = checkpoint_path(config.logdir, "mdrnn")
    if config.noreload or not path.exists():
        return False
    stored = load_checkpoint(path)
    check_sizes(stored, mdrnn.sizes, path)
    other = "vae_fingerprint" in stored and stored["vae_fingerprint"] != fingerprint
    if other:
        _LOG.warning("%s: this M was trained on the latents of another V; it is trained anew", path)
    return other


callable_as_its_function(__name__)
