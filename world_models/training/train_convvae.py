"""Stage V: trains the ConvVAE on single frames (specification, Stage 1, "Training loop")."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from world_models.configs.wm_config import WMVAEConfig
from world_models.datasets.frame_cache import FrameCache
from world_models.datasets.loaders import FrameBatches
from world_models.datasets.rollout_files import read_meta
from world_models.datasets.still import nothing_to_see
from world_models.datasets.transforms import Transform
from world_models.errors import ConfigError
from world_models.losses.convae_loss import kl_per_latent, vae_loss_parts
from world_models.notices import say_once
from world_models.report.figures.latents import ACTIVE_VARIANCE
from world_models.training.fit.devices import autocast_for, compiled, has_fused_adam
from world_models.training.fit.job import FitJob
from world_models.training.fit.loop import FitResult, fit
from world_models.training.fit.passes import Batches, Losses
from world_models.training.fit.sample_sheets import save_sample_sheet
from world_models.training.fit.settings import VaeSettings
from world_models.training.fit.splits import split_indices
from world_models.types import FRAME_SIZE, UInt8Array
from world_models.utils.device import resolve_device
from world_models.utils.precision import fast_precision
from world_models.utils.run_dir import stage_dir
from world_models.utils.seeding import derive_seed, seed_everything
from world_models.utils.tracking import Tracking
from world_models.vision.frames import images_from_frames
from world_models.vision.VAE.ConvVAE import ConvVAE

_LOG = logging.getLogger(__name__)
_CHANNELS = 3

Forward = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor, torch.Tensor]]


def train_convae(config: WMVAEConfig, transform: Transform | None = None) -> FitResult:
    """Trains V and writes `<logdir>/vae/{best,checkpoint}.tar`, log.jsonl and samples/*.png.

    The loss of a batch is the documented one, squared error and KL summed over the batch, divided by the
    number of its images, so that the optimizer's step does not depend on the batch size. Logged, a frame:
    `loss`, `recon` (squared error), `kl` (nats; under `free_bits` the loss has the floored KL in its place),
    and `active_latents` over the held-out frames.

    Args:
        config: The settings; further ones, of `VaeSettings`, in `extra`.
        transform: albumentations-style, `transform(image=frame)["image"]`, on each training frame.

    Raises:
        DataError: No rollouts, or one that breaks the schema.
        CheckpointError: The logdir holds a V of other sizes, or no checkpoint; nothing is overwritten.
        ConfigError: A setting that cannot work.
    """
    _check_size(config)
    settings = VaeSettings.from_config(config)
    device, seed = resolve_device(config.device), settings.seed
    cache = FrameCache.open(config.data_dir)
    train_files, test_files = split_indices(cache.files, settings.num_test_files, "vae")
    if (odd := nothing_to_see(cache, cache.rows_of(train_files))) is not None:
        say_once(_LOG, "%s: %s.", config.data_dir, odd)
    vae = _new_vae(config, device, seed)
    job = FitJob(
        stage="vae",
        logdir=config.logdir,
        model=vae,
        optimizer=torch.optim.Adam(vae.parameters(), lr=config.learning_rate, fused=has_fused_adam(device)),
        loss_fn=_loss(vae, settings, device),
        train_batches=_batches(cache, train_files, config.train_batch_size, settings, transform),
        test_batches=_batches(cache, test_files, config.train_batch_size, settings) if test_files else None,
        num_epochs=config.num_epochs,
        sizes={"latent_size": config.latent_size, "img_channels": _CHANNELS},
        device=device,
        facts={"data_backend": _backend(cache.files[0]), "data_contents": cache.contents},
        scheduler_patience=config.scheduler_patience,
        scheduler_factor=config.scheduler_factor,
        early_stopping_patience=config.early_stopping_patience,
        anneal=settings.anneal,
        noreload=config.noreload,
        seed=seed,
        autocast=autocast_for(device, _precision(settings.precision, device) == "bf16"),
        summary=count_active_latents,
        after_epoch=_sampler(vae, cache, test_files or train_files, config, settings.sample_count),
        settings={**config.to_dict(), **asdict(settings)},
        tracking=Tracking.from_extra(config.extra),
    )
    return fit(job)


class VAELoss:
    """The losses of a batch of frames, as means over its images.

    Args:
        forward: (images, noise) -> reconstructions, mu, logsigma.
        latent_size: Z.
        device: Where `forward` computes.
        free_bits: Floor under each latent's KL, in nats.
        kl_weight: What the floored KL is multiplied by (Higgins et al. 2017, beta); 1 is the documented loss.
            Below 1 the latents keep more of the picture.
    """

    def __init__(
        self,
        forward: Forward,
        latent_size: int,
        device: torch.device,
        free_bits: float = 0.0,
        kl_weight: float = 1.0,
    ) -> None:
        self.forward = forward
        self.latent_size = latent_size
        self.device = device
        self.free_bits = free_bits
        self.kl_weight = kl_weight

    def __call__(self, frames: torch.Tensor, generator: torch.Generator) -> tuple[Losses, int]:
        """The losses of frames uint8 (B, 64, 64, 3); z's noise comes from `generator`.

        Returns:
            loss, recon, kl (0-d), mu and mu_squared (Z,), and B.
        """
        images = images_from_frames(frames.to(self.device, non_blocking=True))
        count = len(images)
        noise = torch.randn(count, self.latent_size, device=self.device, generator=generator)
        reconstructed, mu, logsigma = self.forward(images, noise)
        squared_error, floored = vae_loss_parts(reconstructed, images, mu, logsigma, self.free_bits)
        means = mu.detach()
        losses = {
            "loss": (squared_error + self.kl_weight * floored) / count,
            "recon": squared_error / count,
            "kl": kl_per_latent(means, logsigma.detach()).sum() / count,
            "mu": means.mean(0),
            "mu_squared": means.double().square().mean(0),
        }
        return losses, count


def reconstruct_with(
    vae: ConvVAE, images: torch.Tensor, noise: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """V's forward pass with z's noise (B, Z) given; all results float32 whatever the layers computed in."""
    mu, logsigma = (part.float() for part in vae.encoder(images))
    reconstructed: torch.Tensor = vae.decoder(mu + logsigma.exp() * noise)
    return reconstructed.float(), mu, logsigma


def count_active_latents(means: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """{"active_latents": how many latents' mu varies over frames}, from the means of mu and its square."""
    variance = means["mu_squared"] - means["mu"].square()
    return {"active_latents": int((variance > ACTIVE_VARIANCE).sum())}


def _check_size(config: WMVAEConfig) -> None:
    for name in ("height", "width"):
        if getattr(config, name) != FRAME_SIZE:
            raise ConfigError(
                f"WMVAEConfig.{name} is {getattr(config, name)}, and must be {FRAME_SIZE}: V sees "
                f"{FRAME_SIZE}x{FRAME_SIZE} images"
            )


def _new_vae(config: WMVAEConfig, device: torch.device, seed: int) -> ConvVAE:
    seed_everything(derive_seed(seed, "vae", "weights"))
    # On the CPU first: the initial weights are then the same on every device.
    vae = ConvVAE(_CHANNELS, config.latent_size)
    return vae.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _loss(vae: ConvVAE, settings: VaeSettings, device: torch.device) -> VAELoss:
    def forward(images: torch.Tensor, noise: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return reconstruct_with(vae, images, noise)

    fast = compiled(forward, device, settings.compile)
    return VAELoss(fast, vae.latent_size, device, settings.free_bits, settings.kl_weight)


def _precision(asked: str, device: torch.device) -> str:
    return fast_precision(device) if asked == "auto" else asked


def _batches(
    cache: FrameCache,
    files: list[int],
    size: int,
    settings: VaeSettings,
    transform: Transform | None = None,
) -> Batches:
    # The held-out frames are shuffled too (always the same way): a cap then keeps some of every file.
    cap = settings.frames_per_epoch
    most = None if cap is None else max(1, cap // size)
    return FrameBatches(cache, files, size, True, settings.seed, transform, most)


def _sampler(
    vae: ConvVAE, cache: FrameCache, files: list[int], config: WMVAEConfig, count: int
) -> Callable[[int], Mapping[str, Image.Image]] | None:
    """What saves a sample sheet every `sample_interval` epochs and after the last one."""
    if config.nosamples:
        return None
    folder = stage_dir(config.logdir, "vae") / "samples"
    frames = _frames_to_show(cache, files, count)

    def sample(epoch: int) -> Mapping[str, Image.Image]:
        if epoch % config.sample_interval and epoch != config.num_epochs:
            return {}
        return {"samples": save_sample_sheet(folder / f"epoch_{epoch:04d}.png", vae, frames)}

    return sample


def _frames_to_show(cache: FrameCache, files: list[int], count: int) -> UInt8Array:
    rows = cache.rows_of(files)
    spread = rows[torch.linspace(0, len(rows) - 1, min(count, len(rows))).long().numpy()]
    return cache.gather(spread).numpy()


def _backend(file: Path) -> str:
    return str(read_meta(file).get("backend", "unknown"))
