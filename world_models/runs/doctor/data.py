"""A folder of rollouts: how many, how long, of what, and which cannot be read."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from world_models.datasets.rollout_files import inspect_rollout, list_rollouts, read_meta
from world_models.errors import DataError
from world_models.runs.doctor.findings import Findings

_MOST = 2000  # files that are looked at; of more, so many at even distances


def look_at_data(found: Findings, data_dir: Path, action_size: int | None, seq_len: int, env_name: str | None) -> int:
    """What the folder holds; the frames in it, as far as they are known.

    Args:
        found: Where it is told.
        data_dir: The folder.
        action_size: The environment's; None: not known.
        seq_len: Of M's sequences.
        env_name: Whose rollouts they shall be.
    """
    found.part = f"Data {data_dir}"
    if not data_dir.exists():
        found.note("rollouts", f"the folder is not there yet: `{_collect(env_name, data_dir)}` makes it.")
        return 0
    try:
        files = list_rollouts(data_dir)
    except DataError as error:
        if data_dir.is_dir() and not any(data_dir.iterdir()):
            found.note("rollouts", f"the folder is empty: `{_collect(env_name, data_dir)}` fills it.")
        else:
            found.problem("rollouts", str(error))
        return 0
    rows = 0
    with found.looking("rollouts"):
        rows = _look_at_files(found, files, action_size, seq_len, env_name)
    return rows


def _collect(env_name: str | None, data_dir: Path) -> str:
    return f"world-models collect --env {env_name or 'ID'} --data_dir {data_dir}"


def _look_at_files(
    found: Findings, files: list[Path], action_size: int | None, seq_len: int, env_name: str | None
) -> int:
    chosen = files if len(files) <= _MOST else [files[k] for k in np.linspace(0, len(files) - 1, _MOST).astype(int)]
    lengths, sizes, broken = [], Counter[int](), []
    ends = 0
    for path in chosen:
        try:
            rollout = inspect_rollout(path)
        except DataError as error:
            broken.append(str(error))
            continue
        lengths.append(len(rollout.actions))
        sizes[rollout.actions.shape[1]] += 1
        ends += bool(rollout.terminals.any())
    _look_at_broken(found, len(files), len(chosen), broken)
    if not lengths:
        return 0
    _look_at_lengths(found, lengths, seq_len, ends)
    _look_at_actions(found, sizes, action_size, env_name)
    with found.looking("origin"):
        _look_at_origin(found, files, env_name)
    return round(float(np.mean(lengths)) * len(files))


def _look_at_broken(found: Findings, count: int, looked_at: int, broken: list[str]) -> None:
    some = "" if looked_at == count else f", of which {looked_at:,} were looked at"
    if not broken:
        found.ok("rollouts", f"{count:,} files{some}, every one can be read")
        return
    first = " ".join(broken[0].split())
    found.problem("rollouts", f"{len(broken):,} of {count:,} files{some} cannot be used; the first is {first}")


def _look_at_lengths(found: Findings, lengths: list[int], seq_len: int, ends: int) -> None:
    short = sum(length <= seq_len for length in lengths)
    text = f"{min(lengths):,} to {max(lengths):,} rows, median {np.median(lengths):,.0f}, {sum(lengths):,} in all"
    if short == len(lengths):
        found.note("lengths", f"{text}: none has the {seq_len + 1} rows of a whole sequence (--seq_len {seq_len}).")
    elif short:
        found.note("lengths", f"{text}: {short} have not the {seq_len + 1} rows of a whole sequence.")
    else:
        found.ok("lengths", text)
    if not ends:
        found.note("ends", "no rollout has a terminal of 1: M cannot learn where episodes end.")
    else:
        found.ok("ends", f"{ends} of {len(lengths)} have a terminal of 1")


def _look_at_actions(found: Findings, sizes: Counter[int], action_size: int | None, env_name: str | None) -> None:
    told = ", ".join(f"{size} in {count}" for size, count in sorted(sizes.items()))
    if len(sizes) > 1:
        found.problem("actions", f"files have different numbers of action columns ({told}): keep those of one kind.")
    elif action_size is not None and action_size not in sizes:
        found.problem(
            "actions",
            f"the files have {next(iter(sizes))} action columns, {env_name} has {action_size} actions: they are of "
            "another environment, or made with other --env_kwargs.",
        )
    else:
        found.ok("actions", f"{next(iter(sizes))} columns")


def _look_at_origin(found: Findings, files: list[Path], env_name: str | None) -> None:
    meta = read_meta(files[0])
    names = ("env_id", "backend", "policy", "env_kwargs")
    told = ", ".join(f"{name} {meta[name]}" for name in names if meta.get(name) not in (None, ""))
    if not meta.get("env_id"):
        found.note("origin", "the files do not say which environment they are of: name it (--env) in every command.")
    elif env_name is not None and meta["env_id"] != env_name:
        found.note("origin", f"{told}, and --env is {env_name}.")
    else:
        found.ok("origin", told)
