"""The score: a trained run, or a random policy, on named seeds, as mean and standard deviation."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from world_models import budgets
from world_models.envs.contract.probe import check_environment
from world_models.envs.env_kwargs import named
from world_models.envs.known.of_run import environment_of_controller
from world_models.envs.registry import env_spec
from world_models.errors import CheckpointError, ConfigError
from world_models.executors.base import evaluate
from world_models.executors.local import make_executor
from world_models.models.load import load_controller
from world_models.rollout.recipe import Recipe, choose_backend
from world_models.types import Episode, EpisodeResult
from world_models.utils.precision import arithmetic
from world_models.utils.progress import Progress
from world_models.utils.threads import cpu_count
from world_models.utils.versions import versions


def run_recipe(
    logdir: str | Path,
    env_name: str | None = None,
    backend: str = "gymnasium",
    time_limit: int | None = None,
    env_kwargs: Mapping[str, Any] | str | None = None,
    **settings: Any,
) -> Recipe:
    """The recipe that drives a trained run as its checkpoint says; `time_limit` is by default the environment's.

    So are `env_name` and `env_kwargs`; those of the checkpoint are its environment's alone.
    """
    controller, facts = load_controller(logdir)
    name, made_with = environment_of_controller(logdir, facts, env_name, env_kwargs)
    settings.setdefault("sample_latents", bool(facts.get("sample_latents", False)))
    spec = env_spec(name, made_with)
    return Recipe(
        env_name=spec.env_id,
        backend=backend,
        time_limit=budgets.at_most("time_limit", spec.max_steps if time_limit is None else time_limit),
        logdir=str(logdir),
        hidden_layers=controller.hidden_layers,
        use_hidden=controller.hidden_size > 0,
        use_cell=controller.use_cell,
        bias=controller.bias,
        trained=True,
        env_kwargs=made_with,
        **settings,
    )


def figures(results: Sequence[EpisodeResult]) -> dict[str, Any]:
    """What is told of scored episodes: their returns as mean, standard deviation and range, and each one."""
    returns = np.array([result.episode_return for result in results])
    return {
        "mean": float(returns.mean()),
        "std": float(returns.std()),
        "min": float(returns.min()),
        "max": float(returns.max()),
        "returns": [float(r) for r in returns],
        "steps": [int(result.steps) for result in results],
        "seeds": [result.episode.seed for result in results],
    }


def evaluate_recipe(
    recipe: Recipe,
    episodes: int,
    seed: int,
    workers: int | None = None,
    display: bool = True,
    title: str = "evaluate",
) -> dict[str, Any]:
    """Mean, standard deviation and every return over seeds seed .. seed + episodes - 1, to the end of each.

    In the environment, or in dreams of it: there also how many ended, and how many entries of latents were clamped.
    """
    if episodes < 1:
        raise ConfigError(f"episodes={episodes!r} cannot work: give a whole number of at least 1.")
    if seed < 0:
        raise ConfigError(f"seed={seed!r} cannot work: give a whole number of at least 0.")
    episodes, workers = budgets.at_most("episodes", episodes), workers or cpu_count()
    started = time.monotonic()
    recipe, shard_size = _ready(recipe, episodes, workers)
    executor = make_executor(recipe, workers)
    try:
        with Progress(title, episodes, "episode", enabled=display) as progress:
            done: list[float] = []

            def note(results: list[EpisodeResult]) -> None:
                done.extend(result.episode_return for result in results)
                progress.update(len(results), mean=round(float(np.mean(done)), 1), best=round(max(done), 1))

            results = evaluate(
                executor,
                [Episode(0, seed + i) for i in range(episodes)],
                time_limit=recipe.time_limit,
                shard_size=shard_size,
                progressed=note,
            )
    finally:
        executor.close()
    return {
        "env": recipe.env_name,
        **({"env_kwargs": dict(recipe.env_kwargs)} if recipe.env_kwargs else {}),
        "backend": recipe.backend,
        "policy": recipe.policy,
        "episodes": episodes,
        **figures(results),
        **(_of_dreams(recipe, results) if recipe.world == "dream" else {}),
        "time_limit": recipe.time_limit,
        "seconds": round(time.monotonic() - started, 1),
        "arithmetic": arithmetic(recipe.device),
        "versions": versions(),
        **budgets.facts(),
    }


def _ready(recipe: Recipe, episodes: int, workers: int) -> tuple[Recipe, int]:
    """The recipe with its backend and lanes, and the episodes of a worker's job; what cannot work is refused."""
    if recipe.world == "dream":
        return replace(recipe, num_lanes=min(recipe.num_lanes, -(-episodes // workers))), recipe.num_lanes
    backend = choose_backend(recipe.env_name, recipe.backend, recipe.env_kwargs)
    _check_actions(recipe, check_environment(recipe.env_name, recipe.env_kwargs, backend).action_size)
    # Gymnasium's frames take so long that V and M gain nothing by larger batches; small shards show progress.
    lanes, shard_size = (4, 4) if backend == "gymnasium" else (16, 32)
    return replace(recipe, backend=backend, num_lanes=lanes), shard_size


def _of_dreams(recipe: Recipe, results: Sequence[EpisodeResult]) -> dict[str, Any]:
    return {
        "ended": sum(result.ended_by == "terminal" for result in results),
        "clamped": sum(result.clamped for result in results),
        "temperature": recipe.rules.temperature,
        "deterministic": recipe.rules.deterministic,
    }


def _check_actions(recipe: Recipe, actions: int) -> None:
    """Raises CheckpointError where the run's C has another number of actions than the environment."""
    if recipe.policy != "agent" or recipe.logdir is None or not recipe.trained:
        return
    controller, _ = load_controller(recipe.logdir)
    if controller.action_size != actions:
        raise CheckpointError(
            f"C in {recipe.logdir} gives {controller.action_size} actions, "
            f"{named(recipe.env_name, recipe.env_kwargs)} has {actions}: name the environment that it was trained on "
            "(--env, --env_kwargs)."
        )


def median_episode(seeds: list[int], returns: list[float]) -> tuple[int, float]:
    """Seed and return of the middle episode, of an even number the lower of the two: what is typical."""
    ranked = sorted(zip(returns, seeds, strict=True))
    episode_return, seed = ranked[(len(ranked) - 1) // 2]
    return seed, episode_return


def test_trained_model(
    logdir: str | Path,
    env_name: str,
    action_size: int,
    num_episodes: int = 5,
    *,
    seed: int = 10_000,
    time_limit: int | None = None,
    env_kwargs: Mapping[str, Any] | str | None = None,
) -> list[float]:
    """Drive a trained run (specification, Inference Pipeline); prints each return and gives them all.

    `env_kwargs` are what the environment is made with; by default what the run's was.

    Raises:
        CheckpointError: a stage is missing, or its sizes do not fit the environment.
        ConfigError: `action_size` is not what the controller has.
    """
    controller, _ = load_controller(logdir)
    if controller.action_size != action_size:
        raise ConfigError(
            f"action_size={action_size}, but the controller in {logdir} gives {controller.action_size} actions: "
            f"call with action_size={controller.action_size}."
        )
    recipe = run_recipe(logdir, env_name, time_limit=time_limit, env_kwargs=env_kwargs)
    score = evaluate_recipe(recipe, num_episodes, seed)
    for i, episode_return in enumerate(score["returns"]):
        print(f"Episode {i + 1}: return {episode_return:.2f}")
    print(f"Mean over {score['episodes']} episodes: {score['mean']:.2f} ± {score['std']:.2f}")
    return list(score["returns"])


test_trained_model.__test__ = False  # type: ignore[attr-defined]  # pytest shall not collect it
