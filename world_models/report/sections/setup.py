"""How the run was set up: its environment, and what each stage was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium

from world_models.envs.env_kwargs import told
from world_models.envs.registry import env_spec, make_gym
from world_models.errors import WorldModelsError
from world_models.report import page
from world_models.report.episode import frames_per_second
from world_models.report.run import Run
from world_models.report.sections.common import text

_PARTS = {"run": "The run", "vae": "V", "mdrnn": "M", "ctrl": "C"}
_MADE_ON = ("arithmetic", "versions")  # shown once, under the settings
_NOT_SHOWN = ("env_name", "vae_fingerprint", "test_loss", "epoch", "return_mean", "generation", "env_steps", *_MADE_ON)
_WORDS = {"latents": "latent_size", "hiddens": "hidden_size", "actions": "action_size", "gaussians": "gmm_components"}


def setup_section(run: Run) -> page.Section:
    """The environment's facts, and every setting by stage: of settings.json, and of the checkpoints before it."""
    pieces = [page.subheading("Environment"), _environment(run.env_name, run.env_kwargs)]
    tables = [(title, table) for part, title in _PARTS.items() if (table := _settings(run, part))]
    pieces.append(page.subheading("Settings"))
    if not run.settings:
        pieces.append(
            page.note("These are the sizes in the checkpoints: this run has no settings.json, which newer ones write.")
        )
    pieces.append(page.columns([page.definitions(title, table) for title, table in tables]))
    for title, facts in (("Processor and number format", "arithmetic"), ("Versions", "versions")):
        if found := _made_on(run, facts):
            pieces += [page.subheading(title), page.facts(found)]
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
        size = spec.adapter(env.action_space).size
        kind = "one of" if isinstance(env.action_space, gymnasium.spaces.Discrete) else "continuous"
        facts = {
            "id": spec.env_id,
            **({"made with": told(made_with)} if made_with else {}),
            "actions": f"one of {size}" if kind == "one of" else f"{size} {kind}",
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


def _settings(run: Run, part: str) -> dict[str, str]:
    stored = {_WORDS.get(name, name): value for name, value in run.facts.get(part, {}).items()}
    asked: Mapping[str, Any] = run.settings.get(part, {})
    merged = {**asked, **{name: value for name, value in stored.items() if name not in asked}}
    return {name.replace("_", " "): text(value) for name, value in merged.items() if name not in _NOT_SHOWN}


def _made_on(run: Run, facts: str) -> dict[str, str]:
    for source in (*reversed(list(run.settings.values())), run.summary):
        found = source.get(facts)
        if isinstance(found, Mapping):
            return {str(name).replace("_", " "): str(value) for name, value in found.items()}
    return {}
