"""What each idea of stage C brings: C evolved without it, on one V and one M, for the same number of simulator steps.

    python -m benchmarks.ablations --logdir RUN/round_2 --data_dir DATA --out OUT [NAME ...]

V and M are those of a run of the preset `carracing`, C's settings those of the first phase of its second round, but
that C begins at zero, and for what the case changes. With `--earlier RUN/round_1` there is the case `carried` as well,
which begins at that round's C, as the preset does, and with `--dreamt FOLDER` the case `dreamt`, which begins at a C
that `world-models dream train` evolved in this very M. Each case has a folder OUT/<name>_seed<k>, from which it goes on
where it was stopped, and is scored on redrawn tracks that no evolution drives. One JSON line a case; OUT/ablations.md
has the table.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import machine
from world_models.configs.presets import preset
from world_models.configs.wm_config import WMControllerConfig
from world_models.errors import ConfigError, WorldModelsError
from world_models.models.controller import flatten_parameters
from world_models.models.load import load_cell, load_controller, load_vae
from world_models.models.mdrnn import MDRNN
from world_models.runs.dream import refuse_another
from world_models.runs.evaluation import evaluate_recipe, run_recipe
from world_models.runs.summary import write_json
from world_models.training.train_controller import ControllerResult, train_controller
from world_models.utils.run_dir import best_path, save_checkpoint
from world_models.utils.scores import json_object

ENV, BACKEND, PRESET, ROUND = "CarRacing-v3", "redrawn", "carracing", 2
SCORE_SEED = 70_000
ANEW = {"sigma": 0.25, "initial_bias": (0.0, -0.7, -0.5), "initial_horizon": 300}
CARRIED, DREAMT = "carried", "dreamt"
BEGUN = {"sigma": 0.15, "initial_bias": (), "initial_horizon": 0}  # not at zero
OWN = {"components": 0, "sigma": 0.1}  # C's own parameters: no whitened space
CASES: dict[str, dict[str, Any]] = {
    # The paper's comparison (its table 1), and one that it lacks.
    "z_h": {},
    "z": {"use_hidden": False},
    "z_mlp_40": {"use_hidden": False, "hidden_layers": [40], "initial_bias": (), **OWN},
    "z_h_untrained_m": {"untrained_m": True},
    # Each idea left out.
    "z_own_parameters": {"use_hidden": False, **OWN},
    "own_parameters": OWN,
    "space_of_noise": {"whitening_rollouts": "", "standardized": False},
    "own_tracks": {"common_random_numbers": False},
    "no_early_end": {"early_termination": 0},
    "six_episodes": {"n_samples": 6},
    "one_episode": {"n_samples": 1},
    "first_mean_zero": {"initial_bias": ()},
    CARRIED: BEGUN,
    DREAMT: BEGUN,
}
"""Changes of the settings; `untrained_m` (M of random weights) is no setting."""


def untrained(logdir: Path, seed: int) -> dict[str, Any]:
    """A checkpoint of an M of the sizes of the one in `logdir`, with weights as they are first drawn."""
    torch.manual_seed(seed)
    mdrnn = MDRNN(**load_cell(logdir).sizes)
    return {"state_dict": mdrnn.state_dict(), **mdrnn.sizes}


def prepare(folder: Path, logdir: Path, untrained_m: bool, seed: int) -> None:
    """V and M of a case, where they are not there yet."""
    for stage in ("vae", "mdrnn"):
        source, target = best_path(logdir, stage), best_path(folder, stage)
        target.parent.mkdir(parents=True, exist_ok=True)
        if untrained_m and stage == "mdrnn":
            save_checkpoint(target, untrained(logdir, seed))
        else:
            refuse_another(source, target)
            shutil.copyfile(source, target)


def config(folder: Path, changes: Mapping[str, Any], args: argparse.Namespace, seed: int) -> WMControllerConfig:
    """The first phase of the preset's second round, changed."""
    table = preset(PRESET).of_round(ROUND)
    extra = {name: value for name, value in table.ctrl.items() if name not in ("from_previous_round", "phases")}
    extra |= ANEW | {
        "whitening_rollouts": str(args.data_dir),
        "max_env_steps": args.env_steps,
        "seed": seed,
        "tensorboard": False,
        "backend": BACKEND,
    }
    fields = {"n_samples": table.flags["ctrl_samples"], "pop_size": table.flags["ctrl_pop_size"]}
    changed = {**extra, **fields, **changes}
    return stage_c(folder, changed.pop("n_samples"), changed.pop("pop_size"), changed)


