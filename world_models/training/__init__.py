"""The stages: collecting, training V, M and C, and whole runs of them.

`train_convae`, `train_mdn_rnn` and `train_controller` are functions and modules at once (`callable_modules`):
`from world_models.training import train_mdn_rnn` can be called, and `import world_models.training.train_mdn_rnn`
works as ever. They are imported when they are first asked for, and PyTorch with them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from world_models.training.train_controller import train_controller
    from world_models.training.train_convvae import train_convae
    from world_models.training.train_mdn_rnn import train_mdn_rnn

__all__ = ["train_controller", "train_convae", "train_mdn_rnn"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
