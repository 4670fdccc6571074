"""M's loss on sequences, of latents or of raw frames, full or padded (specification, Stage 2, "Loss function")."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch.nn import functional

from world_models.errors import ConfigError
from world_models.losses.gmm_loss import gmm_loss
from world_models.losses.masked import masked_mean, reduction
from world_models.models.mdrnn import MDRNN
from world_models.training.fit.passes import Losses
from world_models.training.fit.reward_goal import RewardGoal
from world_models.training.fit.terminals import calibration_counts, whole_window_loss
from world_models.vision.latents import draw_latents, encode
from world_models.vision.VAE.ConvVAE import ConvVAE


def get_loss(
    mdrnn: MDRNN,
    latent_obs: torch.Tensor,
    action: torch.Tensor,
    reward: torch.Tensor,
    terminal: torch.Tensor,
    latent_next_obs: torch.Tensor,
    include_reward: bool = True,
    latent_size: int | None = None,
    reward_weight: float = 1.0,
    mask: torch.Tensor | None = None,
) -> Losses:
    """M's losses on sequences, batch first (specification, Stage 2, "Loss function").

    Args:
        mdrnn: M over sequences.
        latent_obs: z[t], (B, T, Z).
        action: a[t], (B, T, A).
        reward: r[t], (B, T).
        terminal: d[t], 0 or 1, (B, T).
        latent_next_obs: z[t+1], (B, T, Z).
        include_reward: Whether the reward's squared error is part of the loss.
        latent_size: Taken for existing callers; the scaling's Z is read from `latent_obs`.
        reward_weight: Of the reward's squared error in `loss`; `mse` itself is never weighted.
        mask: Which rows are real, bool (B, T); None: all. Padding stands at the end, where no real row sees it.

    Returns:
        0-d means over the real rows: gmm (negative log-likelihood of the next latent, nats), bce (terminal), mse
        (reward; 0 where it is not included), and loss, their sum divided by Z + 2 (Z + 1 without the reward).
    """
    latent_obs, action, reward, terminal, latent_next_obs = (
        each.transpose(0, 1) for each in (latent_obs, action, reward, terminal, latent_next_obs)
    )
    mus, sigmas, logpi, rewards, terminals = mdrnn(action, latent_obs)
    mask = None if mask is None else mask.transpose(0, 1)
    kind = reduction(mask)
    gmm = masked_mean(gmm_loss(latent_next_obs, mus, sigmas, logpi, reduce=mask is None), mask)
    bce = masked_mean(functional.binary_cross_entropy_with_logits(terminals, terminal.float(), reduction=kind), mask)
    squares = functional.mse_loss(rewards, reward, reduction=kind) if include_reward else torch.zeros_like(bce)
    mse = masked_mean(squares, mask if include_reward else None)
    scale = latent_obs.shape[-1] + (2 if include_reward else 1)
    return {"gmm": gmm, "bce": bce, "mse": mse, "loss": (gmm + bce + reward_weight * mse) / scale}


class MDRNNLoss:
    """The losses of a batch of sequences, of latents or of raw frames; z's noise comes from the generator.

    Args:
        mdrnn: M.
        device: Where M is.
        include_reward: As in `get_loss`.
        vae: V, for batches of raw frames.
        terminal_weight: For batches of whole windows, as in `whole_window_loss`.
        reward_goal: What the reward head learns.
    """

    def __init__(
        self,
        mdrnn: MDRNN,
        device: torch.device,
        include_reward: bool = True,
        vae: ConvVAE | None = None,
        terminal_weight: float = 1.0,
        reward_goal: RewardGoal | None = None,
    ) -> None:
        self.mdrnn = mdrnn
        self.device = device
        self.include_reward = include_reward
        self.vae = vae
        self.terminal_weight = terminal_weight
        self.reward_goal = reward_goal or RewardGoal()

    def __call__(self, batch: Mapping[str, torch.Tensor], generator: torch.Generator) -> tuple[Losses, float]:
        """The losses of `latent_mu` and `latent_logsigma` (B, T+1, Z), or `frames` (B, T+1, 64, 64, 3), with
        `action` (B, T, A), `reward` and `terminal` (B, T), or each with T+1 rows; where windows are padded, with
        `mask` (B, T+1). And B, or of padded windows the real rows in full windows."""
        mask = _mask_of_steps(batch)
        windows = len(batch["reward"]) if mask is None else float(mask.sum()) / mask.shape[1]
        batch = {name: value.to(self.device, non_blocking=True) for name, value in batch.items()}
        mask = None if mask is None else mask.to(self.device, non_blocking=True)
        latent = self._latents(batch, generator)
        goal, included = self.reward_goal, self.include_reward
        parts = (batch["action"], goal.of(batch["reward"], mask), batch["terminal"])
        if len(parts[2][0]) < len(latent[0]):
            following = (latent[:, 1:], included)
            losses = get_loss(self.mdrnn, latent[:, :-1], *parts, *following, reward_weight=goal.weight, mask=mask)
            return losses, windows
        weights = (self.terminal_weight, goal.weight)
        losses, logits = whole_window_loss(self.mdrnn, latent, *parts, included, *weights, mask=mask)
        return losses | calibration_counts(logits, batch["terminal"], self.terminal_weight, mask), windows

    def _latents(self, batch: Mapping[str, torch.Tensor], generator: torch.Generator) -> torch.Tensor:
        if "latent_mu" in batch:
            return draw_latents(batch["latent_mu"], batch["latent_logsigma"], generator)
        if self.vae is None:
            raise ConfigError("vae is None: batches of raw frames are encoded by the trained V, give it")
        return draw_latents(*encode(self.vae, batch["frames"]), generator)


def _mask_of_steps(batch: Mapping[str, torch.Tensor]) -> torch.Tensor | None:
    """Which rows of a batch's actions, rewards and terminals are real; None: all.

    Of documented windows a row is a transition, which is real where the next latent is.
    """
    mask = batch.get("mask")
    return None if mask is None else mask[:, mask.shape[1] - batch["reward"].shape[1] :]
