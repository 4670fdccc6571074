"""Watching a stage while it trains: what log.jsonl gets goes to TensorBoard too, and to Weights & Biases if asked.

Event files lie beside the log, `<logdir>/<stage>/events.out.tfevents.*`, so that `tensorboard --logdir <logdir>`
shows a run's stages by their names. They are written record by record in this thread: nothing is lost when a run
is killed, and no process is forked beside a writing thread.
"""

from __future__ import annotations

import io
import logging
import math
import os
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from PIL import Image

from world_models.errors import MissingDependencyError
from world_models.types import UInt8Array
from world_models.utils.run_dir import stage_dir
from world_models.utils.wandb_access import check_access

_LOG = logging.getLogger(__name__)

EVENTS = "events.out.tfevents."
_FILM_SECONDS = 0.08  # a frame of a film


class Tracker(Protocol):
    """Where a stage's figures and pictures go while it trains."""

    def scalars(self, step: int, record: Mapping[str, Any]) -> None:
        """The finite numbers of a log record, by their names there."""

    def picture(self, name: str, step: int, picture: Image.Image) -> None:
        """A sheet of frames."""

    def film(self, name: str, step: int, frames: UInt8Array) -> None:
        """A video of frames (T, H, W, 3) uint8."""

    def close(self) -> None:
        """Ends the tracker."""


@dataclass(frozen=True)
class Tracking:
    """Which trackers a stage has: TensorBoard by default, Weights & Biases if asked for."""

    tensorboard: bool = True
    wandb: bool = False

    @classmethod
    def from_extra(cls, extra: Mapping[str, Any]) -> Tracking:
        """A config's own `tensorboard` and `wandb`.

        Raises:
            MissingDependencyError: wandb is asked for and cannot be imported.
            ConfigError: wandb is asked for and has no key or no network (`check_access`).
        """
        chosen = cls(bool(extra.get("tensorboard", True)), bool(extra.get("wandb", False)))
        if chosen.wandb:
            wandb = _import_wandb()
            check_access(lambda: str(wandb.Settings().base_url))
        return chosen


@contextmanager
def tracked(
    tracking: Tracking, logdir: str | os.PathLike[str], stage: str, last: int, settings: Mapping[str, Any]
) -> Iterator[Tracker]:
    """The trackers of a stage as one, closed at the end whatever happens.

    Args:
        tracking: Which ones.
        logdir: The run's folder.
        stage: "vae", "mdrnn" or "ctrl".
        last: The last step (epoch, generation) that counts: what an earlier process wrote beyond it is replaced.
        settings: The stage's, for a tracker that shows them.
    """
    folder = stage_dir(logdir, stage)
    trackers: list[Tracker] = []
    if tracking.tensorboard:
        trackers.append(_TensorBoard(folder, last))
    if tracking.wandb:
        trackers.append(_Wandb(folder, last, settings))
    try:
        yield _All(trackers)
    finally:
        for tracker in trackers:
            tracker.close()


def numbers(record: Mapping[str, Any]) -> dict[str, float]:
    """What of a record can stand in a chart."""
    plain = {k: v for k, v in record.items() if isinstance(v, int | float) and not isinstance(v, bool)}
    return {name: float(value) for name, value in plain.items() if math.isfinite(value)}


class _All:
    """Several trackers as one."""

    def __init__(self, trackers: Sequence[Tracker]) -> None:
        self.trackers = trackers

    def scalars(self, step: int, record: Mapping[str, Any]) -> None:
        for tracker in self.trackers:
            tracker.scalars(step, record)

    def picture(self, name: str, step: int, picture: Image.Image) -> None:
        for tracker in self.trackers:
            tracker.picture(name, step, picture)

    def film(self, name: str, step: int, frames: UInt8Array) -> None:
        for tracker in self.trackers:
            tracker.film(name, step, frames)

    def close(self) -> None:
        for tracker in self.trackers:
            tracker.close()


