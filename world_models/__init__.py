"""World Models (Ha & Schmidhuber, 2018) in PyTorch: `world_models.load("carracing")` is a trained one."""

from importlib import import_module
from typing import TYPE_CHECKING

from world_models.envs.dream_id import register_dream as _register_dream

if TYPE_CHECKING:
    from world_models.world_model import WorldModel, load

__all__ = ["WorldModel", "load"]

_register_dream()


if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """What is behind the names of `__all__`, and PyTorch, is imported when one of them is asked for."""
        if name in __all__:
            return getattr(import_module("world_models.world_model"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
