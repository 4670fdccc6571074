"""An environment that a script registers, told to worker processes, which may not know it.

A worker begins with Gymnasium's own ids and what the script's top level registers. What stands under
`if __name__ == "__main__":` it never runs; so it is sent what was registered, as plain values and the name of the
class, and registers that itself.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.reduction import ForkingPickler
from typing import Any

import gymnasium
from gymnasium.envs.registration import WrapperSpec

from world_models.errors import EnvironmentNameError


@dataclass(frozen=True)
class Registration:
    """What `gymnasium.register` was told; `entry_point` is "module:name", and `problem` says why it cannot be sent."""

    id: str
    entry_point: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    wrappers: tuple[WrapperSpec, ...] = ()
    problem: str = ""

    def register(self) -> None:
        """Registers it, where the id is unknown in this process.

        Raises:
            EnvironmentNameError: this process cannot find its class; the message says where to put it.
        """
        if self.id in gymnasium.registry:
            return
        if self.problem:
            raise EnvironmentNameError(_sentence(self.id, self.problem))
        entry = self.entry_point
        try:
            creator = _found(entry)
        except (ImportError, AttributeError):
            module, _, name = entry.partition(":")
            where = "the script's top level" if module == "__main__" else f"the module {module}"
            raise EnvironmentNameError(_sentence(self.id, f"{where} has no {name}")) from None
        gymnasium.register(self.id, creator, additional_wrappers=self.wrappers, **self.settings)


def registration_of(env_name: str) -> Registration | None:
    """What another process needs to know of a registered id; None for "module:id", which it can look up itself."""
    spec = gymnasium.registry.get(env_name)
    if spec is None or spec.entry_point is None:
        return None
    entry = spec.entry_point
    if not isinstance(entry, str):
        name = getattr(entry, "__qualname__", "")
        module = getattr(entry, "__module__", "")
        if not module or not name or "<" in name:
            return Registration(spec.id, problem="it is made by a function inside another one, or a lambda")
        entry = f"{module}:{name}"
    settings = {
        name: getattr(spec, name)
        for name in (
            "reward_threshold",
            "nondeterministic",
            "max_episode_steps",
            "order_enforce",
            "disable_env_checker",
            "kwargs",
        )
    }
    whole = Registration(spec.id, entry, settings, tuple(spec.additional_wrappers))
    try:
        ForkingPickler.dumps(whole)
    except Exception as error:
        return Registration(spec.id, problem=f"what it is registered with cannot be sent ({error})")
    return whole


def _found(entry_point: str) -> Callable[..., Any]:
    module, _, name = entry_point.partition(":")
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    creator: Callable[..., Any] = found
    return creator


def _sentence(env_id: str, problem: str) -> str:
    return (
        f"Environment {env_id!r} is registered by the script alone, and worker processes cannot make it: {problem}; "
        f"put its class and gymnasium.register into a module and name it module:{env_id}, or use one worker."
    )
