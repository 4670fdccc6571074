"""How good the dream is: what M, looking on or dreaming on alone, says of latents and rewards that really came."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from world_models import budgets
from world_models.losses.gmm_loss import gmm_loss
from world_models.models.mdrnn import MDRNN, MDRNNCell
from world_models.report.figures.dream import sample
from world_models.report.figures.plots import Chart, Line
from world_models.types import DoubleArray, FloatArray, Mixture, Rollout
from world_models.vision.latents import draw_latents, encode
from world_models.vision.VAE.ConvVAE import ConvVAE

_BINS = 10
_HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)


@dataclass(frozen=True)
class Horizon:
    """M's foresight by steps ahead, k = 1 .. H, means over all starts; every array is (H,).

    Likelihoods are of latents drawn from V's posterior, which M learned to predict; errors are of their means.

    Attributes:
        looking: Log-likelihood a latent, in nats, of what came, where M saw all frames up to the one before.
        dreaming: The same where M dreamed on alone from the start: that of the equal mixture of all its dreams.
        blind: The same of normal distributions of the latents' own means and spreads: what one knows without M.
        error: Squared error of what the dreams expect on average, all latents together, as a share of the latents'
            variance: 1 is no better than their means.
        frozen: The same of the last latent seen, as if nothing moved.
        starts, dreams: How many starts, and dreams from each.
    """

    looking: DoubleArray
    dreaming: DoubleArray
    blind: DoubleArray
    error: DoubleArray
    frozen: DoubleArray
    starts: int
    dreams: int


class Watched(NamedTuple):
    """A rollout as V saw it: mu and logsigma (T, Z), actions (T, A), rewards (T,)."""

    mu: torch.Tensor
    logsigma: torch.Tensor
    actions: torch.Tensor
    rewards: FloatArray


def watch(vae: ConvVAE, rollouts: Sequence[Rollout]) -> list[Watched]:
    """What V makes of rollouts."""
    watched = []
    for rollout in rollouts:
        mu, logsigma = encode(vae, torch.from_numpy(rollout.observations))
        watched.append(Watched(mu, logsigma, torch.from_numpy(rollout.actions).to(mu), rollout.rewards))
    return watched


@dataclass(frozen=True)
class _Windows:
    latents: torch.Tensor  # (N, W + H, Z), drawn
    means: torch.Tensor
    actions: torch.Tensor  # (N, W + H, A)
    warm_up: int

    @property
    def horizon(self) -> int:
        return self.latents.shape[1] - self.warm_up


def see_ahead(
    mdrnn: MDRNN,
    watched: Sequence[Watched],
    *,
    warm_up: int = 20,
    horizon: int = 40,
    starts: int = 48,
    dreams: int = 16,
    seed: int = 0,
) -> Horizon | None:
    """Compares M's expectations with what came, from many starts in rollouts that M was best not trained on.

    Args:
        mdrnn: M.
        watched: Real rollouts (`watch`).
        warm_up: Frames that M sees before it dreams.
        horizon: Steps that it then dreams, told the real actions.
        starts: How many, evenly spread; windows may overlap.
        dreams: From each start; the likelihood is that of their mixture.
        seed: Of the dreams.

    Returns:
        None where no rollout has warm_up + horizon steps.
    """
    generator = torch.Generator(device=watched[0].mu.device).manual_seed(seed)
    starts, dreams = budgets.at_most("looked_from", starts), budgets.at_most("dreams", dreams)
    windows = _windows(watched, warm_up, horizon, starts, generator)
    if windows is None:
        return None
    dreaming, guess = _dreaming(MDRNNCell.from_mdrnn(mdrnn), windows, dreams, generator)
    came, variance = windows.means[:, warm_up:].double(), _moments(windows.means)[1].sum()
    frozen = windows.means[:, warm_up - 1 : warm_up]
    return Horizon(
        looking=_array(_looking(mdrnn, windows)),
        dreaming=_array(dreaming),
        blind=_array(_blind(windows)),
        error=_array((came - guess).square().sum(2).mean(0) / variance),
        frozen=_array((came - frozen).square().sum(2).mean(0) / variance),
        starts=len(came),
        dreams=dreams,
    )


def _moments(latents: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and variance (Z,) over all rows."""
    rows = latents.reshape(-1, latents.shape[-1]).double()
    return rows.mean(0), rows.var(0) + 1e-6


def _blind(windows: _Windows) -> torch.Tensor:
    mean, variance = _moments(windows.latents)
    away = (windows.latents[:, windows.warm_up :] - mean).square() / variance
    return (-0.5 * away - 0.5 * variance.log() - _HALF_LOG_TWO_PI).mean((0, 2))


def _array(values: torch.Tensor) -> DoubleArray:
    array: DoubleArray = values.double().cpu().numpy()
    return array


