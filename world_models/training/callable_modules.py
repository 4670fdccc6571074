"""Modules that are called as the function they are named after.

`from world_models.training import train_mdn_rnn` shall give what trains M, and `import
world_models.training.train_mdn_rnn` the module of that name; but a package has one attribute of a name, and
importing the module sets it. So the module is both: it has its names, and calling it calls its function.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any


class _CallableModule(ModuleType):
    """A module that is called as its function of the same name."""

    def _function(self) -> Callable[..., Any]:
        # Looked up at each call: a function that a test has put in its place is called then.
        function: Callable[..., Any] = getattr(self, self.__name__.rpartition(".")[2])
        return function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._function()(*args, **kwargs)

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(self._function())

    def __reduce__(self) -> tuple[Callable[[str], ModuleType], tuple[str]]:
        # As the target of a spawned process; a plain module cannot be pickled.
        return importlib.import_module, (self.__name__,)


def callable_as_its_function(name: str) -> None:
    """Makes the module `name`, which calls this with its own `__name__`, callable as its function of that name."""
    sys.modules[name].__class__ = _CallableModule
