"""Ids: aliases, short names, modules that register, and what to say of an id that nobody knows."""

from __future__ import annotations

import difflib
import importlib
import os
import re

import gymnasium

from world_models.envs.contract.failures import raised
from world_models.envs.known.modules import how_to_name
from world_models.errors import EnvironmentNameError


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
        # Gymnasium's own suggestion has no version, ours has.
        reason = re.sub(r" Did you mean: \S+\?", "", str(error)).rstrip(".?")
        strange = isinstance(error, gymnasium.error.NameNotFound | gymnasium.error.NamespaceNotFound)
        hint = _of_module(module, plain) if module else _of_all(plain, strange)
        raise EnvironmentNameError(f"Environment {env_name!r} does not exist: {reason}{hint}.") from None


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


def _of_module(module: str, plain: str) -> str:
    """The sentence on an unknown id of a module: what that registers instead."""
    own = sorted(spec.id for spec in gymnasium.registry.values() if _comes_from(spec, module))
    near = difflib.get_close_matches(plain, own or list(gymnasium.registry), n=1, cutoff=0.4 if own else 0.7)
    if near:
        return f"; the nearest id is {near[0]!r}"
    if own:
        return f"; the module {module} registers {', '.join(own[:8])}{' and others' if len(own) > 8 else ''}"
    return f"; the module {module} was imported and registers no environment: call gymnasium.register in it"


def _of_all(plain: str, strange: bool) -> str:
    """The sentence on an unknown id: the nearest one, and how an id of a module is written."""
    near = difflib.get_close_matches(plain, list(gymnasium.registry), n=1, cutoff=0.4)
    hints = [f"the nearest id is {near[0]!r}"] if near else []
    if strange or not near:
        hints.append("one that a module registers is written module:id")
    return "".join(f"; {hint}" for hint in hints)


def _comes_from(spec: gymnasium.envs.registration.EnvSpec, module: str) -> bool:
    entry = spec.entry_point
    where = entry.partition(":")[0] if isinstance(entry, str) else getattr(entry, "__module__", "")
    return f"{where}.".startswith(f"{module.partition('.')[0]}.")
