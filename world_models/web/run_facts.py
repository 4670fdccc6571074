"""What a run's files and its environment say of themselves, as the page wants to know it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gymnasium.spaces import Discrete

from world_models.envs.actions import ActionAdapter
from world_models.envs.registry import make_gym
from world_models.utils.run_dir import best_path, load_checkpoint
from world_models.utils.scores import read_scores

_DEFAULT_FPS = 30
_KINDS = {"CarRacing": "car", "TakeCover": "sideways"}
_NAMES = {"car": ["steering", "gas", "brake"], "sideways": ["sideways"]}
_EPISODES = {"car": "Track", "sideways": "Game"}


def title(env_id: str) -> str:
    """An environment's id as people say it: CarRacing for "CarRacing-v3", TakeCover for "VizdoomTakeCover-v1"."""
    return re.sub(r"-v\d+$", "", env_id.rpartition(":")[2]).removeprefix("Vizdoom")


def control_kind(env_id: str) -> str:
    """What the page's keys and buttons stand for: "car", "sideways" or "generic"."""
    return next((kind for name, kind in _KINDS.items() if name in env_id), "generic")


def episode_label(env_id: str, seed: int) -> str:
    """A start's name, such as "Track 10000"."""
    return f"{_EPISODES.get(control_kind(env_id), 'Episode')} {seed}"


def controls(env_id: str, actions: ActionAdapter) -> dict[str, Any]:
    """The actions' names and bounds, as files store them and M reads them; "discrete" says that they are one-hot."""
    kind = control_kind(env_id)
    space = actions.space
    names = _NAMES.get(kind, [])
    if len(names) != actions.size:
        names = [f"action {number}" for number in range(actions.size)]
    return {
        "kind": kind,
        "names": names,
        "low": [float(x) for x in actions.low],
        "high": [float(x) for x in actions.high],
        "discrete": isinstance(space, Discrete) and actions.size == int(space.n),
    }


def pace(env_id: str, time_limit: int, env_kwargs: Mapping[str, Any] | None = None) -> dict[str, int]:
    """Frames a second, and the steps after which an episode is cut: by the environment itself or by our limit."""
    env = make_gym(env_id, **(env_kwargs or {}))
    try:
        limit = env.spec.max_episode_steps if env.spec else None
        return {
            "fps": int(env.metadata.get("render_fps") or _DEFAULT_FPS),
            "max_steps": min(limit or time_limit, time_limit),
        }
    finally:
        env.close()


def knows_terminals(logdir: str | Path) -> bool:
    """Whether M was trained to say when an episode ends; a checkpoint that does not say was not."""
    return bool(load_checkpoint(best_path(logdir, "mdrnn")).get("terminal_trained", False))


def score(logdir: str | Path) -> dict[str, Any] | None:
    """What the trained agent reaches: mean, std, episodes.

    It is the evaluation's, where the run has one (`utils.scores`); else what evolution measured for its
    best candidate, of which no spread was kept (std and episodes are None); else None.

    Raises:
        DataError: the evaluation's file is not JSON.
    """
    trained = read_scores(Path(logdir)).get("trained")
    if isinstance(trained, dict) and "mean" in trained:
        return {key: trained.get(key) for key in ("mean", "std", "episodes")}
    mean = load_checkpoint(best_path(logdir, "ctrl")).get("return_mean")
    return None if mean is None else {"mean": float(mean), "std": None, "episodes": None}
