"""`--set STAGE.NAME=VALUE`: one of a stage's further settings, which have no flag of their own."""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

from world_models.configs.presets import Preset
from world_models.errors import ConfigError
from world_models.models.dream_rules import DreamRules
from world_models.search.settings import ControllerSettings

# Of ControllerSettings these have a flag, or are the pipeline's to say.
_NOT_HERE = {"seed", "backend", "device", "noreload", "max_generations", "film_every", "driving", "start_from"}
KNOWN = {
    "collect": {"hopeless", "mirrored"},
    "vae": {"free_bits", "kl_weight", "precision", "compile", "frames_per_epoch", "sample_count", "anneal", "keep"},
    "rnn": {
        *("optimizer", "grad_clip", "batches_per_epoch", "anneal"),
        *("terminal_weight", "reward_weight", "reward_smoothing", "carry"),
    },
    "ctrl": ({field.name for field in fields(ControllerSettings)} | {"carry"}) - _NOT_HERE,
    "dream": ({field.name for field in fields(DreamRules)} | {"pessimism"}) - {"terminal_weight"},
}
"""The settings by stage; what each means stands with its stage's training function."""


def with_overrides(table: Preset, given: Sequence[str]) -> Preset:
    """The table with each "STAGE.NAME=VALUE" of `given` in it, in all of its rounds.

    VALUE is JSON (0.1, true, [0, -0.7, 0]); what is none is taken as text.

    Raises:
        ConfigError: it is not of that form, or there is no such setting; the message names the nearest. Or it is of a
            dream, and the preset has none.
    """
    for text in given:
        stage, name, value = _parsed(text)
        if stage == "dream" and not table.dream:
            raise ConfigError(
                f"--set {text!r}: this preset evolves C in the environment, not in a dream; `world-models dream train` "
                "goes on from its V and M in the dream, or take a preset that dreams (takecover)."
            )
        table = _with(table, stage, name, value)
    return table


def _parsed(text: str) -> tuple[str, str, Any]:
    where, equals, said = text.partition("=")
    stage, dot, name = where.partition(".")
    if not equals or not dot:
        raise ConfigError(f"--set {text!r} is not understood: give STAGE.NAME=VALUE, as in ctrl.use_hidden=false.")
    if stage not in KNOWN:
        raise ConfigError(f"--set {text!r}: there is no stage {stage!r}; it is one of {', '.join(KNOWN)}.")
    if name not in KNOWN[stage]:
        near = difflib.get_close_matches(name, KNOWN[stage], n=1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}?" if near else f"it is one of {', '.join(sorted(KNOWN[stage]))}."
        raise ConfigError(f"--set {text!r}: {stage} has no setting {name!r} to set here; {hint}")
    try:
        return stage, name, json.loads(said)
    except ValueError:
        return stage, name, said


def _with(table: Preset, stage: str, name: str, value: Any) -> Preset:
    rounds = tuple(_with(each, stage, name, value) for each in table.rounds)
    changed: dict[str, Any] = {stage: {**getattr(table, stage), name: value}}
    return replace(table, rounds=rounds, **changed)
