"""Ids that only a package outside Gymnasium registers: which module to name before the id, and how to install it."""

from __future__ import annotations

import importlib.util
import re
from typing import NamedTuple


class KnownModule(NamedTuple):
    """A module that registers environments when it is imported.

    `ids` is a pattern of the ids' beginnings, `module` what Gymnasium's form "module:id" needs, `package` what pip
    installs.
    """

    ids: str
    module: str
    package: str


_ATARI = "Breakout|Pong|SpaceInvaders|MsPacman|Qbert|Seaquest|BeamRider|Enduro|Freeway|MontezumaRevenge|Boxing"
_HIGHWAY = "highway|merge|roundabout|parking|intersection|racetrack|u-turn|exit|two-way|lane-keeping"
_ROBOTS = "Fetch|HandReach|HandManipulate|AdroitHand|FrankaKitchen|PointMaze|AntMaze"
_KNOWN = (
    KnownModule(rf"ALE/|({_ATARI})\w*-v\d|\w+(NoFrameskip|Deterministic)-v\d", "ale_py", "ale-py"),
    KnownModule("MiniGrid-|BabyAI-", "minigrid", "minigrid"),
    KnownModule(rf"({_HIGHWAY})\w*-v\d|({_HIGHWAY})-\w", "highway_env", "highway-env"),
    KnownModule(_ROBOTS, "gymnasium_robotics", "gymnasium-robotics"),
    KnownModule("MiniWorld-", "miniworld", "miniworld"),
    KnownModule("FlappyBird-", "flappy_bird_gymnasium", "flappy-bird-gymnasium"),
    KnownModule("Vizdoom", "vizdoom.gymnasium_wrapper", "vizdoom"),
)


def known_module(env_id: str) -> KnownModule | None:
    """The package whose ids look like this one; None where none is known."""
    return next((known for known in _KNOWN if re.match(known.ids, env_id)), None)


def how_to_name(env_id: str) -> str:
    """What to do about an id that Gymnasium alone does not know; "" where nothing is known of it."""
    known = known_module(env_id)
    if known is None:
        return ""
    named = f"write {known.module}:{env_id}, as the module {known.module} registers it"
    return named if installed(known.module) else f"install its package (pip install {known.package}) and {named}"


def installed(module: str) -> bool:
    """Whether a module can be found; it is not imported, but for the packages that it lies in."""
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False
