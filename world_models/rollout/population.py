"""Controllers about one that was found: what drives when data of many ways to drive are wanted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from world_models.errors import CheckpointError
from world_models.models.controller import Controller, flatten_parameters
from world_models.search.algorithms.spaces import Space, space_from_state_dict
from world_models.types import DoubleArray
from world_models.utils.run_dir import checkpoint_path, load_checkpoint
from world_models.utils.seeding import derive_seed


def around(logdir: str | Path, controller: Controller, seeds: Sequence[int], spread: float) -> DoubleArray:
    """Flat parameters (n, P), one row a seed, about `controller` in the space it was searched in.

    A row lies u * spread standard normal steps away, u uniform in [0, 1]; both come from its seed.

    Raises:
        CheckpointError: the run's search space is not known (ctrl/checkpoint.tar is missing).
    """
    path = checkpoint_path(logdir, "ctrl")
    if not path.is_file():
        raise CheckpointError(f"{path} does not exist, and spread={spread} needs its search space: use spread=0.")
    space = space_from_state_dict(load_checkpoint(path)["space"])
    return neighbours(space, np.asarray(flatten_parameters(controller.parameters()), np.float64), seeds, spread)


def neighbours(space: Space, center: DoubleArray, seeds: Sequence[int], spread: float) -> DoubleArray:
    """The same about parameters (P,), in any space."""
    steps = []
    for seed in seeds:
        rng = np.random.default_rng(derive_seed("spread", seed))
        steps.append(spread * rng.uniform() * rng.standard_normal(space.size))
    moved: DoubleArray = space.to_parameters(np.stack(steps)) - space.to_parameters(np.zeros(space.size))
    return center + moved
