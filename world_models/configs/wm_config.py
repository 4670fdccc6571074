"""The settings of the three stages: what the specification's Configuration Reference documents.

A config takes keywords, or one mapping. A mapping's unknown keys are kept in `extra` and read back as
attributes (`config.seed`), so that a stage can have settings of its own; an unknown keyword is a misspelling
and is refused with the nearest name.
"""

from __future__ import annotations

import contextlib
import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Annotated, Any, ClassVar, Self

from annotated_types import Ge, Predicate

from world_models import budgets
from world_models.errors import ConfigError
from world_models.typed import (
    About,
    Count,
    Fraction,
    Needs,
    Positive,
    Target,
    Text,
    Whole,
    as_type,
    check,
    default_of,
    kinds_of,
)

_DEVICE = re.compile(r"(auto|cpu|cuda|mps|xpu)(:\d+)?")

Device = Annotated[
    str,
    Predicate(lambda value: _DEVICE.fullmatch(value) is not None),
    Needs("auto, cpu, cuda, mps or xpu, with an index if wanted (cuda:1)"),
]


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
        extra = {**nested, **{key: given[key] for key in given if key not in kinds_of(type(self))}}
        self.extra = budgets.settings(extra, self._limits)
        for name in kinds_of(type(self)):
            setattr(self, name, budgets.at_most(name, given.get(name, default_of(type(self), name))))
        self.validate()

    @classmethod
    def _nearest(cls, name: str, others: Mapping[str, Any]) -> str:
        near = get_close_matches(name, [*kinds_of(cls), "extra", *others], n=1, cutoff=0.5)
        return f"did you mean {near[0]!r}? " if near else ""

    @classmethod
    def _refuse_unknown(cls, keywords: Mapping[str, Any]) -> None:
        for name in keywords:
            if name not in kinds_of(cls) and name != "extra":
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
        kind = kinds_of(type(self)).get(name)
        if kind is not None:
            with contextlib.suppress(ConfigError):  # what cannot work `validate` says
                value = as_type(kind, value, name)
        if kind is not None or name == "extra":
            super().__setattr__(name, value)
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
            ConfigError: Names each field that cannot, its value, and what is needed.
        """
        values = {name: getattr(self, name) for name in kinds_of(type(self))}
        _, wrong = check(type(self), values, f"{type(self).__name__}.")
        if wrong:
            raise ConfigError("; ".join(wrong))
        self._checked_extra(self.extra)
        return True

    def to_dict(self) -> dict[str, Any]:
        """All settings, the extra ones beside the fields: `type(config)(config.to_dict()) == config`."""
        return {name: getattr(self, name) for name in kinds_of(type(self))} | copy.deepcopy(self.extra)

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

    height: Annotated[Count, About("of a frame", "pixels")] = 64
    width: Annotated[Count, About("of a frame", "pixels")] = 64
    latent_size: Annotated[Count, About("of z")] = 32
    device: Annotated[Device, About("where V is trained")] = "cuda"
    train_batch_size: Annotated[Count, About("of a batch", "frames")] = 32
    num_epochs: Annotated[Count, About("of training", "epochs")] = 10
    data_dir: Annotated[Text, About("folder of rollouts")] = "./data"
    learning_rate: Annotated[Positive, About("Adam's")] = 1e-3
    logdir: Annotated[Text, About("folder of checkpoints and logs")] = "results"
    noreload: Annotated[bool, About("start anew, whatever lies in logdir")] = False
    nosamples: Annotated[bool, About("no sample sheets")] = False
    scheduler_patience: Annotated[Whole, About("without improvement before the learning rate falls", "epochs")] = 5
    scheduler_factor: Annotated[Fraction, About("by which it falls")] = 0.5
    early_stopping_patience: Annotated[Whole, About("without improvement before training stops", "epochs")] = 30
    sample_interval: Annotated[Count, About("between two sample sheets", "epochs")] = 5
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(init=False)
class WMMDNRNNConfig(_Config):
    """Settings of stage M, `train_mdn_rnn(vae_config, config)` (specification, Configuration Reference).

    Raises:
        ConfigError: At construction, for a value that cannot work.
        TypeError: For an unknown keyword, naming the nearest one.
    """

    _limits = ("batches_per_epoch",)

    latent_size: Annotated[Count, About("of z")] = 32
    action_size: Annotated[Count, About("of an action")] = 3
    hidden_size: Annotated[Count, About("of h")] = 256
    gmm_components: Annotated[Count, About("of the mixture", "gaussians")] = 5
    device: Annotated[Device, About("where M is trained")] = "cuda"
    batch_size: Annotated[Count, About("of a batch", "sequences")] = 16
    seq_len: Annotated[Count, About("of a sequence", "steps")] = 32
    num_epochs: Annotated[Count, About("of training", "epochs")] = 30
    data_dir: Annotated[Text, About("folder of rollouts")] = "./data"
    learning_rate: Annotated[Positive, About("the optimizer's")] = 1e-3
    logdir: Annotated[Text, About("folder of checkpoints and logs")] = "results"
    noreload: Annotated[bool, About("start anew, whatever lies in logdir")] = False
    include_reward: Annotated[bool, About("the reward is part of the loss")] = True
    scheduler_patience: Annotated[Whole, About("without improvement before the learning rate falls", "epochs")] = 5
    scheduler_factor: Annotated[Fraction, About("by which it falls")] = 0.5
    early_stopping_patience: Annotated[Whole, About("without improvement before training stops", "epochs")] = 30
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

    latent_size: Annotated[Count, About("of z")] = 32
    hidden_size: Annotated[Count, About("of h")] = 200
    action_size: Annotated[Count, About("of an action")] = 3
    env_name: Annotated[Text, About("Gymnasium id")] = "CarRacing-v2"
    logdir: Annotated[Text, About("folder of checkpoints and logs")] = "results"
    n_samples: Annotated[Count, About("evaluations of a candidate", "episodes")] = 4
    pop_size: Annotated[int, Ge(2), About("population size", "candidates")] = 10
    target_return: Annotated[Target, About("at which evolution stops", "reward")] = 950.0
    max_workers: Annotated[Count, About("at most", "processes")] = 32
    display: Annotated[bool, About("show progress")] = True
    time_limit: Annotated[Count, About("of an episode at most", "steps")] = 1000
    extra: dict[str, Any] = field(default_factory=dict)
