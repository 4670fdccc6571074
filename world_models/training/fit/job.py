"""What the epoch loop is given: a learner, its data, its limits and where it is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from world_models.training.fit.passes import Batches, Learner
from world_models.utils.tracking import Tracking


@dataclass(frozen=True, kw_only=True)
class FitJob(Learner):
    """A learner, its data, and when to stop: all that the epoch loop needs to know.

    Attributes:
        model: Plain, not compiled: its weights go into the checkpoints.
        stage: "vae" or "mdrnn": the folder in `logdir`, and the name on the progress bar.
        logdir: The run's folder.
        train_batches: The training part.
        test_batches: What is held out; None where there is nothing: the training loss is watched instead.
        num_epochs: Total over all runs in this folder: a resumed run trains what is missing.
        sizes: The model's sizes, stored flat in the checkpoints; other sizes there are refused.
        facts: Further plain values for both checkpoints.
        noreload: Start anew, whatever lies in the folder.
        summary: Plain numbers for the log and the checkpoints, from the watched mean losses.
        after_epoch: Called with the number of each finished epoch, the model in evaluation mode; the pictures that
            it gives by name go to the trackers.
        settings: What the stage was asked for, for settings.json.
        tracking: Who else is told each epoch's record.
    """

    stage: str
    logdir: str | Path
    optimizer: torch.optim.Optimizer
    train_batches: Batches
    test_batches: Batches | None
    num_epochs: int
    sizes: Mapping[str, int]
    facts: Mapping[str, Any] = field(default_factory=dict)
    scheduler_patience: int = 5
    scheduler_factor: float = 0.5
    early_stopping_patience: int = 30
    anneal: float = 0.0
    noreload: bool = False
    summary: Callable[[Mapping[str, torch.Tensor]], dict[str, Any]] | None = None
    after_epoch: Callable[[int], Mapping[str, Image.Image] | None] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    tracking: Tracking = field(default_factory=Tracking)
