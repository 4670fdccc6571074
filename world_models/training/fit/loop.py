"""The one epoch loop of V and M: train, validate, schedule, stop early, keep the best, resume exactly.

Every random number of a batch comes from a generator seeded by (seed, epoch, batch), and the batches' order
from (seed, epoch). So a run that was stopped goes on from its last whole epoch with the numbers it would
have drawn, and no random state need be stored beside the optimizer's, the scheduler's and early stopping's.
"""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from world_models.errors import ConfigError
from world_models.training.fit.annealing import Annealing
from world_models.training.fit.job import FitJob
from world_models.training.fit.passes import Average, Losses, held_out_pass, train_pass
from world_models.training.fit.resume import Position, resume, save_epoch
from world_models.utils.progress import Progress
from world_models.utils.run_dir import JsonlLog, best_path, checkpoint_path, log_path, read_jsonl
from world_models.utils.run_settings import note_settings
from world_models.utils.tracking import Tracker, tracked
from world_models.utils.train_utils import EarlyStopping, ReduceLROnPlateau

_LOG = logging.getLogger(__name__)
_LOOK_SECONDS = 2.0
_LARGEST_LOSS = 1e30  # float32 ends at 3e38: what is beyond this has blown up, or will in the next batches


@dataclass(frozen=True)
class FitResult:
    """How training ended.

    Attributes:
        epochs: Whole epochs trained, over all runs in the folder.
        best_epoch: The epoch whose weights stand in `best`; 0 where they were there before the first.
        best_loss: The watched loss of those weights.
        stopped_early: The watched loss had not improved for longer than the patience.
        history: One record an epoch, as in log.jsonl.
        best: The file best.tar.
        checkpoint: The file checkpoint.tar.
    """

    epochs: int
    best_epoch: int
    best_loss: float
    stopped_early: bool
    history: list[dict[str, Any]]
    best: Path
    checkpoint: Path


def fit(job: FitJob) -> FitResult:
    """Trains `job.model` and writes best.tar, checkpoint.tar and log.jsonl of its stage.

    A run that was stopped (Ctrl-C, a crash) goes on from its last whole epoch and ends as one that was never
    stopped. A finished run returns at once. Where only best.tar is found its weights are trained on.

    Raises:
        CheckpointError: What lies in the folder is no checkpoint, or has other sizes; nothing is overwritten.
        ConfigError: The loss is NaN, infinite or beyond 1e30; the last whole epoch stays on the disk.
        KeyboardInterrupt: Raised again after Ctrl-C.
    """
    return _Fit(job).run()