def _windows(
    watched: Sequence[Watched], warm_up: int, horizon: int, count: int, generator: torch.Generator
) -> _Windows | None:
    length = warm_up + horizon
    places = [(k, t) for k, each in enumerate(watched) for t in range(len(each.mu) - length + 1)]
    if not places:
        return None
    rows = np.linspace(0, len(places) - 1, min(count, len(places))).round().astype(int)
    picked = [(watched[k], slice(t, t + length)) for k, t in (places[row] for row in rows)]
    means = torch.stack([each.mu[part] for each, part in picked])
    logs = torch.stack([each.logsigma[part] for each, part in picked])
    actions = torch.stack([each.actions[part] for each, part in picked])
    return _Windows(draw_latents(means, logs, generator), means, actions, warm_up)


@torch.no_grad()
def _looking(mdrnn: MDRNN, windows: _Windows) -> torch.Tensor:
    """(H,): the likelihood of each latent after the warm-up, all real ones before it seen."""
    latents = windows.latents.transpose(0, 1)
    mus, sigmas, logpi, _, _ = mdrnn(windows.actions.transpose(0, 1)[:-1], latents[:-1])
    loss = gmm_loss(latents[1:], mus, sigmas, logpi, reduce=False)[windows.warm_up - 1 :]
    return -loss.mean(1) / latents.shape[-1]


@torch.no_grad()
def _dreaming(
    cell: MDRNNCell, windows: _Windows, dreams: int, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """(H,) the likelihood under the mixture of all dreams, and (N, H, Z) what they expect on average."""
    count, _, size = windows.latents.shape
    latents, actions = (part.repeat_interleave(dreams, 0) for part in (windows.latents, windows.actions))
    hidden = cell.get_init_hidden(len(latents))
    for t in range(windows.warm_up - 1):
        hidden = cell.next_hidden(actions[:, t], latents[:, t], hidden)
    z, likelihood, guess = latents[:, windows.warm_up - 1], [], []
    for t in range(windows.warm_up - 1, windows.warm_up - 1 + windows.horizon):
        mus, sigmas, logpi, _, _, hidden = cell(actions[:, t], z, hidden)
        logs = -gmm_loss(latents[:, t + 1], mus, sigmas, logpi, reduce=False).reshape(count, dreams)
        likelihood.append((logs.logsumexp(1) - math.log(dreams)).mean() / size)
        z = sample(Mixture(mus, sigmas, logpi), 1.0, generator)
        guess.append((logpi.exp()[..., None] * mus).sum(1).reshape(count, dreams, size).mean(1))
    return torch.stack(likelihood), torch.stack(guess, 1)


@torch.no_grad()
def reward_calibration(mdrnn: MDRNN, watched: Sequence[Watched]) -> tuple[DoubleArray, DoubleArray]:
    """What M said of rewards while it looked on, and what came: means (B,) of up to ten groups of equal size.

    Steps are grouped by what M said of them, the least first.
    """
    said, came = [], []
    for each in watched:
        *_, rewards, _ = mdrnn(each.actions[:, None], each.mu[:, None])
        said.append(rewards[:, 0].double().cpu().numpy())
        came.append(each.rewards.astype(np.float64))
    expected, real = np.concatenate(said), np.concatenate(came)
    groups = np.array_split(np.argsort(expected, kind="stable"), min(_BINS, len(expected)))
    return np.array([expected[rows].mean() for rows in groups]), np.array([real[rows].mean() for rows in groups])


def foresight_charts(horizon: Horizon | None, rewards: tuple[DoubleArray, DoubleArray]) -> list[Chart]:
    """Likelihood and error over the horizon, where there is one, and the reward that came by the one that was said."""
    charts = []
    if horizon is not None:
        steps = tuple(float(k) for k in range(1, len(horizon.error) + 1))

        def over(label: str, values: DoubleArray, muted: bool = False) -> Line:
            return Line(label, steps, tuple(values.tolist()), muted=muted)

        charts = [
            Chart(
                "mdrnn_horizon_likelihood",
                "Log-likelihood of what came, nats a latent",
                "steps ahead",
                (
                    over("looking on", horizon.looking),
                    over("dreaming", horizon.dreaming),
                    over("without M", horizon.blind, muted=True),
                ),
                good="Good: above the grey line, which knows the latents' means and spreads alone.",
            ),
            Chart(
                "mdrnn_horizon_error",
                "Squared error, as a share of the variance",
                "steps ahead",
                (over("what dreams expect", horizon.error), over("nothing moves", horizon.frozen, muted=True)),
                good="Good: far below 1, and below the grey line.",
            ),
        ]
    said, came = (tuple(each.tolist()) for each in rewards)
    ends = min(said[0], *came), max(said[-1], *came)
    lines = (Line("mean that came", said, came), Line("as said", ends, ends, muted=True))
    title, good = "Reward that came, by what M said", "Good: on the grey line, where what came is what M said."
    return [*charts, Chart("mdrnn_reward_calibration", title, "reward that M said", lines, good=good)]
