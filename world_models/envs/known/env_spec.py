"""What the project knows of one environment beyond Gymnasium's own registry: a row of the table in `registry.py`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium

from world_models.envs.actions import ActionAdapter


@dataclass(frozen=True)
class EnvSpec:
    """What the project knows of one environment beyond Gymnasium's own registry.

    `rows` is how many pixel rows of a native frame are kept (None: all); `squash` names how C's outputs
    become actions; `drift` is what the correlated-noise policy's walk returns to, one number an action
    in half ranges about the action's middle; `early_termination` is after how many steps without a
    positive reward an episode may be ended while learning (None: never); `envpool` says that EnvPool has it;
    `stop_drawing` makes an environment give black frames, everything else unchanged (None: it draws only
    when asked to, or cannot be stopped); `redraw` makes it draw nearly the same frames much faster; `mirror`
    has the places of the actions that change their signs where left is right, if the world is alike both ways.
    `entry_point` is the class behind the id: ids that others register for it, or for a class derived from it, have
    this row as far as it holds for them, and say in `derived_from` whose row it was.
    """

    env_id: str
    rows: int | None = None
    squash: tuple[str, ...] | None = None
    drift: tuple[float, ...] | None = None
    early_termination: int | None = None
    envpool: bool = False
    stop_drawing: Callable[[gymnasium.Env[Any, Any]], None] | None = None
    redraw: Callable[[gymnasium.Env[Any, Any]], None] | None = None
    line: tuple[int, ...] | None = None
    mirror: tuple[int, ...] = ()
    max_steps: int = 1000
    entry_point: str | None = None
    derived_from: str | None = None
    register: Callable[[], None] | None = None
    make: Callable[..., gymnasium.Env[Any, Any]] = gymnasium.make

    def adapter(self, space: gymnasium.Space[Any]) -> ActionAdapter:
        """C's outputs as the actions of such an environment, whose action space is given."""
        squash = self.squash if self.derived_from is None or _fits(self.squash, space) else None
        return ActionAdapter(space, squash, where=self.env_id, line=self.line)

    def drift_of(self, actions: ActionAdapter) -> tuple[float, ...] | None:
        """`drift`, where there is one for each of these actions."""
        return self.drift if self.drift is not None and len(self.drift) == actions.size else None


def _fits(squash: tuple[str, ...] | None, space: gymnasium.Space[Any]) -> bool:
    return squash is not None and isinstance(space, gymnasium.spaces.Box) and space.shape == (len(squash),)
