"""How the run was set up: its environment, and what each stage was asked for, folded."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import gymnasium

from world_models.envs.env_kwargs import env_kwargs_text
from world_models.envs.registry import env_spec, make_gym
from world_models.errors import WorldModelsError
from world_models.report import page
from world_models.report.episode import frames_per_second
from world_models.report.labels import label_of
from world_models.report.run import Run
from world_models.report.sections.common import text

_PARTS = {"run": "The run", "vae": "V", "mdrnn": "M", "ctrl": "C", "made_by": "Made by"}
_MADE_ON = {"arithmetic": "Processor and number format", "versions": "Versions"}  # the same for all stages
_NOT_SHOWN = ("env_name", "active_latents", "test_loss", "epoch", "return_mean", "generation", "env_steps", *_MADE_ON)
_SAME = {"latents": "latent_size", "hiddens": "hidden_size", "actions": "action_size", "gaussians": "gmm_components"}
_FINGERPRINT = re.compile(r"[0-9a-f]{32,}")

Settings = Mapping[str, Any]


def setup_section(run: Run) -> page.Section:
    """The environment's facts, and every setting by stage: of settings.json, and of the checkpoints before it."""
    pieces = [_environment(run.env_name, run.env_kwargs)]
    if not run.settings:
        pieces.append(
            page.note("These are the sizes in the checkpoints: this run has no settings.json, which newer ones write.")
        )
    for part, title in _PARTS.items():
        settings = _settings(run, part)
        if settings:
            pieces.append(page.folded(f"{title}: {len(settings)} settings", _tables(settings)))
    for facts, title in _MADE_ON.items():
        if found := _made_on(run, facts):
            pieces.append(page.folded(title, page.table((), list(found.items()))))
    return page.Section("setup", "Set-up", "What was learned on, and with which settings.", tuple(pieces))


def _environment(name: str | None, env_kwargs: Mapping[str, Any]) -> str:
    if name is None:
        return page.note("Neither checkpoints nor data say which environment this is.")
    try:
        return page.facts(environment_facts(name, env_kwargs))
    except WorldModelsError as error:
        return page.facts({"id": name}) + page.note(f"It cannot be made here to tell more: {error}")


def environment_facts(name: str, env_kwargs: Mapping[str, Any] | None = None) -> dict[str, str]:
    """What an environment is, in a few words each."""
    made_with = env_kwargs or {}
    spec = env_spec(name, made_with)
    env = make_gym(name, **made_with)
    try:
        space = env.action_space
        choices = int(space.n) if isinstance(space, gymnasium.spaces.Discrete) else 0
        facts = {
            "id": spec.env_id,
            **({"made with": env_kwargs_text(made_with)} if made_with else {}),
            "actions": f"one of {choices}" if choices else f"{spec.adapter(space).size} continuous",
            "own observations": f"{env.observation_space}",
            "frames a second": text(frames_per_second(name)),
        }
        limit = env.spec.max_episode_steps if env.spec else None
    finally:
        env.close()
    if limit:
        facts["longest episode"] = f"{limit:,} steps"
    if spec.rows:
        facts["seen of a frame"] = f"its first {spec.rows} rows"
    if spec.squash:
        facts["C's outputs through"] = ", ".join(spec.squash)
    return facts


def _settings(run: Run, part: str) -> dict[str, Any]:
    stored = {_SAME.get(name, name): value for name, value in run.facts.get(part, {}).items()}
    asked: Settings = run.settings.get(part, {})
    merged = {**asked, **{name: value for name, value in stored.items() if name not in asked}}
    return {
        name: value for name, value in merged.items() if name not in _NOT_SHOWN and not _is_fingerprint(name, value)
    }


def _is_fingerprint(name: str, value: Any) -> bool:
    """Hashes tell programs whether two things are the same, and people nothing; a commit can be looked up."""
    return isinstance(value, str) and _FINGERPRINT.fullmatch(value) is not None and "commit" not in name


def _tables(settings: Settings) -> str:
    """One table of plain values, and one of its own for each list of tables, such as the phases of a search."""
    lists = {name: value for name, value in settings.items() if _is_list_of_tables(value)}
    plain = {name: value for name, value in settings.items() if name not in lists}
    pieces = [page.table((), list(_rows(plain)))] if plain else []
    for name, entries in lists.items():
        pieces += [page.subheading(label_of(name).capitalize()), _beside_each_other(entries)]
    return "".join(pieces)


def _is_list_of_tables(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(entry, Mapping) for entry in value)


def _rows(settings: Settings, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Label and value of each setting; a table within is told entry by entry."""
    for name, value in settings.items():
        label = f"{prefix}{label_of(str(name))}"
        if isinstance(value, Mapping) and value:
            yield from _rows(value, f"{label}: ")
        else:
            yield label, text(value)


def _beside_each_other(entries: Sequence[Settings]) -> str:
    """A column an entry, a row a setting."""
    names = dict.fromkeys(name for entry in entries for name in entry)
    rows = [(label_of(name), *(text(entry.get(name)) for entry in entries)) for name in names]
    return page.table(("", *map(str, range(1, len(entries) + 1))), rows)


def _made_on(run: Run, facts: str) -> dict[str, str]:
    for source in (*reversed(list(run.settings.values())), run.summary):
        found = source.get(facts)
        if isinstance(found, Mapping):
            return {str(name).replace("_", " "): str(value) for name, value in found.items()}
    return {}
