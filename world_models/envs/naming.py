"""Ids: aliases, short names, modules that register, and what to say of an id that nobody knows."""

from __future__ import annotations

import difflib
import importlib
import os

import gymnasium

from world_models.envs.failures import raised
from world_models.envs.known_modules import how_to_name
from world_models.errors import EnvironmentNameError

_OF_A_MODULE = "One that a module registers is written module:id."


def check_known(env_name: str, env_id: str) -> None:
    """Imports the module of "module:id", and looks the id up.

    Raises:
        EnvironmentNameError: the module cannot be imported, or there is no such id; the message says what to write.
    """
    module, _, plain = env_id.rpartition(":")
    if module:
        _import(module, env_name)
    try:
        gymnasium.spec(plain)
    except (gymnasium.error.Error, ValueError) as error:
        if not module and (known := how_to_name(plain)):
            raise EnvironmentNameError(f"Environment {env_name!r} is not one of Gymnasium's own: {known}.") from None
        told = f"{str(error).rstrip('.?')}. {_hint(module, plain)}"
        raise EnvironmentNameError(f"Environment {env_name!r} does not exist: {told}") from None


def _import(module: str, env_name: str) -> None:
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise EnvironmentNameError(
                f"Environment {env_name!r} cannot be looked up: its module {module} needs the module {error.name!r}, "
                f"which is not installed ({raised(error)})."
            ) from error
        raise EnvironmentNameError(_no_module(module, env_name)) from None
    except (Exception, SystemExit) as error:
        raise EnvironmentNameError(
            f"Environment {env_name!r} cannot be looked up: to import its module {module} raised {raised(error)}; mend "
            "it there."
        ) from error


def _no_module(module: str, env_name: str) -> str:
    plain = env_name.rpartition(":")[2]
    if os.path.exists(f"{module.replace('.', '/')}.py") or os.path.isdir(module.replace(".", "/")):
        mend = "it lies in this folder, which Python does not search: put PYTHONPATH=. before the command"
    elif known := how_to_name(plain):
        mend = known
    else:
        mend = "install it, or put the folder that it lies in in PYTHONPATH"
    return f"Environment {env_name!r} does not exist: there is no module named {module!r}; {mend}."


def _hint(module: str, plain: str) -> str:
    """What to write in its place: of the module's own ids, of a known package's, or the nearest of all."""
    if module:
        own = [spec.id for spec in gymnasium.registry.values() if _comes_from(spec, module)]
        if own and not difflib.get_close_matches(plain, own, n=1, cutoff=0.4):
            return f"The module {module} registers {', '.join(sorted(own)[:8])}."
    near = difflib.get_close_matches(plain, list(gymnasium.registry), n=1, cutoff=0.4)
    hint = f"The nearest id is {near[0]!r}." if near else ""
    if module:
        return hint or f"The module {module} was imported and registers no environment: see its gymnasium.register."
    return f"{hint[:-1]}; one that a module registers is written module:id." if hint else _OF_A_MODULE


def _comes_from(spec: gymnasium.envs.registration.EnvSpec, module: str) -> bool:
    entry = spec.entry_point
    where = entry.partition(":")[0] if isinstance(entry, str) else getattr(entry, "__module__", "")
    return f"{where}.".startswith(f"{module.partition('.')[0]}.")
