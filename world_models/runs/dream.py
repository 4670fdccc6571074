"""Training in the dream and scoring there: what `world-models dream` does."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from world_models import budgets
from world_models.configs.wm_config import WMControllerConfig, WMMDNRNNConfig, WMVAEConfig
from world_models.datasets.dream_starts import load_starts, starts_path
from world_models.envs.env_kwargs import named
from world_models.envs.known.of_run import chosen_environment, environment_of_controller
from world_models.envs.registry import env_spec, environment_actions
from world_models.errors import CheckpointError, ConfigError, DataError
from world_models.models.dream_rules import DreamRules
from world_models.models.load import load_controller, load_mdrnn
from world_models.rollout.recipe import DREAMS, dream_recipe
from world_models.runs.evaluation import evaluate_recipe
from world_models.search.dream_run import DreamRun
from world_models.search.settings import ControllerSettings
from world_models.training.fit.latents import latent_source, read_or_make, write_starts
from world_models.training.train_controller import ControllerResult, evolve
from world_models.typed import Number, as_type
from world_models.utils.run_dir import best_path, load_checkpoint, log_path


def train_in_dream(config: WMControllerConfig, rules: DreamRules, pessimism: float = 0.0) -> ControllerResult:
    """Evolve C inside M: `train_controller`, its candidates dreamed.

    Args:
        config: As for `train_controller`; `logdir` has V, M and M's starts. `num_lanes` in `extra` (256) are the
            dreams of one batch in a worker.
        rules: How to dream.
        pessimism: See `DreamRun`.

    Raises:
        CheckpointError: V or M is missing, C there was evolved otherwise, or the terminal head was not trained.
        DataError: the file of starts is missing.
        ConfigError: a setting cannot work.
    """
    config = WMControllerConfig({**config.to_dict(), "num_lanes": config.extra.get("num_lanes", DREAMS)})
    pessimism = as_type(Number, pessimism, "pessimism")
    load_starts(starts_path(config.logdir))  # refused before anything is started
    settings = ControllerSettings.from_config(config)
    environment_actions(config.env_name, settings.env_kwargs)
    return evolve(DreamRun(config, settings, rules, pessimism))


def evaluate_dream(
    logdir: str | Path,
    rules: DreamRules,
    episodes: int,
    seed: int,
    *,
    env_name: str | None = None,
    env_kwargs: Mapping[str, Any] | str | None = None,
    time_limit: int | None = None,
    workers: int | None = None,
    num_lanes: int = DREAMS,
    display: bool = True,
) -> dict[str, Any]:
    """The virtual score: mean, standard deviation and every return of the run's C in dreams of named seeds."""
    _, facts = load_controller(logdir)
    if facts.get("env_name"):
        name, made_with = environment_of_controller(logdir, facts, env_name, env_kwargs)
    else:
        name, made_with = environment_of(logdir, env_name, env_kwargs)
    spec = env_spec(name, made_with)
    actions, mine = environment_actions(spec.env_id, made_with).size, load_mdrnn(logdir).actions
    if actions != mine:  # refused before there are workers
        raise CheckpointError(
            f"M in {logdir} was trained with {mine} actions, {named(spec.env_id, made_with)} has {actions}: name the "
            "environment that M is of (--env, --env_kwargs)."
        )
    limit, num_lanes = (
        budgets.at_most("time_limit", time_limit or spec.max_steps),
        budgets.at_most("num_lanes", num_lanes),
    )
    more: Any = {"time_limit": limit, "trained": True, "env_kwargs": made_with}
    recipe = dream_recipe(spec.env_id, str(logdir), rules, num_lanes, **more)
    return evaluate_recipe(recipe, episodes, seed, workers, display, "dream")


def environment_of(
    logdir: str | Path, env_name: str | None = None, env_kwargs: Mapping[str, Any] | str | None = None
) -> tuple[str, dict[str, Any]]:
    """The environment that M's starts are of, and what it is made with; those that are named go before.

    Raises:
        ConfigError: the file does not say.
    """
    starts = load_starts(starts_path(logdir))
    name, made_with = chosen_environment(env_name, env_kwargs, starts.env_name, starts.env_kwargs)
    if not name:
        raise ConfigError(f"{starts_path(logdir)} does not say its environment: name it (--env).")
    return name, made_with


def prepare(logdir: str | Path, data_dir: str | None = None, out: str | Path | None = None, seed: int = 0) -> Path:
    """The folder to dream in, with V, M and M's starts: `logdir`, or `out` with copies of them.

    Args:
        logdir: A run with V and M.
        data_dir: Rollouts to make the starts from where they are missing.
        out: Another folder for C; V and M that lie there already must be the same.
        seed: Of the starts, where they are made.

    Raises:
        CheckpointError: V or M is missing.
        ConfigError: `out` has another V or M.
        DataError: there are no starts, and no `data_dir` to make them from.
    """
    if not starts_path(logdir).is_file():
        _make_starts(Path(logdir), data_dir, seed)
    if out is None or Path(out).resolve() == Path(logdir).resolve():
        return Path(logdir)
    files = [best_path(logdir, "vae"), best_path(logdir, "mdrnn"), starts_path(logdir)]
    for source in files:
        load_checkpoint(source) if source.suffix == ".tar" else load_starts(source)
        refuse_another(source, Path(out) / source.parent.name / source.name)
    for source in files:
        target = Path(out) / source.parent.name / source.name
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            shutil.copyfile(source, target)
    for stage in ("vae", "mdrnn"):  # how they came to be, for the report
        log = log_path(logdir, stage)
        if log.is_file():
            shutil.copyfile(log, log_path(out, stage))
    return Path(out)


def refuse_another(source: Path, target: Path) -> None:
    """Raises ConfigError where `target` is there and is no copy of `source`."""
    if target.exists() and target.read_bytes() != source.read_bytes():
        raise ConfigError(f"{target} is another one than {source}: name another --out, or remove it.")


def _make_starts(logdir: Path, data_dir: str | None, seed: int) -> None:
    mdrnn = load_mdrnn(logdir)
    if data_dir is None:
        raise DataError(
            f"{starts_path(logdir)}: there is no such file, and M needs real latents to begin a dream; give --data_dir "
            "to make it from, or train M again (--stage rnn)"
        )
    sizes = {"latent_size": mdrnn.latents, "action_size": mdrnn.actions, "hidden_size": mdrnn.hiddens}
    folders = {"data_dir": str(data_dir), "logdir": str(logdir), "device": "cpu"}
    source = latent_source(WMVAEConfig(logdir=str(logdir)), WMMDNRNNConfig(**sizes, **folders))
    write_starts(source, logdir, read_or_make(source), seed)
