"""The settings of the three stages: what the specification's Configuration Reference documents.

A config takes keywords, or one mapping. A mapping's unknown keys are kept in `extra` and read back as
attributes (`config.seed`), so that a stage can have settings of its own; an unknown keyword is a misspelling
and is refused with the nearest name.
"""

from __future__ import annotations

import copy
import math
import numbers
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np

from world_models import budgets
from world_models.errors import ConfigError

_DEVICE = re.compile(r"(auto|cpu|cuda|mps|xpu)(:\d+)?")


class _Rule(NamedTuple):
    """What one field accepts: its Python type, a test of the value, and that test in words."""

    kind: type
    holds: Callable[[Any], bool]
    needs: str


def _ruled(default: Any, rule: _Rule) -> Any:
    return field(default=default, metadata={"rule": rule})


def _whole(default: int, at_least: int = 1) -> Any:
    return _ruled(default, _Rule(int, lambda value: value >= at_least, f"a whole number of at least {at_least}"))


def _rate(default: float) -> Any:
    return _ruled(default, _Rule(float, lambda value: 0 < value < math.inf, "a finite number above 0"))


def _fraction(default: float) -> Any:
    return _ruled(default, _Rule(float, lambda value: 0 < value < 1, "a number between 0 and 1, both excluded"))


def _target(default: float) -> Any:
    return _ruled(default, _Rule(float, lambda value: not math.isnan(value), "a number"))


def _flag(default: bool) -> Any:
    return _ruled(default, _Rule(bool, lambda value: True, "True or False"))


def _text(default: str) -> Any:
    return _ruled(default, _Rule(str, bool, "a text that is not empty"))


def _device(default: str) -> Any:
    needs = "auto, cpu, cuda, mps or xpu, with an index if wanted (cuda:1)"
    return _ruled(default, _Rule(str, lambda value: _DEVICE.fullmatch(value) is not None, needs))


def _to_kind(value: Any, kind: type) -> Any:
    """The value as a plain `kind` where that loses nothing (numpy scalars, paths, an int for a float)."""
    if kind is bool:
        return bool(value) if isinstance(value, np.bool_) else value
    if isinstance(value, bool):
        return value
    if kind is int and isinstance(value, numbers.Integral):
        return int(value)
    if kind is float and isinstance(value, numbers.Real):
        return float(value)
    return os.fspath(value) if kind is str and isinstance(value, os.PathLike) else value


@dataclass(init=False)
class _Config:
    """What the three configs share: construction, extra keys, assignment, validation, to_dict."""

    _limits: ClassVar[tuple[str, ...]] = ()  # of `extra`, what `budgets` limits even where nobody asked for it

    def __init__(self, mapping: Mapping[str, Any] | None = None, /, **keywords: Any) -> None:
        if mapping is not None and keywords:
            raise TypeError(f"{type(self).__name__} takes keywords or one mapping, not both")
        if mapping is not None and not isinstance(mapping, Mapping):
            raise TypeError(f"{type(self).__name__} takes keywords or one mapping, not {type(mapping).__name__}")
        self._refuse_unknown(keywords)
        given = dict(keywords if mapping is None else mapping)
        nested = self._checked_extra(given.pop("extra", {}))
        extra = {**nested, **{key: given[key] for key in given if key not in self._rules()}}
        self.extra = budgets.settings(extra, self._limits)
        for name in self._rules():
            setattr(self, name, budgets.at_most(name, given.get(name, getattr(type(self), name))))
        self.validate()

    @classmethod
    def _rules(cls) -> dict[str, _Rule]:
        return {each.name: each.metadata["rule"] for each in fields(cls) if "rule" in each.metadata}

    @classmethod
    def _nearest(cls, name: str, others: Mapping[str, Any]) -> str:
        near = get_close_matches(name, [*cls._rules(), "extra", *others], n=1, cutoff=0.5)
        return f"did you mean {near[0]!r}? " if near else ""

    @classmethod
    def _refuse_unknown(cls, keywords: Mapping[str, Any]) -> None:
        for name in keywords:
            if name not in cls._rules() and name != "extra":
                raise TypeError(
                    f"{cls.__name__} has no setting {name!r}; {cls._nearest(name, {})}"
                    f"Settings of your own go in extra={{{name!r}: ...}}"
                )

    def _checked_extra(self, extra: Any) -> dict[str, Any]:
        """A copy of `extra`, refused where a key could not be read back as an attribute."""
        if not isinstance(extra, Mapping):
            raise self._wrong("extra", extra, "a mapping of names to values")
        for key in extra:
            if not isinstance(key, str):
                raise self._wrong("extra", extra, f"names as keys, and {key!r} is none")
            if hasattr(type(self), key) or key == "extra":
                raise self._wrong("extra", extra, f"keys of its own, and {key!r} is a name of the config itself")
        return dict(extra)

    def _wrong(self, name: str, value: Any, needs: str) -> ConfigError:
        return ConfigError(f"{type(self).__name__}.{name} is {value!r}, and must be {needs}")

    def __getattr__(self, name: str) -> Any:
        # Reached only for names that are no field; by __dict__, since copy and pickle ask before any is set.
        extra = self.__dict__.get("extra", {})
        if name in extra:
            return extra[name]
        raise AttributeError(
            f"{type(self).__name__} has no setting {name!r}; {self._nearest(name, extra)}".rstrip("; ")
        )

    def __setattr__(self, name: str, value: Any) -> None:
        """Sets a field, or an extra key that exists; an unknown name is an AttributeError."""
        rule = self._rules().get(name)
        if rule is not None or name == "extra":
            super().__setattr__(name, value if rule is None else _to_kind(value, rule.kind))
        elif name in self.extra:
            self.extra[name] = value
        else:
            raise AttributeError(
                f"{type(self).__name__} has no setting {name!r}; {self._nearest(name, self.extra)}"
                f"A setting of your own goes in config.extra[{name!r}]"
            )

    def validate(self) -> bool:
        """True where every field can work.

        Raises:
            ConfigError: Names the first field that cannot, its value, and what is needed.
        """
        for name, rule in self._rules().items():
            value = getattr(self, name)
            if not isinstance(value, rule.kind) or (rule.kind is int and isinstance(value, bool)):
                raise self._wrong(name, value, rule.needs)
            if not rule.holds(value):
                raise self._wrong(name, value, rule.needs)
        self._checked_extra(self.extra)
        return True

    def to_dict(self) -> dict[str, Any]:
        """All settings, the extra ones beside the fields: `type(config)(config.to_dict()) == config`."""
        return {name: getattr(self, name) for name in self._rules()} | copy.deepcopy(self.extra)

    @classmethod
    def from_dict(cls, mapping: Mapping[str, Any]) -> Self:
        """The config that `to_dict` was called on; the same as `cls(mapping)`."""
        return cls(mapping)


