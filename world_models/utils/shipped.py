"""Runs by name: the trained agents that lie in a clone."""

from __future__ import annotations

from pathlib import Path

from world_models.errors import CheckpointError

SHIPPED = Path(__file__).parents[2] / "checkpoints"
"""In a clone; an installed package has no such folder."""


def run_folder(run: str | Path) -> Path:
    """The folder of a run; where there is none of that name, of the shipped agent that is called so.

    Raises:
        CheckpointError: there is neither; the message says which agents there are.
    """
    if Path(run).is_dir():
        return Path(run)
    agents = {path.parents[1].name: path.parents[1] for path in sorted(SHIPPED.glob("*/vae/best.tar"))}
    if str(run) in agents:
        return agents[str(run)]
    if agents:
        mend = f"and the trained agents here are {', '.join(agents)}: name a run's folder, or one of these"
    else:
        mend = "and no trained agents lie here, which only a clone has: name a run's folder"
    raise CheckpointError(f"There is no folder {str(run)!r}, {mend}.")
