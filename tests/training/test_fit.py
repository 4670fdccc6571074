"""The epoch loop on a model of two numbers: what it keeps, when it stops, how it goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tests.training.runs import assert_same_run, losses_of
from world_models.errors import CheckpointError, ConfigError
from world_models.training.fit.job import FitJob
from world_models.training.fit.loop import FitResult, fit
from world_models.training.fit.passes import Average, Losses
from world_models.utils.run_dir import best_path, checkpoint_path, load_checkpoint, log_path, read_jsonl


class Points:
    """Batches of (x, 3 x + 1), in an order that follows from the epoch; `fail_at` raises at an epoch's batch."""

    def __init__(self, batches: int = 4, fail_at: tuple[int, int] | None = None, error: Any = None) -> None:
        self.batches, self.fail_at, self.error = batches, fail_at, error
        self.epoch = 0

    def __len__(self) -> int:
        return self.batches

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        rng = np.random.default_rng([self.epoch])
        for index in range(self.batches):
            if self.fail_at == (self.epoch, index):
                raise self.error
            x = torch.tensor(rng.normal(size=(3 + index, 1)), dtype=torch.float32)
            yield x, 3 * x + 1


def make_job(logdir: Path, num_epochs: int = 4, **changes: Any) -> FitJob:
    torch.manual_seed(0)
    model = nn.Linear(1, 1)

    def loss_fn(batch: Any, generator: torch.Generator) -> tuple[Losses, int]:
        x, y = batch
        noise = 0.1 * torch.randn(x.shape, generator=generator)
        return {"loss": (model(x + noise) - y).square().mean()}, len(x)

    job: dict[str, Any] = {
        "stage": "vae",
        "logdir": logdir,
        "model": model,
        "optimizer": torch.optim.Adam(model.parameters(), lr=0.05),
        "loss_fn": loss_fn,
        "device": torch.device("cpu"),
        "train_batches": Points(),
        "test_batches": Points(2),
        "num_epochs": num_epochs,
        "sizes": {"inputs": 1},
    }
    return FitJob(**{**job, **changes})


def scripted_job(logdir: Path, test_losses: list[float], **changes: Any) -> FitJob:
    """A job whose watched loss in epoch i is test_losses[i - 1], whatever the weights are."""
    job = make_job(logdir, len(test_losses), **changes)
    script = iter(test_losses)

    def loss_fn(batch: Any, generator: torch.Generator) -> tuple[Losses, int]:
        if job.model.training:
            return {"loss": job.model(batch[0]).sum()}, 1
        return {"loss": torch.tensor(next(script))}, 1

    return make_job(
        logdir,
        len(test_losses),
        **{"model": job.model, "optimizer": job.optimizer, "loss_fn": loss_fn, "test_batches": Points(1)},
        **changes,
    )


def test_training_lowers_the_loss_and_logs_one_line_an_epoch(tmp_path: Path) -> None:
    result = fit(make_job(tmp_path, 20))
    assert result.epochs == 20 and [record["epoch"] for record in result.history] == list(range(1, 21))
    assert result.history[-1]["test_loss"] < 0.5 * result.history[0]["test_loss"]
    assert result.history == read_jsonl(log_path(tmp_path, "vae"))
    assert {"lr", "train_loss", "test_loss", "loss", "seconds"} <= result.history[0].keys()


def test_best_tar_has_the_epoch_of_the_lowest_loss_and_checkpoint_tar_the_last(tmp_path: Path) -> None:
    result = fit(scripted_job(tmp_path, [3.0, 1.0, 2.0]))
    best, last = load_checkpoint(result.best), load_checkpoint(result.checkpoint)
    assert (result.best_epoch, result.best_loss) == (2, 1.0)
    assert (best["epoch"], best["test_loss"], best["inputs"]) == (2, 1.0, 1)
    assert (last["epoch"], last["test_loss"]) == (3, 2.0)


def test_the_learning_rate_falls_on_a_plateau(tmp_path: Path) -> None:
    result = fit(scripted_job(tmp_path, [1.0] * 4, scheduler_patience=1, scheduler_factor=0.5))
    assert [record["lr"] for record in result.history] == [0.05, 0.05, 0.05, 0.025]


def test_training_stops_early_once_patience_is_spent(tmp_path: Path) -> None:
    result = fit(scripted_job(tmp_path, [1.0] * 9, early_stopping_patience=2))
    assert result.stopped_early and result.epochs == 4
    again = fit(scripted_job(tmp_path, [1.0] * 9, early_stopping_patience=2))
    assert again.stopped_early and again.epochs == 4
    patient = fit(scripted_job(tmp_path, [1.0] * 9, early_stopping_patience=4))
    assert patient.epochs == 6


