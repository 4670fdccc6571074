"""The report of a run, with an episode that its agent drives for it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from world_models.envs.choices import EVALUATION_SEED
from world_models.envs.env_kwargs import parse_env_kwargs
from world_models.errors import (
    CheckpointError,
    ConfigError,
    EnvironmentFailure,
    EnvironmentNameError,
    MissingDependencyError,
    WorldModelsError,
)
from world_models.report import write_report
from world_models.report.episode import FilmedEpisode, film
from world_models.report.run import read_run
from world_models.rollout.driver import Recipe
from world_models.runs.evaluation import evaluate_recipe, median_episode, run_recipe
from world_models.utils.run_dir import STAGES, best_path
from world_models.utils.scores import read_scores

_LOG = logging.getLogger(__name__)
_RANDOM_EPISODES = 16  # without drawing; its returns differ little


def report_run(
    logdir: str | Path,
    data_dir: str | Path | None = None,
    out: str | Path | None = None,
    *,
    summary: Mapping[str, Any] | None = None,
    seed: int | None = None,
    video: bool = True,
    time_limit: int | None = None,
    env_kwargs: Mapping[str, Any] | str | None = None,
) -> Path:
    """Writes the report; where V, M and C are trained the agent drives an episode for it first.

    Args:
        logdir: The run's folder.
        data_dir: Its rollouts, if they are there.
        out: The report's folder; `<logdir>/report` by default.
        summary: Figures of the evaluation; by default read from the run.
        seed: Of the episode; by default that of the median of the scored ones.
        video: Whether an episode is driven.
        time_limit: Steps of the episode at most; by default what the environment allows.
        env_kwargs: What its environment is made with; by default what C's was.

    Raises:
        CheckpointError, DataError: as `write_report`.
    """
    read_run(logdir, summary=summary)  # refuses before anything is driven or written
    scores = read_scores(Path(logdir)) if summary is None else summary
    episode, about = _episode(Path(logdir), scores, seed, time_limit, env_kwargs) if video else (None, "")
    if episode is not None and scores.get("trained") and not scores.get("random"):
        scores = {**scores, "random": _random_score(Path(logdir), scores["trained"], env_kwargs)}
    return write_report(logdir, data_dir, out, summary=scores, episode=episode, episode_about=about)


def _random_score(
    logdir: Path, trained: Mapping[str, Any], env_kwargs: Mapping[str, Any] | str | None
) -> dict[str, Any] | None:
    """What a random policy earns on the first of the scored seeds, to hold the score against; None on failure."""
    made_with = None if env_kwargs is None else parse_env_kwargs(env_kwargs)
    agent = run_recipe(logdir, time_limit=trained.get("time_limit"), env_kwargs=made_with)
    random = Recipe(
        agent.env_name, "gymnasium", "uniform", time_limit=agent.time_limit, draw=False, env_kwargs=agent.env_kwargs
    )
    seed = next(iter(trained.get("seeds") or ()), EVALUATION_SEED)
    try:
        score = evaluate_recipe(random, _RANDOM_EPISODES, seed, title="random")
    except WorldModelsError as error:
        _LOG.warning("report: no random policy to compare with: %s", error)
        return None
    return {**score, "source": "measured for this report"}


def _episode(
    logdir: Path,
    scores: Mapping[str, Any],
    seed: int | None,
    time_limit: int | None,
    env_kwargs: Mapping[str, Any] | str | None,
) -> tuple[FilmedEpisode | None, str]:
    """An episode and a sentence on it, or on why there is none."""
    made_with = None if env_kwargs is None else parse_env_kwargs(env_kwargs)
    if not all(best_path(logdir, stage).is_file() for stage in STAGES):
        return None, ""
    trained = scores.get("trained") or {}
    seeds, returns = trained.get("seeds"), trained.get("returns")
    which = ""
    if seed is None and seeds and returns:
        seed, _ = median_episode(seeds, returns)
        which = f" The median of the {len(seeds)} scored."
    seed = EVALUATION_SEED if seed is None else seed
    try:
        episode = film(run_recipe(logdir, time_limit=time_limit, env_kwargs=made_with), seed)
    except (MissingDependencyError, EnvironmentNameError, EnvironmentFailure, CheckpointError, ConfigError) as error:
        return None, f"No episode could be driven here: {error}"
    return episode, f"Seed {seed}, return {episode.result.episode_return:.0f}.{which}"
