"""C evolved on from a finished agent, on its own V and M: how checkpoints/carracing came to be what it is.

    world-models collect --env CarRacing-v3 --data_dir DATA --policy agent --logdir AGENT --spread 0 \\
        --num_rollouts 24 --rollout_len 1000 --seed 77
    python -m benchmarks.evolve_on --logdir AGENT --data_dir DATA --out OUT --seed 5

DATA is what the agent sees as it drives; the search's directions come from it. Two phases of PGPE, whose candidates are
single laps: those that fail pull hardest. OUT is a run of its own, which goes on where it was stopped, and is not
evaluated here (`world-models evaluate --logdir OUT`). One JSON line at the end.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.ablations import BACKEND, prepare, stage_c
from benchmarks.common import machine
from world_models.configs.wm_config import WMControllerConfig
from world_models.errors import WorldModelsError
from world_models.training.train_controller import train_controller

FIRST_COMPONENTS = 24
PHASES = ((32, 0.08), (64, 0.06))
"""Components and step size of each phase after the first generation."""


def config(logdir: Path, data_dir: Path, out: Path, seed: int, env_steps: Sequence[int]) -> WMControllerConfig:
    """Of stage C in `out`: one generation close by, then the phases, each with its budget of simulator steps."""
    phases = [
        {
            "components": components,
            "sigma": sigma,
            "pop_size": 64,
            "samples": 1,
            "env_steps": steps,
            "mean_learning_rate": 0.7,
            "search": "pgpe",
        }
        for (components, sigma), steps in zip(PHASES, env_steps, strict=True)
    ]
    return stage_c(
        out,
        n_samples=2,
        pop_size=24,
        extra={
            "components": FIRST_COMPONENTS,
            "standardized": True,
            "sigma": 0.02,
            "early_termination": 60,
            "eval_every": 10,
            "eval_episodes": 24,
            "whitening_episodes": 24,
            "selection_episodes": 48,
            "whitening_rollouts": str(data_dir),
            "refit_from": str(logdir),
            "max_env_steps": 1_000,
            "seed": seed,
            "backend": BACKEND,
            "phases": phases,
        },
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Evolve on, or go on with it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evolve_on", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--logdir", type=Path, required=True, help="the finished agent")
    parser.add_argument("--data_dir", type=Path, required=True, help="rollouts of it")
    parser.add_argument("--out", type=Path, required=True, help="the new run")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--env_steps", type=int, nargs=len(PHASES), default=[1_200_000, 3_000_000], metavar="N")
    args = parser.parse_args(argv)
    try:
        prepare(args.out, args.logdir, False, args.seed)
        result = train_controller(config(args.logdir, args.data_dir, args.out, args.seed, args.env_steps))
    except WorldModelsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    told = {"best_return": result.best_return, "episodes": result.episodes, "env_steps": result.env_steps}
    print(json.dumps({**told, "machine": machine()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