@dataclass(init=False)
class WMVAEConfig(_Config):
    """Settings of stage V, `train_convae(config)` (specification, Configuration Reference).

    Raises:
        ConfigError: At construction, for a value that cannot work.
        TypeError: For an unknown keyword, naming the nearest one.

    Example:
        >>> WMVAEConfig({"height": 64, "width": 64, "seed": 7}).seed
        7
    """

    _limits = ("frames_per_epoch",)

    height: int = _whole(64)
    width: int = _whole(64)
    latent_size: int = _whole(32)
    device: str = _device("cuda")
    train_batch_size: int = _whole(32)
    num_epochs: int = _whole(10)
    data_dir: str = _text("./data")
    learning_rate: float = _rate(1e-3)
    logdir: str = _text("results")
    noreload: bool = _flag(False)
    nosamples: bool = _flag(False)
    scheduler_patience: int = _whole(5, at_least=0)
    scheduler_factor: float = _fraction(0.5)
    early_stopping_patience: int = _whole(30, at_least=0)
    sample_interval: int = _whole(5)
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(init=False)
class WMMDNRNNConfig(_Config):
    """Settings of stage M, `train_mdn_rnn(vae_config, config)` (specification, Configuration Reference).

    Raises:
        ConfigError: At construction, for a value that cannot work.
        TypeError: For an unknown keyword, naming the nearest one.
    """

    _limits = ("batches_per_epoch",)

    latent_size: int = _whole(32)
    action_size: int = _whole(3)
    hidden_size: int = _whole(256)
    gmm_components: int = _whole(5)
    device: str = _device("cuda")
    batch_size: int = _whole(16)
    seq_len: int = _whole(32)
    num_epochs: int = _whole(30)
    data_dir: str = _text("./data")
    learning_rate: float = _rate(1e-3)
    logdir: str = _text("results")
    noreload: bool = _flag(False)
    include_reward: bool = _flag(True)
    scheduler_patience: int = _whole(5, at_least=0)
    scheduler_factor: float = _fraction(0.5)
    early_stopping_patience: int = _whole(30, at_least=0)
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(init=False)
class WMControllerConfig(_Config):
    """Settings of stage C, `train_controller(config)` (specification, Configuration Reference).

    `hidden_size` has the documented default of 200 while M's is 256: the size of the M that is loaded is
    the one that counts.

    Raises:
        ConfigError: At construction, for a value that cannot work.
        TypeError: For an unknown keyword, naming the nearest one.
    """

    _limits = ("max_generations", "eval_every", "eval_episodes", "whitening_episodes", "num_lanes")

    latent_size: int = _whole(32)
    hidden_size: int = _whole(200)
    action_size: int = _whole(3)
    env_name: str = _text("CarRacing-v2")
    logdir: str = _text("results")
    n_samples: int = _whole(4)
    pop_size: int = _whole(10, at_least=2)
    target_return: float = _target(950.0)
    max_workers: int = _whole(32)
    display: bool = _flag(True)
    time_limit: int = _whole(1000)
    extra: dict[str, Any] = field(default_factory=dict)
