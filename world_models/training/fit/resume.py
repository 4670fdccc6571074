"""checkpoint.tar and best.tar of V and M: what is stored, and how a run goes on from it."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from world_models.errors import CheckpointError
from world_models.training.fit.job import FitJob
from world_models.utils.run_dir import (
    best_path,
    checkpoint_path,
    load_checkpoint,
    load_weights,
    save_checkpoint,
)
from world_models.utils.train_utils import EarlyStopping, ReduceLROnPlateau

_LOG = logging.getLogger(__name__)
_RUN_STATE = ("best_epoch", "best_loss", "scheduler", "early_stopping", "optimizer")
_KINDS = ("betas", "alpha")  # what Adam has and RMSprop has not, and the other way round
_KERNEL_CHOICES = ("fused", "foreach", "capturable")


@dataclass
class Position:
    """How far a run has come: whole epochs, and the best of them. `warm`: weights without a history.

    `other_data`: it goes on with other rollouts than before, which the next epoch's record says.
    """

    epoch: int = 0
    best_epoch: int = 0
    best_loss: float = math.inf
    warm: bool = False
    other_data: bool = False


def resume(job: FitJob, scheduler: ReduceLROnPlateau, stopping: EarlyStopping) -> Position:
    """Loads what lies in the job's folder into its model, optimizer, scheduler and early stopping.

    checkpoint.tar continues the run; best.tar alone gives its weights to a new run; neither, or `noreload`,
    is a fresh start.

    Raises:
        CheckpointError: A file there is no checkpoint, or of other sizes.
    """
    path, best = checkpoint_path(job.logdir, job.stage), best_path(job.logdir, job.stage)
    if job.noreload or not (path.exists() or best.exists()):
        return Position()
    if not path.exists():
        _load_model(job, best)
        _LOG.info("%s: training goes on from the weights of %s", job.stage, best)
        return Position(warm=True)
    stored = _load_model(job, path)
    _load_optimizer(job.optimizer, _part(stored, "optimizer", path), path)
    scheduler.load_state_dict(_part(stored, "scheduler", path))
    stopping.load_state_dict(_part(stored, "early_stopping", path))
    # Counts come from the checkpoint, but patience from the settings: a run may be given more of it.
    scheduler.patience, scheduler.factor = job.scheduler_patience, job.scheduler_factor
    stopping.patience = job.early_stopping_patience
    position = Position(*(stored[name] for name in ("epoch", "best_epoch", "best_loss")))
    _complete_best(stored, position, best)
    if position.epoch < job.num_epochs and _other_data(stored, job):
        _LOG.warning(
            "%s: trained on other rollouts than before: the best epoch is chosen among those to come", job.stage
        )
        position.best_epoch, position.best_loss, position.other_data = 0, math.inf, True
        scheduler.best = stopping.best = math.inf
        scheduler.num_bad_epochs = stopping.num_bad_epochs = 0
    _LOG.info("%s: goes on after epoch %d of %d (%s)", job.stage, position.epoch, job.num_epochs, path)
    return position


def _other_data(stored: Mapping[str, Any], job: FitJob) -> bool:
    """Whether the training data are others than before: losses on other rollouts do not compare with the old best."""
    mine = job.facts.get("data_contents")
    return mine is not None and stored.get("data_contents", mine) != mine


def _load_model(job: FitJob, path: Path) -> dict[str, Any]:
    stored = load_checkpoint(path)
    check_sizes(stored, job.sizes, path)
    load_weights(job.model, stored, path)
    return stored


def check_sizes(stored: Mapping[str, Any], sizes: Mapping[str, int], path: Path) -> None:
    """Raises CheckpointError, naming both, where a checkpoint's sizes are not `sizes`."""
    for name, wanted in sizes.items():
        if name in stored and stored[name] != wanted:
            raise CheckpointError(
                f"{path}: {name} is {stored[name]} in the checkpoint and {wanted} in the settings; set it to "
                f"{stored[name]}, or start anew with another logdir or noreload"
            )


def _part(stored: Mapping[str, Any], name: str, path: Path) -> dict[str, Any]:
    if name not in stored or "best_loss" not in stored:
        raise CheckpointError(
            f'{path}: this checkpoint lacks "{name}", so a run cannot go on from it; start anew with noreload'
        )
    part: dict[str, Any] = stored[name]
    return part


def _load_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any], path: Path) -> None:
    for group, stored in zip(optimizer.param_groups, state["param_groups"], strict=True):
        missing = [name for name in _KINDS if name in group and name not in stored]
        if missing:
            raise CheckpointError(
                f"{path}: its optimizer has no {missing[0]!r}, so it is no {type(optimizer).__name__}; go on "
                "with the optimizer it was trained with, or start anew with noreload"
            )
    # Which kernels step belongs to this machine, not to the one that wrote the checkpoint.
    kernels = [{key: group[key] for key in _KERNEL_CHOICES if key in group} for group in optimizer.param_groups]
    optimizer.load_state_dict(state)
    for group, choice in zip(optimizer.param_groups, kernels, strict=True):
        group.update(choice)


def save_epoch(
    job: FitJob,
    at: Position,
    record: Mapping[str, Any],
    scheduler: ReduceLROnPlateau,
    stopping: EarlyStopping,
    improved: bool,
) -> None:
    """Writes checkpoint.tar, then best.tar where the epoch improved on the best.

    In this order: best.tar alone would look like weights to start anew from. What a crash between the two
    leaves out, `resume` makes up for.
    """
    payload: dict[str, Any] = {
        "state_dict": job.model.state_dict(),
        **job.sizes,
        **job.facts,
        "epoch": at.epoch,
        "test_loss": record["loss"],
        **{name: value for name, value in record.items() if name == "active_latents"},
    }
    progress = {"best_epoch": at.best_epoch, "best_loss": at.best_loss}
    states = {"scheduler": scheduler.state_dict(), "early_stopping": stopping.state_dict()}
    states["optimizer"] = job.optimizer.state_dict()
    save_checkpoint(checkpoint_path(job.logdir, job.stage), {**payload, **progress, **states})
    if improved:
        save_checkpoint(best_path(job.logdir, job.stage), payload)


def _complete_best(stored: Mapping[str, Any], at: Position, best: Path) -> None:
    if at.best_epoch == at.epoch and not (best.exists() and load_checkpoint(best).get("epoch") == at.epoch):
        save_checkpoint(best, {name: value for name, value in stored.items() if name not in _RUN_STATE})