def test_without_held_out_data_the_training_loss_is_watched(tmp_path: Path) -> None:
    result = fit(make_job(tmp_path, test_batches=None))
    assert result.best_loss == min(record["train_loss"] for record in result.history)
    assert all(record["test_loss"] is None for record in result.history)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("a crash")])
@pytest.mark.parametrize("fail_at", [(1, 2), (3, 0), (4, 3)])
def test_a_run_that_was_cut_goes_on_and_ends_as_one_that_was_not(
    error: BaseException, fail_at: tuple[int, int], tmp_path: Path
) -> None:
    fit(make_job(tmp_path / "whole", 5))
    with pytest.raises(type(error)):
        fit(make_job(tmp_path / "cut", 5, train_batches=Points(4, fail_at, error)))
    result = fit(make_job(tmp_path / "cut", 5))
    assert result.epochs == 5
    assert_same_run(tmp_path / "whole", tmp_path / "cut", "vae")


@pytest.mark.parametrize("torn", range(6))
def test_a_cut_between_any_two_writes_of_an_epoch_loses_nothing(
    torn: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit(make_job(tmp_path / "whole", 3))
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        _interrupt_at_write(torn, patch)
        fit(make_job(tmp_path / "cut", 3))
    fit(make_job(tmp_path / "cut", 3))
    assert_same_run(tmp_path / "whole", tmp_path / "cut", "vae")


def _interrupt_at_write(number: int, patch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in place of the `number`-th renaming of a checkpoint or writing of a log line."""
    from world_models.training.fit import resume
    from world_models.utils.run_dir import JsonlLog

    writes = iter(range(1000))

    def breaking(function: Callable[..., Any]) -> Callable[..., Any]:
        def write(*args: Any) -> Any:
            if next(writes) == number:
                raise KeyboardInterrupt
            return function(*args)

        return write

    patch.setattr(resume, "save_checkpoint", breaking(resume.save_checkpoint))
    patch.setattr(JsonlLog, "write", breaking(JsonlLog.write))


def test_a_finished_run_returns_at_once_with_its_result(tmp_path: Path) -> None:
    first = fit(make_job(tmp_path))
    unusable = Points(4, (5, 0), AssertionError("trained again"))
    assert fit(make_job(tmp_path, train_batches=unusable)) == first


def test_more_epochs_go_on_as_if_they_had_been_asked_for_at_once(tmp_path: Path) -> None:
    fit(make_job(tmp_path / "whole", 5))
    fit(make_job(tmp_path / "more", 2))
    fit(make_job(tmp_path / "more", 5))
    assert_same_run(tmp_path / "whole", tmp_path / "more", "vae")


def test_on_other_rollouts_the_best_is_chosen_anew(tmp_path: Path) -> None:
    fit(scripted_job(tmp_path, [3.0, 2.0], facts={"data_contents": "easy"}))
    result = fit(scripted_job(tmp_path, [9.0, 8.0, 0.0, 0.0], facts={"data_contents": "hard"}))
    assert (result.best_epoch, result.best_loss) == (4, 8.0)
    assert load_checkpoint(best_path(tmp_path, "vae"))["epoch"] == 4
    log = read_jsonl(log_path(tmp_path, "vae"))
    assert [entry.get("other_data") for entry in log] == [None, None, True, None], "the log says where"
    assert fit(scripted_job(tmp_path, [0.0] * 4, facts={"data_contents": "more"})).best_loss == 8.0


def test_noreload_starts_anew(tmp_path: Path) -> None:
    first = fit(make_job(tmp_path))
    second = fit(make_job(tmp_path, noreload=True))
    assert losses_of(second.history) == losses_of(first.history)


def test_weights_without_a_history_are_trained_on_and_kept_until_beaten(tmp_path: Path) -> None:
    trained = fit(make_job(tmp_path, 40))
    trained.checkpoint.unlink()
    result = fit(make_job(tmp_path, 1))
    assert result.epochs == 1
    assert result.history[0]["train_loss"] < 0.5
    assert result.best_loss <= trained.best_loss


@pytest.mark.parametrize("kept", ["checkpoint.tar", "best.tar"])
def test_a_checkpoint_of_other_sizes_is_refused_and_nothing_is_overwritten(kept: str, tmp_path: Path) -> None:
    result = fit(make_job(tmp_path))
    for path in {result.best, result.checkpoint} - {tmp_path / "vae" / kept}:
        path.unlink()
    before = {path: path.read_bytes() for path in (tmp_path / "vae").iterdir()}
    with pytest.raises(CheckpointError, match="inputs is 1 in the checkpoint and 2"):
        fit(make_job(tmp_path, sizes={"inputs": 2}))
    assert {path: path.read_bytes() for path in (tmp_path / "vae").iterdir()} == before


def test_a_checkpoint_that_no_run_can_go_on_from_is_refused(tmp_path: Path) -> None:
    result = fit(make_job(tmp_path))
    checkpoint_path(tmp_path, "vae").write_bytes(result.best.read_bytes())
    with pytest.raises(CheckpointError, match=r'checkpoint\.tar.*lacks "optimizer".*noreload'):
        fit(make_job(tmp_path, 9))


def test_a_loss_that_is_no_number_is_an_error_and_the_last_epoch_is_kept(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"learning_rate=0\.05.*nan in epoch 2"):
        fit(scripted_job(tmp_path, [1.0, float("nan"), 1.0]))
    assert load_checkpoint(checkpoint_path(tmp_path, "vae"))["epoch"] == 1
    assert load_checkpoint(best_path(tmp_path, "vae"))["epoch"] == 1


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e34])
@pytest.mark.parametrize("where", [(1, 0), (2, 1), (2, 3)])
def test_a_loss_that_is_no_sane_number_stops_the_epoch_at_its_batch(
    where: tuple[int, int], value: float, tmp_path: Path
) -> None:
    """Not at its end, which may be hours away; and what the epoch before gave stays as it was."""
    epoch, index = where
    job = make_job(tmp_path, 3)
    batches = Points(50)
    seen: list[int] = []

    def loss_fn(batch: Any, generator: torch.Generator) -> tuple[Losses, int]:
        loss, count = job.loss_fn(batch, generator)
        seen.append(batches.epoch)
        bad = seen.count(epoch) == index + 1 and job.model.training
        return {"loss": loss["loss"] * value if bad else loss["loss"]}, count

    broken = make_job(
        tmp_path, 3, model=job.model, optimizer=job.optimizer, loss_fn=loss_fn, train_batches=batches, test_batches=None
    )
    told = rf"vae's loss is .* in epoch {epoch}, batch {index + 1} of 50; .*extreme size"
    with pytest.raises(ConfigError, match=told):
        fit(broken)
    assert seen.count(epoch) == index + 1
    if epoch == 1:
        assert not checkpoint_path(tmp_path, "vae").exists() and not best_path(tmp_path, "vae").exists()
    else:
        assert load_checkpoint(checkpoint_path(tmp_path, "vae"))["epoch"] == 1


def test_the_gradient_is_clipped_to_the_norm_given(tmp_path: Path) -> None:
    def moved(clip: float | None) -> float:
        job = make_job(tmp_path / str(clip), 1, train_batches=Points(1), grad_clip=clip)
        optimizer = torch.optim.SGD(job.model.parameters(), lr=1.0)
        start = torch.cat([p.detach().clone().flatten() for p in job.model.parameters()])
        job = make_job(
            tmp_path / str(clip),
            1,
            model=job.model,
            loss_fn=job.loss_fn,
            optimizer=optimizer,
            train_batches=Points(1),
            grad_clip=clip,
        )
        fit(job)
        return float(torch.cat([p.detach().flatten() for p in job.model.parameters()]).sub(start).norm())

    assert moved(None) > 0.5
    assert moved(0.01) == pytest.approx(0.01, rel=1e-3)


def test_each_epoch_calls_back_in_evaluation_mode(tmp_path: Path) -> None:
    seen: list[tuple[int, bool]] = []
    job = make_job(tmp_path, 3)
    model = job.model
    fit(
        make_job(
            tmp_path,
            3,
            model=model,
            optimizer=job.optimizer,
            loss_fn=job.loss_fn,
            after_epoch=lambda epoch: seen.append((epoch, model.training)),
            summary=lambda means: {"active_latents": 7},
        )
    )
    assert seen == [(1, False), (2, False), (3, False)]
    assert load_checkpoint(best_path(tmp_path, "vae"))["active_latents"] == 7


@settings(max_examples=30)
@given(st.lists(st.tuples(st.floats(-100, 100, width=32), st.integers(1, 9)), min_size=1, max_size=8))
def test_averages_are_weighted_by_samples(batches: list[tuple[float, int]]) -> None:
    average = Average()
    for value, samples in batches:
        average.add({"loss": torch.tensor(value)}, samples)
    expected = np.average([value for value, _ in batches], weights=[samples for _, samples in batches])
    assert average.loss() == pytest.approx(expected, abs=1e-9)
    assert float(average.means()["loss"]) == pytest.approx(expected, abs=1e-9)


def test_two_runs_of_one_seed_are_equal_and_of_two_seeds_are_not(tmp_path: Path) -> None:
    def losses(name: str, seed: int) -> list[dict[str, Any]]:
        result: FitResult = fit(make_job(tmp_path / name, 2, seed=seed))
        return losses_of(result.history)

    assert losses("a", 1) == losses("b", 1) != losses("c", 2)
