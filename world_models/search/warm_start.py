"""Evolution that begins at another run's controller: one from the dream goes on in reality with the same V and M."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from world_models.datasets.latents import vae_fingerprint
from world_models.errors import CheckpointError
from world_models.models.controller import Controller, flatten_parameters
from world_models.models.load import load_controller
from world_models.search.algorithms.spaces import WhitenedSpace, space_from_state_dict
from world_models.utils.run_dir import best_path, checkpoint_path, load_checkpoint


def warm_space(logdir: str | Path, warm_start: str | Path, template: Controller) -> WhitenedSpace:
    """The space that the run `warm_start` searched in, moved to its best controller.

    Raises:
        CheckpointError: it has no such space, another V or M than `logdir`, or C of another architecture than
            `template`.
    """
    for stage in ("vae", "mdrnn"):
        mine, theirs = (load_checkpoint(best_path(folder, stage))["state_dict"] for folder in (logdir, warm_start))
        if vae_fingerprint(mine) != vae_fingerprint(theirs):
            raise CheckpointError(
                f"{best_path(warm_start, stage)} has other weights than {best_path(logdir, stage)}, and C's weights "
                "mean nothing to another V or M: use refit_from, which carries C over."
            )
    controller, _ = load_controller(warm_start)
    if controller.settings != template.settings:
        raise CheckpointError(f"C in {warm_start} is {controller.settings}, and {template.settings} is asked for.")
    space = space_from_state_dict(load_checkpoint(checkpoint_path(warm_start, "ctrl"))["space"])
    if not isinstance(space, WhitenedSpace):
        raise CheckpointError(f"C in {warm_start} was not searched in a whitened space (components): evolve it in one.")
    return replace(space, offset=flatten_parameters(controller.parameters()), further=None)
