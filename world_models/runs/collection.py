"""Data collection into a folder: exactly as many rollouts as asked for, topping up what is there."""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from world_models import budgets
from world_models.datasets.folder_check import check_files
from world_models.datasets.rollout_files import find_rollouts
from world_models.envs.contract.probe import check_environment
from world_models.envs.env_kwargs import parse_env_kwargs
from world_models.envs.mirrored import check_mirror
from world_models.envs.registry import canonical_id, env_spec
from world_models.errors import ConfigError, DataError
from world_models.executors.base import Job, shards
from world_models.executors.local import make_executor
from world_models.rollout.driver import Recipe, choose_backend
from world_models.types import EpisodeResult
from world_models.utils.progress import Progress
from world_models.utils.seeding import derive_seed

_NAME = re.compile(r"rollout_(\d+)\.npz", re.IGNORECASE)
_SHARD = 32  # rollouts a job: what an interrupted worker may lose of its own is less than that


def generate_rollouts(
    data_dir: str | Path,
    env_name: str,
    num_rollouts: int = 1000,
    seq_len: int = 1000,
    num_workers: int = 8,
    *,
    policy: str = "brownian",
    backend: str = "auto",
    seed: int = 0,
    hopeless: int | None = None,
    logdir: str | Path | None = None,
    spread: float = 0.0,
    mirrored: bool = False,
    display: bool = True,
    env_kwargs: Mapping[str, Any] | str | None = None,
) -> list[Path]:
    """Fill `data_dir` up to `num_rollouts` files rollout_*.npz of at most `seq_len` steps each.

    Rollout i has a seed of its own, from (seed, i): an interrupted collection that is started again ends
    with the same files as one that was not.

    Args:
        data_dir: The folder; made where it is missing.
        env_name: Any Gymnasium id.
        num_rollouts: Files that shall be there in the end.
        seq_len: Steps after which an episode is cut; one that ends before is shorter.
        num_workers: Processes, at most one a core.
        policy: "brownian" (correlated noise), "uniform", or "agent" (the trained run in `logdir`).
        backend: "auto", "redrawn", "envpool" or "gymnasium".
        seed: Of the whole folder.
        hopeless: Steps without a positive reward after which an episode is cut.
        logdir: The run of the policy "agent".
        spread: With the policy "agent": controllers up to so many steps of its search about the run's best.
        mirrored: Half of the rollouts are in the mirror, where the environment is alike both ways.
        display: Show progress.
        env_kwargs: What the environment is made with, as a mapping or JSON.

    Returns:
        The files that were written now.

    Raises:
        ConfigError: a number that cannot work. EnvironmentNameError: an unknown id. Nothing is written.
        DataError: the folder already has more files than asked for, or one that could not be trained on.
    """
    for name, value in (("num_rollouts", num_rollouts), ("seq_len", seq_len), ("num_workers", num_workers)):
        if not isinstance(value, int) or value < 1:
            raise ConfigError(f"{name}={value!r} cannot work: give a whole number of at least 1.")
    env_id, made_with = canonical_id(env_name), parse_env_kwargs(env_kwargs)
    if mirrored:
        check_mirror(env_spec(env_id, made_with))
    paths = _missing(Path(data_dir), num_rollouts, seed)
    seq_len = budgets.rollout_len(seq_len)
    recipe = Recipe(
        env_name=env_id,
        backend=backend,
        policy=policy,
        logdir=None if logdir is None else str(logdir),
        time_limit=seq_len,
        num_lanes=16,
        trained=policy == "agent",
        spread=spread if policy == "agent" else 0.0,
        mirrored=mirrored,
        env_kwargs=made_with,
    )
    if not paths:
        return []
    check_environment(env_id, made_with, choose_backend(env_id, backend, made_with))
    executor = make_executor(recipe, num_workers)
    parts = shards(list(paths.items()), executor.workers, _SHARD)
    jobs = [Job("collect", {"paths": dict(part), "early_termination": hopeless}) for part in parts]
    Path(data_dir).mkdir(parents=True, exist_ok=True)
    try:
        with Progress("collect", len(paths), "rollout", enabled=display) as progress:
            steps = 0

            def told(results: list[EpisodeResult]) -> None:
                nonlocal steps
                steps += sum(result.steps for result in results)
                progress.update(len(results), steps=steps)

            executor.run(jobs, told)
    finally:
        executor.close()
        with contextlib.suppress(OSError):
            Path(data_dir).rmdir()  # where nothing could be driven it is empty
    return [Path(path) for path in paths.values()]


def _missing(folder: Path, num_rollouts: int, seed: int) -> dict[int, str]:
    """{seed: path} of the rollouts that are still to be collected; what is there is what will be trained on."""
    there = find_rollouts(folder)
    check_files(folder, there)
    numbered = (_NAME.fullmatch(path.name) for path in there if path.parent == folder)
    taken = {int(match[1]) for match in numbered if match}
    wanted = budgets.rollouts(num_rollouts, len(there)) - len(there)
    if wanted < 0:
        raise DataError(
            f"{folder} has {len(there)} rollouts already, more than num_rollouts={num_rollouts}: ask for at least "
            "as many, or use another folder."
        )
    missing: dict[int, str] = {}
    used: set[int] = set()
    for i in itertools.count():
        if len(missing) == wanted:
            break
        own = _own_seed(seed, i, used)
        used.add(own)
        if i not in taken:
            missing[own] = str(folder / f"rollout_{i:05d}.npz")
    return missing


def _own_seed(seed: int, i: int, used: Collection[int]) -> int:
    """The seed of rollout i, of which no rollout before it is: among 10,000 hashes two may well be equal."""
    own = derive_seed("rollout", seed, i)
    attempt = 0
    while own in used:
        attempt += 1
        own = derive_seed("rollout", seed, i, attempt)
    return own