def stage_c(folder: Path, n_samples: int, pop_size: int, extra: dict[str, Any]) -> WMControllerConfig:
    """Stage C in the folder, which has V and M, without a return at which it stops."""
    cell = load_cell(folder)
    return WMControllerConfig(
        latent_size=load_vae(folder).latent_size,
        hidden_size=cell.hiddens,
        action_size=cell.actions,
        env_name=ENV,
        logdir=str(folder),
        target_return=float("inf"),
        n_samples=n_samples,
        pop_size=pop_size,
        extra=extra,
    )


def record(name: str, seed: int, folder: Path, result: ControllerResult, args: argparse.Namespace) -> dict[str, Any]:
    """What a case came to."""
    episodes = args.episodes
    score = evaluate_recipe(run_recipe(folder, backend=BACKEND), episodes, SCORE_SEED, title=name)
    ends = [each for each in result.history if "eval_mean" in each]
    return {
        "case": name,
        "seed": seed,
        "asked": asked(args),
        "mean": round(score["mean"], 1),
        "std": round(score["std"], 1),
        "scored_on": f"{episodes} redrawn tracks from {SCORE_SEED}",
        "parameters": len(flatten_parameters(load_controller(folder)[0].parameters())),
        "generations": result.generations,
        "episodes": result.episodes,
        "env_steps": result.env_steps,
        "curve": [
            {key: each[key] for key in ("env_steps", "eval_mean", "eval_leader", "eval_average")} for each in ends
        ],
        "machine": machine(),
    }


def asked(args: argparse.Namespace) -> dict[str, int]:
    """What a case that is done must have been run with, to stand in the same table."""
    return {"env_steps": args.env_steps, "episodes": args.episodes}


def beginning(name: str, args: argparse.Namespace) -> dict[str, str]:
    """Whose C a case begins at, where it is one's."""
    return {CARRIED: {"refit_from": args.earlier}, DREAMT: {"warm_start": args.dreamt}}.get(name, {})


def run(name: str, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """Evolves and scores one case, or reads what it came to."""
    folder = Path(args.out) / f"{name}_seed{seed}"
    done = folder / "ablation.json"
    changes = dict(CASES[name]) | beginning(name, args)
    prepare(folder, Path(args.logdir), changes.pop("untrained_m", False), seed)
    if known := dict(json_object(done, "remove the file, and the case is scored anew")):
        if known["asked"] != asked(args):
            raise ConfigError(f"{done} is of {known['asked']}, and asked for is {asked(args)}: name another --out.")
        return known
    found = record(name, seed, folder, train_controller(config(folder, changes, args, seed)), args)
    write_json(done, found)
    return found


def page(records: list[dict[str, Any]]) -> str:
    """The table, as Markdown."""
    rows = ["| case | seed | parameters | episodes | simulator steps | score |", "|---|---|---|---|---|---|"]
    for each in records:
        cells = [each["case"], each["seed"], each["parameters"], f"{each['episodes']:,}", f"{each['env_steps']:,}"]
        rows.append("| " + " | ".join(map(str, [*cells, f"{each['mean']} ± {each['std']}"])) + " |")
    return "\n".join(rows) + "\n"


def arguments(given: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ablations", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("cases", nargs="*", metavar="NAME", help=f"one of {', '.join(CASES)}; all without one")
    parser.add_argument("--logdir", required=True, help="a run's folder, whose V and M are used")
    parser.add_argument("--data_dir", required=True, help="its rollouts, some of them an agent's")
    parser.add_argument("--earlier", help=f"the round before it, whose C the case {CARRIED} begins at")
    parser.add_argument("--dreamt", help=f"a run of `dream train` in this M, whose C the case {DREAMT} begins at")
    parser.add_argument("--out", required=True, help="where the cases' folders go")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--env_steps", type=int, default=600_000, help="simulator steps a case (600000)")
    parser.add_argument("--episodes", type=int, default=64, help="tracks a case is scored on (64)")
    args = parser.parse_args(given)
    unknown = sorted(set(args.cases) - set(CASES))
    if unknown:
        parser.error(f"{', '.join(unknown)}: no such case; there are {', '.join(CASES)}")
    needed = {CARRIED: ("--earlier", args.earlier), DREAMT: ("--dreamt", args.dreamt)}
    for name, (flag, folder) in needed.items():
        if name in args.cases and folder is None:
            parser.error(f"{name}: give {flag}, the folder of the run whose C it begins at")
    args.cases = args.cases or [name for name in CASES if name not in needed or needed[name][1]]
    return args


def main(given: list[str] | None = None) -> None:
    """Every case with every seed, one after the other."""
    args = arguments(sys.argv[1:] if given is None else given)
    records = []
    for seed in args.seeds:
        for name in args.cases:
            try:
                records.append(run(name, seed, args))
            except WorldModelsError as error:
                raise SystemExit(str(error)) from error
            print(json.dumps(records[-1]), flush=True)
            (Path(args.out) / "ablations.md").write_text(page(records), encoding="utf-8")


if __name__ == "__main__":
    main()
