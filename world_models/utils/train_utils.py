"""When to stop and when to learn slower: EarlyStopping and ReduceLROnPlateau.

Both watch one metric, once an epoch, and hold numbers and texts alone: their state_dict can lie in a
checkpoint that is read with `weights_only=True`, and loading it goes on exactly where it was.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Any, SupportsFloat

from torch.optim import Optimizer

_MODES = ("min", "max")
_THRESHOLD_MODES = ("rel", "abs")


class _Plateau:
    """Counts the epochs since a metric last improved by more than a threshold."""

    _SAVED: tuple[str, ...] = (
        "mode", "threshold", "threshold_mode", "patience", "best", "num_bad_epochs", "last_epoch",
    )  # fmt: skip

    def __init__(self, mode: str, patience: int, threshold: float, threshold_mode: str) -> None:
        if mode not in _MODES:
            raise ValueError(f"mode is {mode!r}, and must be one of {', '.join(_MODES)}")
        if threshold_mode not in _THRESHOLD_MODES:
            raise ValueError(f"threshold_mode is {threshold_mode!r}, and must be one of {', '.join(_THRESHOLD_MODES)}")
        if not 0 <= threshold < math.inf:
            raise ValueError(f"threshold is {threshold!r}, and must be a finite number of at least 0")
        if patience < 0:
            raise ValueError(f"patience is {patience!r}, and must be at least 0")
        self.mode = mode
        self.patience = patience
        self.threshold = float(threshold)
        self.threshold_mode = threshold_mode
        self.best = self.mode_worse
        self.num_bad_epochs = 0
        self.last_epoch = -1

    def is_better(self, metric: float, best: float) -> bool:
        """Whether `metric` improves on `best` by more than the threshold; never for NaN.

        "rel" asks for `best * threshold` more, of the size of best: for a negative best torch's own rule
        `best * (1 - threshold)` would call a metric that stands still an improvement for ever, and M's loss
        (a log-likelihood of densities) does go below zero.
        """
        if math.isinf(best):
            return metric < best if self.mode == "min" else metric > best
        if self.mode == "min":
            return metric < self._moved(best, -self.threshold)
        return metric > self._moved(best, self.threshold)

    def _moved(self, best: float, by: float) -> float:
        if self.threshold_mode == "abs":
            return best + by
        return best * (1 + by if best >= 0 else 1 - by)

    @property
    def mode_worse(self) -> float:
        """The worst value of a mode: infinity for "min", minus infinity for "max"."""
        return math.inf if self.mode == "min" else -math.inf

    def _watch(self, metrics: SupportsFloat | None, metric: SupportsFloat | None, epoch: int | None) -> None:
        if (metrics is None) == (metric is None):
            raise TypeError(f"{type(self).__name__}.step takes one metric: step(value), or step(metrics=value)")
        value = float(metrics if metrics is not None else metric)  # type: ignore[arg-type]
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        if self.is_better(value, self.best):
            self.best, self.num_bad_epochs = value, 0
        else:
            self.num_bad_epochs += 1

    def state_dict(self) -> dict[str, Any]:
        """Everything that `load_state_dict` needs to go on exactly: numbers, texts and lists of numbers."""
        return copy.deepcopy({name: getattr(self, name) for name in self._SAVED})

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes over another's settings and counts.

        Raises:
            ValueError: Where a value of `state_dict()` is missing; nothing is changed then.
        """
        missing = [name for name in self._SAVED if name not in state]
        if missing:
            raise ValueError(f"the state of {type(self).__name__} lacks {', '.join(missing)}; was it saved by one?")
        for name in self._SAVED:
            setattr(self, name, copy.deepcopy(state[name]))


class EarlyStopping(_Plateau):
    """Says `stop` once a metric has not improved for more than `patience` epochs.

    Args:
        mode: "min" where lower is better, "max" where higher is.
        patience: Bad epochs in a row that are still borne.
        threshold: How much better counts as better, as a share of the best ("rel") or as it is ("abs").
        threshold_mode: "rel" or "abs".

    Raises:
        ValueError: Unknown mode or threshold_mode, negative patience or threshold.

    Attributes:
        best: The best metric so far; num_bad_epochs: epochs since; last_epoch: -1 before the first step.
    """

    def __init__(
        self, mode: str = "min", patience: int = 10, threshold: float = 1e-4, threshold_mode: str = "rel"
    ) -> None:
        super().__init__(mode, patience, threshold, threshold_mode)

    def step(
        self, metrics: SupportsFloat | None = None, epoch: int | None = None, *, metric: SupportsFloat | None = None
    ) -> bool:
        """Notes one epoch's metric (a number or 0-d tensor); returns `stop`. NaN counts as a bad epoch.

        `metrics` is torch's name for it, `metric` another.
        """
        self._watch(metrics, metric, epoch)
        return self.stop

    @property
    def stop(self) -> bool:
        """True while `num_bad_epochs > patience`."""
        return self.num_bad_epochs > self.patience


