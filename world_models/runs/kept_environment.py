"""What a run's environment was made with, where nobody says it again."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from world_models.datasets.rollout_files import list_rollouts, read_meta
from world_models.envs.env_kwargs import env_kwargs_text
from world_models.envs.known.of_run import chosen_environment
from world_models.errors import DataError
from world_models.notices import say_once
from world_models.utils.run_dir import best_path, load_checkpoint
from world_models.utils.run_settings import read_settings

_LOG = logging.getLogger(__name__)


def kept_env_kwargs(env_name: str, logdir: str | Path, data_dir: str | Path) -> dict[str, Any]:
    """Of `env_name`: what the run's settings.json says, or else the first rollout; {} where neither is of it."""
    settings = read_settings(logdir).get("run", {})
    _, made_with = chosen_environment(env_name, None, settings.get("env"), settings.get("env_kwargs"))
    where = str(Path(logdir) / "settings.json")
    if not settings:
        meta, where = _first_meta(data_dir)
        _, made_with = chosen_environment(env_name, None, meta.get("env_id"), meta.get("env_kwargs"))
    if made_with:
        say_once(_LOG, "%s is made with env_kwargs %s, as %s says.", env_name, env_kwargs_text(made_with), where)
    return made_with


def environment_kept(
    env_name: str | None, env_kwargs: Mapping[str, Any] | None, logdir: Path | None, data_dir: Path | None
) -> tuple[str | None, dict[str, Any]]:
    """`env_name`, or else the environment of a run or of rollouts; and its arguments, given or theirs.

    Raises:
        DataError: the run's settings are no JSON. CheckpointError: its controller cannot be read.
    """
    own, own_kwargs = None, None
    if logdir is not None and best_path(logdir, "ctrl").is_file():
        facts = load_checkpoint(best_path(logdir, "ctrl"))
        own, own_kwargs = facts.get("env_name"), facts.get("env_kwargs")
    if not own and logdir is not None:
        settings = read_settings(logdir).get("run", {})
        own, own_kwargs = settings.get("env"), settings.get("env_kwargs")
    if not own and data_dir is not None:
        meta, _ = _first_meta(data_dir)
        own, own_kwargs = meta.get("env_id"), meta.get("env_kwargs")
    return chosen_environment(env_name, env_kwargs, own, own_kwargs)


def _first_meta(data_dir: str | Path) -> tuple[dict[str, Any], str]:
    try:
        first = list_rollouts(data_dir)[0]
        return dict(read_meta(first)), str(first)
    except DataError:  # none, or a broken one: whoever reads them will say so
        return {}, ""
