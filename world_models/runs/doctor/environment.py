"""The environment: made, reset and driven, its pictures, actions, rewards, ends, determinism and speed looked at."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from PIL import Image

from world_models.envs.contract.making import plain_id
from world_models.envs.contract.probe import Probe, check_environment
from world_models.envs.env_kwargs import env_kwargs_text, named
from world_models.envs.frames import resize_frames
from world_models.envs.gym_env import GymLanes
from world_models.report.figures.pictures import evenly, sheet
from world_models.rollout.driver import choose_backend
from world_models.runs.doctor.drive import Drive, drive, held_actions, opened
from world_models.runs.doctor.findings import Findings
from world_models.types import UInt8Array
from world_models.utils.threads import cpu_count

_SEED, _OTHER = 0, 1
_REPEATED = 24  # steps driven again to see whether they come to the same
_COLUMNS, _SIDE = 8, 256
_PALE = 4.0  # a change of less than this, of 255, in the pixel that changes most is hard to see for V


def look_at_environment(
    found: Findings, env_name: str, env_kwargs: dict[str, Any], steps: int, out: Path | None, seq_len: int
) -> Probe | None:
    """All that some hundred steps tell; None where it cannot be driven.

    Args:
        found: Where it is noted.
        env_name, env_kwargs: What to make.
        steps: To drive at most.
        seq_len: Of M's sequences.
        out: A PNG file for a sheet of its pictures; None: nothing is written.
    """
    found.part = f"Environment {named(env_name, env_kwargs)}"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", UserWarning)  # Gymnasium's own, and those of the environment
        probe = _look(found, env_name, env_kwargs, steps, out, seq_len)
    for text in dict.fromkeys(_plain(str(each.message)) for each in caught):
        if "render_mode='rgb_array'" not in text or probe is None:
            found.note("warning", text)
    return probe


def _look(
    found: Findings, env_name: str, env_kwargs: dict[str, Any], steps: int, out: Path | None, seq_len: int
) -> Probe | None:
    driven: Probe | None = None
    with found.looking("made"):
        probe = check_environment(env_name, env_kwargs)
        found.ok("made", _made(probe))
        backend = choose_backend(env_name, "auto", env_kwargs)
        with opened(env_name, env_kwargs, backend == "redrawn") as lanes:
            _look_at_spaces(found, lanes)
            first = drive(lanes, env_kwargs, _SEED, held_actions(lanes, steps, _SEED))
            _look_at_pictures(found, first, lanes)
            _look_at_rewards(found, first)
            _look_at_end(found, first, probe, seq_len)
            _look_at_chance(found, lanes, env_kwargs, first)
            _look_at_speed(found, first, backend, probe)
        if out is not None:
            with found.looking("sheet"):
                out.parent.mkdir(parents=True, exist_ok=True)
                _sheet(first, lanes.spec.rows).save(out)
                found.ok("sheet", f"{out}: above its pictures, below what V sees of them")
        driven = probe
    return driven


def _made(probe: Probe) -> str:
    entry = gymnasium.spec(plain_id(probe.env_id)).entry_point
    name = entry if isinstance(entry, str) else f"{entry.__module__}:{getattr(entry, '__qualname__', entry)}"
    variant = f"; a variant of {probe.spec.derived_from}, cropped as that is" if probe.spec.derived_from else ""
    made_with = f", made with {env_kwargs_text(probe.env_kwargs)}" if probe.env_kwargs else ""
    return f"{probe.env_id}: {name}{made_with}{variant}"


def _look_at_spaces(found: Findings, lanes: GymLanes) -> None:
    actions = lanes.actions
    kind = "one of them is chosen" if actions.discrete else "numbers in its bounds"
    found.ok("actions", f"{actions.space}: --action_size {actions.size}, {kind}")


def _look_at_pictures(found: Findings, drive: Drive, lanes: GymLanes) -> None:
    first, rows = drive.frames[0], lanes.spec.rows
    frames = np.stack(drive.frames)
    low, high = int(frames.min()), int(frames.max())
    kept = f", of which the first {rows} rows are kept" if rows else ""
    shape = f"{first.shape[0]}x{first.shape[1]}, values {low} to {high}, mean {frames.mean():.0f}{kept}"
    if low == high:
        found.problem(
            "pictures", f"{shape}: they are all of one colour, and there is nothing to see; mend its pictures."
        )
        return
    seen = resize_frames(frames, rows=rows)
    change = np.abs(np.diff(seen.astype(np.int16), axis=0)).max(axis=(1, 2, 3))
    if not change.any():
        found.problem(
            "pictures", f"{shape}: they never change in {len(change)} steps; mend its render() or observation."
        )
    elif change.max() < _PALE:
        found.note("pictures", f"{shape}; at 64x64 no pixel changes by more than {change.max()} of 255: little to see.")
    else:
        text = f"{shape}; at 64x64 they change in {np.count_nonzero(change)} of {len(change)} steps"
        found.ok("pictures", text)


def _look_at_rewards(found: Findings, drive: Drive) -> None:
    rewards = np.array(drive.rewards)
    span = f"{rewards.min():g} to {rewards.max():g}" if np.ptp(rewards) else f"all {rewards[0]:g}"
    text = f"{span}, {np.count_nonzero(rewards)} of {len(rewards)} are not 0"
    if not rewards.any():
        found.note(
            "rewards", f"{text}: random driving earns nothing in {len(rewards)} steps, so C has little to go by."
        )
    else:
        found.ok("rewards", text)


def _look_at_end(found: Findings, drive: Drive, probe: Probe, seq_len: int) -> None:
    limit = gymnasium.spec(plain_id(probe.env_id)).max_episode_steps
    of_its_own = f"it has a limit of {limit:,} steps" if limit else "it has no limit of its own"
    if drive.ended and len(drive.rewards) <= seq_len:
        short = f"shorter than M's sequences (--seq_len {seq_len})"
        found.note("ends", f"{drive.ended} after {len(drive.rewards)} steps, {short}; {of_its_own}.")
        return
    if drive.ended:
        found.ok("ends", f"{drive.ended} after {len(drive.rewards)} steps; {of_its_own}")
        return
    cut = f", and is cut after {_limit(probe):,}" if _limit(probe) != limit else ""
    found.ok("ends", f"not in {len(drive.rewards)} steps; {of_its_own}{cut}")


def _limit(probe: Probe) -> int:
    """Steps of an episode at most: the environment's own limit or ours."""
    own = gymnasium.spec(plain_id(probe.env_id)).max_episode_steps
    return min(own or probe.spec.max_steps, probe.spec.max_steps)