class _TensorBoard:
    """An event file, by tensorboard's own classes: TensorFlow is neither needed nor looked for."""

    def __init__(self, folder: Path, last: int) -> None:
        from tensorboard.compat.proto import event_pb2, summary_pb2
        from tensorboard.summary.writer.record_writer import RecordWriter

        self._event, self._summary = event_pb2.Event, summary_pb2.Summary
        going_on = any(folder.glob(f"{EVENTS}*"))
        folder.mkdir(parents=True, exist_ok=True)
        # Readers take a folder's files in the order of their names.
        self._file = (folder / f"{EVENTS}{time.time_ns()}.{os.getpid()}").open("wb")
        self._records = RecordWriter(self._file)
        self._write(file_version="brain.Event:2")
        if going_on:
            start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
            self._write(step=last + 1, session_log=start)  # readers drop earlier events from this step on

    def _write(self, **content: Any) -> None:
        self._records.write(self._event(wall_time=time.time(), **content).SerializeToString())
        self._file.flush()

    def scalars(self, step: int, record: Mapping[str, Any]) -> None:
        values = [self._summary.Value(tag=name, simple_value=value) for name, value in numbers(record).items()]
        self._write(step=step, summary=self._summary(value=values))

    def picture(self, name: str, step: int, picture: Image.Image) -> None:
        self._image(name, step, picture.size, _encoded(picture, "PNG"))

    def film(self, name: str, step: int, frames: UInt8Array) -> None:
        self._image(name, step, (frames.shape[2], frames.shape[1]), _gif(frames))

    def _image(self, name: str, step: int, size: tuple[int, int], data: bytes) -> None:
        image = self._summary.Image(width=size[0], height=size[1], colorspace=3, encoded_image_string=data)
        self._write(step=step, summary=self._summary(value=[self._summary.Value(tag=name, image=image)]))

    def close(self) -> None:
        self._file.close()


def _import_wandb() -> Any:
    try:
        import wandb
    except ImportError as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == "wandb"
        why = "is not installed" if missing else f"cannot be imported ({error})"
        raise MissingDependencyError(
            f"--wandb needs the package wandb, which {why}: pip install 'world-models-torch[wandb]'."
        ) from error
    return wandb


class _Wandb:
    """One run of Weights & Biases a stage, in a group named after the run's folder; a resumed stage goes on in it.

    Where its server does not answer any more the stage is written to the disk: training goes on.
    """

    def __init__(self, folder: Path, last: int, settings: Mapping[str, Any]) -> None:
        self._wandb = wandb = _import_wandb()
        folder.mkdir(parents=True, exist_ok=True)
        group = folder.parent.resolve().name
        asked = {
            "project": "world-models",
            "group": group,
            "name": f"{group}/{folder.name}",
            "id": self._id(folder / "wandb_id", last),
            "resume": "allow",
            "dir": os.fspath(folder),
            "config": dict(settings),
        }
        try:
            self._run = wandb.init(**asked)
        except Exception as error:  # whatever it is, hours of training shall not end by it
            _LOG.warning(
                "W&B does not take the run (%s): %s is written offline, `wandb sync %s` sends it later",
                error, group, folder / "wandb",
            )  # fmt: skip
            wandb.teardown()  # its service still holds this run's id
            self._run = wandb.init(**asked, mode="offline")

    @staticmethod
    def _id(path: Path, last: int) -> str:
        if not last or not path.is_file():
            path.write_text(uuid.uuid4().hex, encoding="utf-8")
        return path.read_text(encoding="utf-8").strip()

    def scalars(self, step: int, record: Mapping[str, Any]) -> None:
        self._run.log(numbers(record), step=step)  # a step that stands there already is left as it is

    def picture(self, name: str, step: int, picture: Image.Image) -> None:
        self._run.log({name: self._wandb.Image(picture)}, step=step)

    def film(self, name: str, step: int, frames: UInt8Array) -> None:
        self._run.log({name: self._wandb.Video(io.BytesIO(_gif(frames)), format="gif")}, step=step)

    def close(self) -> None:
        self._run.finish()


def _encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    data = io.BytesIO()
    picture.save(data, format=kind, **options)
    return data.getvalue()


def _gif(frames: UInt8Array) -> bytes:
    first, *rest = (Image.fromarray(frame) for frame in frames)
    return _encoded(first, "GIF", save_all=True, append_images=rest, duration=round(_FILM_SECONDS * 1000), loop=0)
