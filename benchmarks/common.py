"""What every benchmark shares: interleaved repeats, ratios with their spread, one JSON line."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar

import torch

from world_models import budgets
from world_models.runs.evaluation import versions
from world_models.utils.precision import arithmetic
from world_models.utils.threads import cpu_count

Case = Callable[[], float]
"""Runs once and gives its rate, in the benchmark's unit."""

REPEATS = budgets.at_most("repeats", int(os.environ.get("BENCH_REPEATS", "9")))


def size(asked: int, of: str = "benchmark") -> int:
    """How many steps, batches, lanes, episodes or seconds a turn has: as asked, or few (`world_models.budgets`)."""
    return budgets.at_most(of, asked)


Batch = TypeVar("Batch")


class InMemory(Generic[Batch]):
    """A loader of batches that are there already, on the device."""

    def __init__(self, batches: Sequence[Batch]) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Batch]:
        return iter(self.batches)

    def set_epoch(self, epoch: int) -> None:
        """Every epoch is the same."""


def rate_of(work: Callable[[], float]) -> float:
    """How much `work` did (it returns the amount) a second."""
    started = time.perf_counter()
    amount = work()
    return amount / (time.perf_counter() - started)


def interleaved(cases: Mapping[str, Case], repeats: int = REPEATS) -> dict[str, list[float]]:
    """`repeats` rates of every case, the cases taking turns, so that a slow minute slows all of them."""
    for case in cases.values():  # warm: first calls make caches, compile, start processes
        case()
    rates: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(repeats):
        for name, case in cases.items():
            rates[name].append(case())
    return rates


def report(
    name: str,
    unit: str,
    rates: Mapping[str, list[float]],
    goals: Mapping[tuple[str, str], float],
    **facts: Any,
) -> dict[str, Any]:
    """Prints and returns one record: each rate, and for each pair in `goals` the ratio, turn by turn."""
    ratios = {}
    for (ours, theirs), goal in goals.items():
        each = [a / b for a, b in zip(rates[ours], rates[theirs], strict=True)]
        ratios[f"{ours} / {theirs}"] = {**spread(each), "goal": goal}
    record = {
        "benchmark": name,
        "unit": unit,
        "repeats": len(next(iter(rates.values()))),
        "rates": {case: spread(values) for case, values in rates.items()},
        "ratios": ratios,
        **facts,
        "machine": machine(),
    }
    print(json.dumps(record), flush=True)
    return record


def spread(values: list[float]) -> dict[str, float]:
    """Median, least and greatest, to four digits."""
    shown = {"median": statistics.median(values), "min": min(values), "max": max(values)}
    return {key: float(f"{value:.4g}") for key, value in shown.items()}


def machine() -> dict[str, Any]:
    """The machine's description: processor, cores, accelerator, versions."""
    return {
        **arithmetic(),
        "cores": cpu_count(),
        "system": platform.platform(terse=True),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "versions": versions(),
    }


def synchronised(device: torch.device) -> None:
    """Wait until an accelerator has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
