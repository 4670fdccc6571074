"""The iterative procedure as one resumable command: several rounds of driving and training."""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import time
from pathlib import Path
from typing import Any

from world_models.datasets.dream_starts import starts_path
from world_models.errors import ConfigError
from world_models.runs.pipeline import Pipeline
from world_models.runs.repeat import note_run
from world_models.runs.resolve import resolve
from world_models.runs.summary import write_json
from world_models.utils.run_dir import STAGES, best_path, log_path, read_jsonl, stage_dir
from world_models.utils.run_settings import FILE_NAME
from world_models.utils.tracking import EVENTS

_LOG = logging.getLogger(__name__)
_OF_ONE_ROUND = ("checkpoint.tar", "log.jsonl", "samples", f"{EVENTS}*", "wandb*")


class Run(Pipeline):
    """A run of one round or of several: what the command line starts."""

    def train(self) -> None:
        """The stages that --stage asks for; "all" goes through all rounds."""
        asked = self.args.given.get("rounds")
        if asked is not None and asked > 1 and self.args.stage != "all":
            raise ConfigError(f"--rounds {asked} is of --stage all, and --stage is {self.args.stage}: leave one out.")
        if self.args.stage == "all" and self.args.rounds > 1:
            self.seconds = Rounds(self.args).train()
        else:
            super().train()


class Rounds:
    """The iterative procedure (Ha & Schmidhuber 2018, section 5): drive, add the rollouts, train all again.

    Round k lies in `<logdir>/round_<k>`; all rounds add to one data folder. A round begins with V's weights of
    the round before (which a preset can keep as they are: `frozen` in its `vae`) and with its controller, refitted to
    the new V and M; where `from_previous_round` in its `rnn` says so also with M's weights. After each round the best
    one's files (where C is evolved in M: the last one's) are copied to `<logdir>/{vae,mdrnn,ctrl}`, and
    `<logdir>/rounds.json` says what each came to: a run that was stopped goes on in the round it was in.

    Args:
        args: Resolved settings of the whole run.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.logdir = Path(args.logdir)
        self.record_path = self.logdir / "rounds.json"
        self.rounds: list[dict[str, Any]] = []
        if self.record_path.is_file() and not args.noreload:
            self.rounds = json.loads(self.record_path.read_text(encoding="utf-8"))["rounds"]

    def train(self) -> dict[str, float]:
        """Every round that is not finished; the seconds of each stage over all rounds."""
        pipelines = [self._pipeline(number) for number in range(1, self.args.rounds + 1)]
        for number, pipeline in enumerate(pipelines, 1):
            if number > len(self.rounds):
                self._round(number, pipeline)
                note_run(self.args, pipeline.env_id, pipeline.device)
        stages = dict.fromkeys(stage for each in self.rounds for stage in each["seconds"])
        return {s: round(sum(each["seconds"].get(s, 0.0) for each in self.rounds), 1) for s in stages}

    def _folder(self, number: int) -> Path:
        return self.logdir / f"round_{number}"

    def _pipeline(self, number: int) -> Pipeline:
        table = self.args.table.of_round(number)
        given = argparse.Namespace(**self.args.given)
        given.data_dir, given.logdir, given.rounds = self.args.data_dir, str(self._folder(number)), 1
        given.env_kwargs = self.args.env_kwargs
        args = resolve(given, table, self.args.earlier)
        if not self.args.table.rounds:
            args.num_rollouts *= number
        return Pipeline(args, self._folder(number - 1) if number > 1 else None)

    def _round(self, number: int, pipeline: Pipeline) -> None:
        _LOG.info("round %d of %d: %s", number, self.args.rounds, self._folder(number))
        started, folder = time.monotonic(), self._folder(number)
        if pipeline.earlier is not None:
            _begin(folder, pipeline)
        pipeline.train()
        last = read_jsonl(log_path(folder, "ctrl"))[-1]
        self.rounds.append(
            {
                "round": number,
                "best_return": last["best_so_far"],
                "env_steps": last["env_steps"],
                "episodes": last["episodes"],
                "seconds": {**pipeline.seconds, "ctrl": last["seconds"]},
                "wall_seconds": round(time.monotonic() - started, 1),
            }
        )
        # What an M promises cannot be compared with what another one did: of dreams the last round's is taken.
        if pipeline.dream is not None or last["best_so_far"] >= max(each["best_return"] for each in self.rounds):
            self._promote(folder)
        write_json(self.record_path, {"rounds": self.rounds})

    def _promote(self, folder: Path) -> None:
        for stage in STAGES:
            stage_dir(self.logdir, stage).mkdir(parents=True, exist_ok=True)
            for path in (log_path, best_path):
                shutil.copyfile(path(folder, stage), path(self.logdir, stage))
        shutil.copyfile(starts_path(folder), starts_path(self.logdir))
        if (folder / FILE_NAME).is_file():  # a run from before there were settings has none
            shutil.copyfile(folder / FILE_NAME, self.logdir / FILE_NAME)


def _begin(folder: Path, pipeline: Pipeline) -> None:
    """V of the round before, and its M where it is carried over; what lies there already is the round's own."""
    assert pipeline.earlier is not None
    for stage in ("vae", "mdrnn") if pipeline.stages["rnn"].from_previous_round else ("vae",):
        if best_path(folder, stage).exists():
            continue
        kept = stage == "vae" and pipeline.stages["vae"].frozen  # then its log is this round's as well
        ignored = [name for name in _OF_ONE_ROUND if not (kept and name == "log.jsonl")]
        source, target = pipeline.earlier / stage, folder / stage
        shutil.copytree(source, target, ignore=shutil.ignore_patterns(*ignored), dirs_exist_ok=True)