class _Fit:
    """A fit under way: the job and what changes from epoch to epoch."""

    def __init__(self, job: FitJob) -> None:
        self.job = job
        self.log = JsonlLog(log_path(job.logdir, job.stage))
        self.scheduler = ReduceLROnPlateau(
            job.optimizer, mode="min", factor=job.scheduler_factor, patience=job.scheduler_patience
        )
        self.stopping = EarlyStopping(mode="min", patience=job.early_stopping_patience)
        self.at = Position()
        self.tracker: Tracker

    def run(self) -> FitResult:
        self.at = resume(self.job, self.scheduler, self.stopping)
        if self.at.warm and self.job.test_batches is not None:
            self.at.best_loss = float(self._validate()["loss"])
        missing = self.at.epoch < self.job.num_epochs and not self._stopped()
        note_settings(self.job.logdir, self.job.stage, self.job.settings, missing)
        if missing:
            self.log.rewind("epoch", self.at.epoch)
            with tracked(
                self.job.tracking, self.job.logdir, self.job.stage, self.at.epoch, self.job.settings
            ) as self.tracker:
                self._train()
        return self._result()

    def _stopped(self) -> bool:
        return self.stopping.stop

    def _train(self) -> None:
        job = self.job
        total = (job.num_epochs - self.at.epoch) * len(job.train_batches)
        with Progress(job.stage, total, "batch") as progress:
            while self.at.epoch < job.num_epochs and not self._stopped():
                try:
                    self._epoch(self.at.epoch + 1, progress)
                except KeyboardInterrupt:
                    _LOG.warning(
                        "%s: stopped in epoch %d; the same command goes on after epoch %d",
                        job.stage, self.at.epoch + 1, self.at.epoch,
                    )  # fmt: skip
                    raise
                left = job.num_epochs - self.at.epoch
                progress.expect(progress.done + left * len(job.train_batches))  # epochs may differ in length
        if self._stopped() and self.at.epoch < job.num_epochs:
            _LOG.info(
                "%s: stops early, after epoch %d of %d: the loss has not improved for more than %d epochs",
                job.stage, self.at.epoch, job.num_epochs, job.early_stopping_patience,
            )  # fmt: skip

    def _epoch(self, epoch: int, progress: Progress) -> None:
        begun = time.monotonic()
        # Elsewhere than on the CPU each look at the loss waits for the device.
        ticker = _Ticker(progress, epoch, self.at.best_loss, 0 if self.job.device.type == "cpu" else _LOOK_SECONDS)
        trained = self._train_pass(epoch, ticker)
        self._check_sane(float(trained["loss"]), f"epoch {epoch}")
        watched = self._validate() or trained
        loss = float(watched["loss"])
        self._check_sane(loss, f"epoch {epoch}, on what is held out")
        # Before the scheduler's step: the learning rate is the one that the epoch was trained with.
        record = self._record(epoch, trained, watched)
        record["seconds"] = round(time.monotonic() - begun, 3)
        self.scheduler.step(loss)
        self.stopping.step(loss)
        self._keep(epoch, loss, record)

    def _train_pass(self, epoch: int, ticker: _Ticker) -> Losses:
        job = self.job
        assert job.optimizer is not None
        with Annealing(job.optimizer, job.anneal, epoch, job.num_epochs, len(job.train_batches)) as annealing:

            def after_batch(average: Average) -> None:
                annealing.batch_done()
                if (loss := ticker(average)) is not None:
                    batches = len(job.train_batches)
                    self._check_sane(loss, f"epoch {epoch}, batch {ticker.batch:,} of {batches:,}")

            return train_pass(job, job.train_batches, epoch, after_batch)

    def _validate(self) -> Losses:
        batches = self.job.test_batches
        return held_out_pass(self.job, batches) if batches is not None else {}

    def _check_sane(self, loss: float, when: str) -> None:
        if abs(loss) <= _LARGEST_LOSS:  # and is not nan
            return
        rate = self.job.optimizer.param_groups[0]["lr"]
        kept = f" (what epoch {self.at.epoch} gave is kept)" if self.at.epoch else " (no epoch was finished)"
        raise ConfigError(
            f"learning_rate={rate!r}: {self.job.stage}'s loss is {loss:.4g} in {when}; lower the learning rate, or "
            f"look for actions and rewards of extreme size in the data{kept}"
        )

    def _record(self, epoch: int, trained: Losses, watched: Losses) -> dict[str, Any]:
        record: dict[str, Any] = {"epoch": epoch, "lr": float(self.job.optimizer.param_groups[0]["lr"])}
        record |= {f"train_{name}": float(value) for name, value in trained.items() if value.dim() == 0}
        record["test_loss"] = None if watched is trained else float(watched["loss"])
        record |= {name: float(value) for name, value in watched.items() if value.dim() == 0}
        record |= self.job.summary(watched) if self.job.summary else {}
        if self.at.other_data:  # losses before and after do not compare: whoever plots them is told
            record["other_data"], self.at.other_data = True, False
        return record

    def _keep(self, epoch: int, loss: float, record: dict[str, Any]) -> None:
        """Writes what the epoch gave; the checkpoints last: an epoch counts once it stands in them."""
        improved = loss < self.at.best_loss
        if improved:
            self.at.best_epoch, self.at.best_loss = epoch, loss
        self.at.epoch = epoch
        if self.job.after_epoch is not None:
            self.job.model.eval()
            for name, picture in (self.job.after_epoch(epoch) or {}).items():
                self.tracker.picture(name, epoch, picture)
        self.log.write(record)
        self.tracker.scalars(epoch, record)
        save_epoch(self.job, self.at, record, self.scheduler, self.stopping, improved)

    def _result(self) -> FitResult:
        job = self.job
        history = read_jsonl(self.log.path)
        return FitResult(
            epochs=self.at.epoch,
            best_epoch=self.at.best_epoch,
            best_loss=self.at.best_loss,
            stopped_early=self._stopped(),
            history=history,
            best=best_path(job.logdir, job.stage),
            checkpoint=checkpoint_path(job.logdir, job.stage),
        )


class _Ticker:
    """Moves the progress bar a batch on, and looks at the running loss, at most every `seconds`."""

    def __init__(self, progress: Progress, epoch: int, best: float, seconds: float) -> None:
        self.progress = progress
        self.seconds = seconds
        self.facts: dict[str, Any] = {"epoch": epoch}
        if math.isfinite(best):
            self.facts["best"] = f"{best:.4g}"
        self.batch = 0
        self.looked = self.shown = time.monotonic()

    def __call__(self, average: Average) -> float | None:
        """The mean loss so far, where it was looked at."""
        now = time.monotonic()
        self.batch += 1
        loss = None
        if now - self.looked >= self.seconds:
            self.looked = now
            loss = average.loss()
            if now - self.shown > _LOOK_SECONDS:
                self.shown = now
                self.facts["loss"] = f"{loss:.4g}"
        self.progress.update(1, **self.facts)
        return loss