def _look_at_chance(found: Findings, lanes: GymLanes, env_kwargs: dict[str, Any], first: Drive) -> None:
    """The same seed and actions again, then other actions, then another seed."""
    count = min(_REPEATED, len(first.rewards))
    actions = held_actions(lanes, len(first.rewards), _SEED)[:count]
    if first.like(drive(lanes, env_kwargs, _SEED, actions)):
        found.ok("chance", f"the same seed and actions give the same {count} steps")
    else:
        found.note("chance", "the same seed and actions give other steps: draw all chance from self.np_random.")
    other = drive(lanes, env_kwargs, _SEED, held_actions(lanes, count, _OTHER))
    if count > 1 and first.like(other):
        found.note("control", f"other actions change neither pictures nor rewards in {count} steps.")
    else:
        found.ok("control", "other actions lead to other steps")
    if np.array_equal(drive(lanes, env_kwargs, _OTHER, []).frames[0], first.frames[0]):
        found.note("seeds", "episodes of different seeds begin with the same picture.")


def _look_at_speed(found: Findings, drive: Drive, backend: str, probe: Probe) -> None:
    speed = len(drive.rewards) / max(drive.seconds, 1e-9)
    limit = _limit(probe)
    hours = 1000 * limit / speed / cpu_count() / 3600
    shown = f"{hours:.1f} hours" if hours >= 1 else f"{round(hours * 60)} minutes" if hours > 1 / 40 else "a minute"
    most = f"1,000 rollouts of {limit:,} steps take about {shown} on {cpu_count()} cores"
    found.ok("speed", f"{speed:,.0f} steps a second in one process (backend {backend}); {most}")


def _sheet(drive: Drive, rows: int | None) -> Image.Image:
    frames = np.stack([drive.frames[k] for k in evenly(len(drive.frames), _COLUMNS)])
    native: UInt8Array = resize_frames(frames, (_SIDE, _SIDE), rows)
    seen = resize_frames(frames, rows=rows).repeat(_SIDE // 64, axis=1).repeat(_SIDE // 64, axis=2)
    return sheet([("its pictures", native), ("what V sees, 64x64", seen)], scale=0.5)


def _plain(text: str) -> str:
    """Gymnasium colours its warnings."""
    return " ".join(text.replace("\x1b[33m", "").replace("\x1b[0m", "").removeprefix("WARN: ").split())
