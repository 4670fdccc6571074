"""What a run tells each stage beside its flags: the tables of a preset, and `--set STAGE.NAME=VALUE`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Annotated, Any

from world_models.configs.presets import Preset
from world_models.errors import ConfigError
from world_models.models.dream_rules import DreamRules
from world_models.old_names import todays_name
from world_models.search.settings import ControllerSettings
from world_models.training.fit.settings import MdrnnSettings, VaeSettings
from world_models.typed import About, Count, Number, nearest, read, renamed


@dataclass(frozen=True)
class CollectSettings:
    """Further settings of collecting."""

    early_termination: Annotated[
        Count | None, About("a rollout ends after so many without a positive reward; null: never", "steps")
    ] = None
    mirrored: Annotated[bool, About("half of the rollouts are mirrored")] = False


@dataclass(frozen=True)
class VaeOfRound(VaeSettings):
    """Stage V's in a round."""

    frozen: Annotated[bool, About("V of the round before is not trained on")] = False


@dataclass(frozen=True)
class MdrnnOfRound(MdrnnSettings):
    """Stage M's in a round."""

    from_previous_round: Annotated[bool, About("M begins with the weights of the round before")] = False


@dataclass(frozen=True)
class ControllerOfRound(ControllerSettings):
    """Stage C's in a round."""

    from_previous_round: Annotated[bool, About("C begins as that of the round before, refitted to this V and M")] = True


@dataclass(frozen=True)
class DreamTraining(DreamRules):
    """The dream in which C is evolved."""

    pessimism: Annotated[Number, About("taken off a candidate's mean return", "standard deviations of its dreams")] = (
        0.0
    )


PARTS: dict[str, type[Any]] = {
    "collect": CollectSettings,
    "vae": VaeOfRound,
    "rnn": MdrnnOfRound,
    "ctrl": ControllerOfRound,
    "dream": DreamTraining,
}
"""The settings by stage."""

# These have a flag, or are the run's to say.
_NOT_HERE = {
    *("seed", "backend", "device", "noreload", "env_kwargs", "max_generations", "film_every", "num_test_files"),
    *("tensorboard", "wandb", "whitening_rollouts", "refit_from"),
}


def settable(stage: str) -> set[str]:
    """The settings that `--set` may name."""
    names = {field.name for field in fields(PARTS[stage])} - _NOT_HERE
    return names - {"terminal_weight"} if stage == "dream" else names


def read_stages(table: Preset) -> dict[str, Any]:
    """The settings of each stage, checked.

    Raises:
        ConfigError: Names everything that cannot work.
    """
    found, wrong = {}, []
    for stage, part in PARTS.items():
        try:
            found[stage] = read(part, getattr(table, stage))
        except ConfigError as error:
            wrong.append(str(error))
    if wrong:
        raise ConfigError("; ".join(wrong))
    return found


def dream_of(table: Mapping[str, Any]) -> tuple[DreamRules, float]:
    """The rules and the pessimism of a preset's table `dream`. Raises ConfigError where a value cannot work."""
    values = asdict(read(DreamTraining, table))
    pessimism: float = values.pop("pessimism")
    return DreamRules(**values), pessimism


def with_overrides(table: Preset, given: Sequence[str]) -> Preset:
    """The table with each "STAGE.NAME=VALUE" of `given` in it, in all of its rounds.

    VALUE is JSON (0.1, true, [0, -0.7, 0]); what is none is taken as text.

    Raises:
        ConfigError: One is not of that form, or there is no such setting; the message says so of each, and names the
            nearest. Or it is of a dream, and the preset has none.
    """
    wrong = []
    for text in given:
        try:
            table = _with(table, *_parsed(text, bool(table.dream)))
        except ConfigError as error:
            wrong.append(str(error))
    if wrong:
        raise ConfigError(" ".join(wrong))
    return table


def _parsed(text: str, dreams: bool) -> tuple[str, str, Any]:
    where, equals, said = text.partition("=")
    stage, dot, name = where.partition(".")
    if not equals or not dot:
        raise ConfigError(f"--set {text!r} is not understood: give STAGE.NAME=VALUE, as in ctrl.use_hidden=false.")
    if stage not in PARTS:
        raise ConfigError(f"--set {text!r}: there is no stage {stage!r}; it is one of {', '.join(PARTS)}.")
    known = settable(stage)
    if todays_name(name, known) not in known:
        raise ConfigError(f"--set {text!r}: {stage} has no setting {name!r} to set here; {nearest(name, known)}")
    if stage == "dream" and not dreams:
        raise ConfigError(
            f"--set {text!r}: this preset evolves C in the environment, not in a dream; `world-models dream train` "
            "goes on from its V and M in the dream, or take a preset that dreams (takecover)."
        )
    try:
        return stage, name, json.loads(said)
    except ValueError:
        return stage, name, said


def _with(table: Preset, stage: str, name: str, value: Any) -> Preset:
    rounds = tuple(_with(each, stage, name, value) for each in table.rounds)
    known = settable(stage)
    mine = renamed(getattr(table, stage), known) | renamed({name: value}, known)
    changed: dict[str, Any] = {stage: mine}
    return replace(table, rounds=rounds, **changed)
