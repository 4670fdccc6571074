"""What a report reads of a run: logs, V, M, C's facts, a rollout to show them on. Any may be missing."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from world_models.datasets.rollout_files import list_rollouts, read_rollout
from world_models.errors import CheckpointError, DataError
from world_models.models.load import load_mdrnn, load_vae
from world_models.models.mdrnn import MDRNN
from world_models.types import Rollout
from world_models.utils.run_dir import STAGES, best_path, load_checkpoint, log_path, read_jsonl
from world_models.vision.VAE.ConvVAE import ConvVAE

_CANDIDATES = 4  # of the data folder's last rollouts, the one of most reward is shown


@dataclass(frozen=True)
class Run:
    """A run's folder as read: `logs` by stage (empty where there is none), and None for what is missing."""

    logdir: Path
    logs: Mapping[str, list[dict[str, Any]]]
    vae: ConvVAE | None
    mdrnn: MDRNN | None
    env_name: str | None
    summary: Mapping[str, Any]
    rollout: Rollout | None
    rollout_file: str


def read_run(
    logdir: str | os.PathLike[str],
    data_dir: str | os.PathLike[str] | None = None,
    summary: Mapping[str, Any] | None = None,
) -> Run:
    """Reads what there is.

    Args:
        logdir: The run's folder.
        data_dir: Its rollouts; None where there are none to show.
        summary: The evaluation's figures; by default `<logdir>/summary.json`, where there is one.

    Raises:
        CheckpointError: No stage of a run lies in `logdir`, or a checkpoint there cannot be used.
        DataError: `data_dir` is named and has no rollout, or one that breaks the schema.
    """
    root = Path(logdir)
    logs = {stage: read_jsonl(log_path(root, stage)) for stage in STAGES}
    trained = {stage for stage in STAGES if best_path(root, stage).is_file()}
    if not trained and not any(logs.values()):
        raise CheckpointError(
            f"{root}: there is nothing to report, none of {', '.join(STAGES)} has a best.tar or a log.jsonl "
            "there; train first, or name the logdir of a run."
        )
    rollout, name = _rollout_to_show(data_dir) if data_dir is not None else (None, "")
    figures = _summary(root) if summary is None else summary
    return Run(
        logdir=root,
        logs=logs,
        vae=load_vae(root) if "vae" in trained else None,
        mdrnn=load_mdrnn(root) if "mdrnn" in trained else None,
        env_name=_env_name(root, "ctrl" in trained, figures),
        summary=figures,
        rollout=rollout,
        rollout_file=name,
    )


def _summary(root: Path) -> Mapping[str, Any]:
    path = root / "summary.json"
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise DataError(f"{path}: this is not JSON ({error}); evaluate again, or remove the file.") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: a summary is a JSON object, got a {type(content).__name__}; evaluate again.")
    return content


def _env_name(root: Path, has_ctrl: bool, summary: Mapping[str, Any]) -> str | None:
    stored = load_checkpoint(best_path(root, "ctrl")).get("env_name") if has_ctrl else None
    name = stored or summary.get("env_name") or summary.get("env")
    return str(name) if name else None


def _rollout_to_show(data_dir: str | os.PathLike[str]) -> tuple[Rollout, str]:
    """The rollout with most reward of the last few: the last ones are those that training holds out."""
    best: tuple[Rollout, str] | None = None
    for path in list_rollouts(Path(data_dir))[-_CANDIDATES:]:
        rollout = read_rollout(path)
        if best is None or rollout.episode_return > best[0].episode_return:
            best = (rollout, path.name)
    assert best is not None  # list_rollouts never gives an empty list
    return best
