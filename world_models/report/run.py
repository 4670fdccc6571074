"""What a report reads of a run: logs, settings, V, M, C's facts, scores, rounds, data. Any may be missing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from world_models.envs.env_kwargs import parse_env_kwargs
from world_models.errors import CheckpointError, DataError
from world_models.models.load import load_mdrnn, load_vae
from world_models.models.mdrnn import MDRNN
from world_models.report.data import Data, read_data, some_frames
from world_models.report.episode import FilmedEpisode
from world_models.types import Rollout, UInt8Array
from world_models.utils.run_dir import STAGES, best_path, load_checkpoint, log_path, read_jsonl
from world_models.utils.run_settings import read_settings
from world_models.utils.scores import json_object, read_scores
from world_models.vision.VAE.ConvVAE import ConvVAE

Log = list[dict[str, Any]]


@dataclass(frozen=True)
class Run:
    """A run's folder as read: `logs` by stage (empty where there is none), and None for what is missing.

    `facts` are the plain values in each stage's best.tar, `rounds` the records of an iterative run with their
    logs of C, `rollout` and `frames` what V and M are shown on: the data folder's, or else the filmed episode's.
    """

    logdir: Path
    logs: Mapping[str, Log]
    vae: ConvVAE | None
    mdrnn: MDRNN | None
    env_name: str | None
    summary: Mapping[str, Any]
    facts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    rounds: tuple[tuple[Mapping[str, Any], Log], ...] = ()
    data: Data | None = None
    rollout: Rollout | None = None
    rollout_file: str = ""
    frames: UInt8Array | None = None
    episode: FilmedEpisode | None = None
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def dreamed(self) -> bool:
        """Whether C learned in M's dream."""
        facts = self.facts.get("ctrl", {})
        return "dream" in (facts.get("trained_in"), facts.get("world"), facts.get("backend"))


def read_run(
    logdir: str | os.PathLike[str],
    data_dir: str | os.PathLike[str] | None = None,
    summary: Mapping[str, Any] | None = None,
    episode: FilmedEpisode | None = None,
) -> Run:
    """Reads what there is.

    Args:
        logdir: The run's folder.
        data_dir: Its rollouts; None where there are none to show.
        summary: The evaluation's figures; by default those of `<logdir>/summary.json` and, as the trained agent's,
            of `<logdir>/evaluation.json` (what `evaluate --json` prints), where they are.
        episode: An episode that the trained agent drove.

    Raises:
        CheckpointError: No stage of a run lies in `logdir`, or a checkpoint there cannot be used.
        DataError: `data_dir` is named and has no rollout, or one that breaks the schema; a file of scores, settings
            or rounds is not what it should be.
    """
    root = Path(logdir)
    logs = {stage: read_jsonl(log_path(root, stage)) for stage in STAGES}
    trained = {stage for stage in STAGES if best_path(root, stage).is_file()}
    if not trained and not any(logs.values()):
        raise CheckpointError(
            f"{root}: there is nothing to report, none of {', '.join(STAGES)} has a best.tar or a log.jsonl "
            "there; train first, or name the logdir of a run."
        )
    data = read_data(data_dir) if data_dir is not None else None
    facts = {stage: _facts(root, stage) for stage in STAGES if stage in trained}
    figures = read_scores(root) if summary is None else summary
    rollout, name, frames = _to_show(data, episode)
    return Run(
        logdir=root,
        logs=logs,
        vae=load_vae(root) if "vae" in trained else None,
        mdrnn=load_mdrnn(root) if "mdrnn" in trained else None,
        env_name=_env_name(facts, figures, data),
        summary=figures,
        env_kwargs=_env_kwargs(root, trained),
        facts=facts,
        settings=read_settings(root),
        rounds=_rounds(root),
        data=data,
        rollout=rollout,
        rollout_file=name,
        frames=frames,
        episode=episode,
    )


def _facts(root: Path, stage: str) -> dict[str, Any]:
    stored = load_checkpoint(best_path(root, stage))
    return {name: value for name, value in stored.items() if isinstance(value, str | int | float | list | tuple)}


def _env_kwargs(root: Path, trained: set[str]) -> dict[str, Any]:
    """What C's environment was made with."""
    made_with = load_checkpoint(best_path(root, "ctrl")).get("env_kwargs") if "ctrl" in trained else None
    return parse_env_kwargs(made_with)


def _rounds(root: Path) -> tuple[tuple[Mapping[str, Any], Log], ...]:
    records = json_object(root / "rounds.json", "remove the file").get("rounds", [])
    if not isinstance(records, list) or not all(isinstance(each, dict) for each in records):
        raise DataError(f"{root / 'rounds.json'}: its rounds are no list of objects; remove the file.")
    return tuple((each, read_jsonl(log_path(root / f"round_{each.get('round')}", "ctrl"))) for each in records)


def _env_name(facts: Mapping[str, Mapping[str, Any]], summary: Mapping[str, Any], data: Data | None) -> str | None:
    name = facts.get("ctrl", {}).get("env_name") or summary.get("env_name") or summary.get("env")
    if not name and data is not None and data.origins[0][0][0] != "not recorded":
        name = data.origins[0][0][0]
    return str(name) if name else None


def _to_show(data: Data | None, episode: FilmedEpisode | None) -> tuple[Rollout | None, str, UInt8Array | None]:
    if data is not None:
        return data.rollout, data.rollout_file, data.frames
    if episode is not None:
        return episode.rollout, "the filmed episode", some_frames([episode.rollout])
    return None, "", None
