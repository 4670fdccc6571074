"""The table of temperatures (Ha & Schmidhuber 2018, 4.4): learned in dreams of each, scored there and outside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from world_models import budgets
from world_models.envs.vizdoom_env import TAKE_COVER
from world_models.errors import ConfigError
from world_models.runs.summary import write_json
from world_models.utils.run_dir import best_path, load_checkpoint
from world_models.utils.scores import json_object

PUBLISHED = {
    TAKE_COVER: {
        0.1: ((2086, 140), (193, 58)),
        0.5: ((2060, 277), (196, 50)),
        1.0: ((1145, 690), (868, 511)),
        1.15: ((918, 546), (1092, 556)),
        1.3: ((732, 269), (753, 139)),
    }
}
"""By environment and temperature: mean and standard deviation in the dream and in the game (the paper's table 2)."""

Score = dict[str, Any]


@dataclass(frozen=True)
class Work:
    """What a row is made of: `train` and the scores, each of a temperature and the row's own folder.

    `episodes` and `seed` are of the scores: a row that was scored otherwise is scored anew.
    """

    train: Callable[[float, Path], None]
    dreamed: Callable[[float, Path], Score]
    real: Callable[[float, Path], Score]
    episodes: int
    seed: int


def temperature_table(out: str | Path, temperatures: Sequence[float], work: Work, env_name: str) -> list[Score]:
    """A row a temperature: a controller is learned in dreams of it, and scored in these and in the environment.

    Each row has its folder `<out>/temperature_<t>`; `<out>/temperatures.json` and `.md` are written after every row.
    The same command goes on where it was stopped; a row whose controller is still the one that was scored stays.

    Args:
        out: The table's folder.
        temperatures: Above 0, each once.
        work: How rows are made.
        env_name: Whose published figures stand beside ours, where there are any.

    Raises:
        ConfigError: no temperature, one twice, or one that is not above 0.
        DataError: a row that was scored is no longer JSON.
    """
    if not temperatures or len(set(temperatures)) < len(temperatures) or min(temperatures) <= 0:
        raise ConfigError(f"temperatures={list(temperatures)} cannot work: name at least one, above 0, each once.")
    out, rows = Path(out), []
    for temperature in temperatures[: budgets.at_most("temperatures", len(temperatures))]:
        rows.append(_row(temperature, out / f"temperature_{temperature:g}", work))
        write_json(out / "temperatures.json", {"env": env_name, "rows": rows})
        (out / "temperatures.md").write_text(as_markdown(rows, env_name), encoding="utf-8")
    return rows


def _row(temperature: float, folder: Path, work: Work) -> Score:
    work.train(temperature, folder)
    path = folder / "row.json"
    generation = load_checkpoint(best_path(folder, "ctrl"))["generation"]
    key = {"temperature": temperature, "generation": generation, "episodes": work.episodes, "seed": work.seed}
    found = json_object(path, "remove the file, and the row is scored anew")
    if found and all(found.get(name) == value for name, value in key.items()):
        return dict(found)
    row = key | {"dreamed": work.dreamed(temperature, folder), "real": work.real(temperature, folder)}
    write_json(path, row)
    return row


def as_markdown(rows: Sequence[Score], env_name: str) -> str:
    """The table, with the published figures where there are any."""
    published = PUBLISHED.get(env_name, {})
    heads = ["temperature", "in the dream", "in the environment"]
    heads += ["paper, dream", "paper, game"] if published else []
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for row in rows:
        cells = [f"{row['temperature']:g}", *(_told(row[k]["mean"], row[k]["std"]) for k in ("dreamed", "real"))]
        if published:
            pairs = published.get(row["temperature"])
            cells += [_told(*pair) for pair in pairs] if pairs else ["", ""]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _told(mean: float, std: float) -> str:
    return f"{mean:.0f} ± {std:.0f}"