class ReduceLROnPlateau(_Plateau):
    """Multiplies the learning rate by `factor` once a metric has not improved for `patience` epochs.

    The behaviour of torch.optim.lr_scheduler.ReduceLROnPlateau, but for a negative best under "rel" (see
    `is_better`), and with a state_dict of plain values alone.

    Args:
        optimizer: Whose param_groups' "lr" is set.
        mode, threshold, threshold_mode: As in EarlyStopping.
        factor: Above 0 and below 1.
        patience: Bad epochs in a row before the rate is reduced.
        cooldown: Epochs after a reduction in which bad epochs are not counted.
        min_lr: Lower bound, one for all param_groups or one for each.
        eps: A reduction by no more than this is not made.

    Raises:
        ValueError: Unknown mode or threshold_mode, factor outside (0, 1), a negative number elsewhere, or
            another number of min_lr than param_groups.
        TypeError: `optimizer` is none.
    """

    _SAVED = (*_Plateau._SAVED, "factor", "cooldown", "cooldown_counter", "min_lrs", "eps", "lr")

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0.0,
        eps: float = 1e-8,
    ) -> None:
        super().__init__(mode, patience, threshold, threshold_mode)
        if not 0 < factor < 1:
            raise ValueError(f"factor is {factor!r}, and must be above 0 and below 1")
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"optimizer is a {type(optimizer).__name__}, and must be a torch.optim.Optimizer")
        if cooldown < 0 or eps < 0:
            raise ValueError(f"cooldown is {cooldown!r} and eps {eps!r}, and both must be at least 0")
        self.optimizer = optimizer
        self.factor = float(factor)
        self.cooldown = cooldown
        self.cooldown_counter = 0
        self.min_lrs = self._one_each("min_lr", min_lr)
        self.eps = float(eps)

    def _one_each(self, name: str, given: float | Sequence[float]) -> list[float]:
        groups = len(self.optimizer.param_groups)
        values = [float(each) for each in given] if isinstance(given, Sequence) else [float(given)] * groups
        if len(values) != groups:
            raise ValueError(f"{name} has {len(values)} values, and the optimizer has {groups} param_groups")
        if any(value < 0 for value in values):
            raise ValueError(f"{name} is {given!r}, and must be at least 0")
        return values

    @property
    def lr(self) -> list[float]:
        """The learning rate of each of the optimizer's param_groups, as it is now."""
        return [float(group["lr"]) for group in self.optimizer.param_groups]

    @lr.setter
    def lr(self, rates: Sequence[float]) -> None:
        for group, rate in zip(self.optimizer.param_groups, self._one_each("lr", rates), strict=True):
            group["lr"] = rate

    @property
    def in_cooldown(self) -> bool:
        """Whether bad epochs are not counted just now."""
        return self.cooldown_counter > 0

    def step(
        self, metrics: SupportsFloat | None = None, epoch: int | None = None, *, metric: SupportsFloat | None = None
    ) -> None:
        """Notes one epoch's metric (a number or 0-d tensor) and reduces the rates when it is time.

        `metrics` is torch's name for it, `metric` another.
        """
        self._watch(metrics, metric, epoch)
        if self.in_cooldown:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce()
            self.cooldown_counter = self.cooldown
            self.num_bad_epochs = 0

    def _reduce(self) -> None:
        reduced = [max(rate * self.factor, low) for rate, low in zip(self.lr, self.min_lrs, strict=True)]
        self.lr = [new if old - new > self.eps else old for old, new in zip(self.lr, reduced, strict=True)]

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes over another's settings and counts, and sets the optimizer's rates to the ones it had.

        Raises:
            ValueError: A value is missing, or the optimizer has another number of param_groups.
        """
        self._one_each("lr", state.get("lr", self.lr))
        super().load_state_dict(state)
