"""A run's folder: where checkpoints and logs lie, and the only code that writes and reads them.

`<logdir>/{vae,mdrnn,ctrl}/{best,checkpoint}.tar` hold plain tensors, numbers and strings alone, are written
to a temporary name and renamed, and are read with `weights_only=True`: a checkpoint is data, never a program.
`<logdir>/<stage>/log.jsonl` has one line of plain values an epoch or generation.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError  # the exception alone: it is what torch.load raises for a forbidden type
from typing import Any

import numpy as np
import torch
from torch import nn

from world_models.errors import CheckpointError, DataError
from world_models.utils.interrupts import held_back

STAGES = ("vae", "mdrnn", "ctrl")
_STAGE_FLAGS = {"vae": "vae", "mdrnn": "rnn", "ctrl": "ctrl"}
_COMPILED_PREFIX = "_orig_mod."
_OTHER_RUN = "use the sizes the checkpoint was trained with, or another logdir"

PathLike = str | os.PathLike[str]


def best_path(logdir: PathLike, stage: str) -> Path:
    """`<logdir>/<stage>/best.tar`: the weights to use. ValueError: unknown stage."""
    return stage_dir(logdir, stage) / "best.tar"


def checkpoint_path(logdir: PathLike, stage: str) -> Path:
    """`<logdir>/<stage>/checkpoint.tar`: what a stopped run goes on from. ValueError: unknown stage."""
    return stage_dir(logdir, stage) / "checkpoint.tar"


def log_path(logdir: PathLike, stage: str) -> Path:
    """`<logdir>/<stage>/log.jsonl`: one line an epoch or generation. ValueError: unknown stage."""
    return stage_dir(logdir, stage) / "log.jsonl"


def stage_dir(logdir: PathLike, stage: str) -> Path:
    """`<logdir>/<stage>`; made by the first thing written there. Raises ValueError for an unknown stage."""
    if stage not in STAGES:
        raise ValueError(f"stage {stage!r} is none of {', '.join(STAGES)}")
    return Path(logdir) / stage


def save_checkpoint(path: PathLike, payload: Mapping[str, Any]) -> None:
    """Writes `payload` at once or not at all: a reader sees the old file or the new one, never a part.

    Args:
        path: The file; its folder is made.
        payload: Nested dicts, lists and tuples of tensors, numbers, strings, booleans and None. NumPy
            scalars and arrays are stored as numbers and tensors. Tensors are stored on the CPU.

    Raises:
        CheckpointError: Something else stands in the payload (the message names where), or the disk refuses.
    """
    target = Path(path)
    plain = _plain(payload, "payload")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with held_back():  # in the midst of writing, torch takes Ctrl-C for an error of the disk
            _write_and_rename(target, plain)
    except (OSError, RuntimeError) as error:  # torch wraps a full disk in a RuntimeError
        raise CheckpointError(
            f"{target}: the checkpoint cannot be written ({error}); free space there or choose another logdir"
        ) from error


def _write_and_rename(target: Path, payload: Any) -> None:
    name = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with name.open("wb") as stream:
            torch.save(payload, stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(name, target)
    except BaseException:  # whatever it was, no temporary file stays behind
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise


def _plain(value: Any, where: str) -> Any:
    """`value` with nothing in it but what `weights_only=True` reads back."""
    if isinstance(value, torch.Tensor):
        return _compact(value)
    if value is None or isinstance(value, bool | int | float | str):
        return _plain_number(value)
    if isinstance(value, Mapping):
        return {_plain_key(key, where): _plain(item, f"{where}[{key!r}]") for key, item in value.items()}
    if isinstance(value, list | tuple):
        items = [_plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
        return tuple(items) if isinstance(value, tuple) else items
    if isinstance(value, np.generic) and value.dtype.kind in "biufU":
        return value.item()
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return torch.from_numpy(value.copy())
    raise CheckpointError(
        f"{where} is a {type(value).__name__}, which a checkpoint cannot hold; store tensors, numbers, "
        "strings, booleans or None"
    )


def _plain_number(value: Any) -> Any:
    # Subclasses (numpy.float64 is a float, an enum may be a str) would be stored by their own class's name.
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return value


def _plain_key(key: Any, where: str) -> Any:
    if isinstance(key, str | int | float | bool):
        return _plain_number(key)
    raise CheckpointError(f"{where} has the key {key!r}; a checkpoint's keys are strings and numbers")


def _compact(tensor: torch.Tensor) -> torch.Tensor:
    kept = tensor.detach().cpu()
    # A view would drag its whole storage into the file.
    return kept.clone() if kept.untyped_storage().nbytes() > kept.numel() * kept.element_size() else kept


def load_checkpoint(path: PathLike) -> dict[str, Any]:
    """Reads what `save_checkpoint` wrote, onto the CPU.

    Raises:
        CheckpointError: The file is missing, is not a checkpoint, holds more than plain values, or has no
            "state_dict"; the message says which and the mend.
    """
    source = Path(path)
    if not source.is_file():
        raise CheckpointError(f"{source}: there is no such checkpoint; {_mend(source)}")
    payload = _read(source)
    if not isinstance(payload, dict) or "state_dict" not in payload:
        raise CheckpointError(f'{source}: this checkpoint has no "state_dict"; {_mend(source)}')
    return payload


def _read(source: Path) -> Any:
    if not zipfile.is_zipfile(source):
        raise CheckpointError(f"{source}: this is not a checkpoint, or it was cut short; {_mend(source)}")
    try:
        return torch.load(source, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, UnpicklingError) as error:
        reason = [*str(error).strip().splitlines(), type(error).__name__][0]
        raise CheckpointError(
            f"{source}: this is not a checkpoint of plain tensors ({reason}); {_mend(source)}"
        ) from error


def _mend(path: Path) -> str:
    stage = path.parent.name
    if stage not in STAGES:
        return "name a checkpoint that training wrote (best.tar or checkpoint.tar)"
    flag = f"--stage {_STAGE_FLAGS[stage]}"
    return f"train the {stage} stage first ({flag}), or name the logdir of a run that has it"


def load_weights(module: nn.Module, checkpoint: Mapping[str, Any], path: PathLike) -> None:
    """Loads `checkpoint["state_dict"]` into `module`, strictly; a compiled module's names are understood.

    Args:
        module: What receives the weights; unchanged if they do not fit.
        checkpoint: As `load_checkpoint` gives it.
        path: The checkpoint's file, for messages.

    Raises:
        CheckpointError: A tensor is missing, has no place, or has another shape; the message names the tensor
            and both shapes.
    """
    weights = {name.removeprefix(_COMPILED_PREFIX): value for name, value in checkpoint["state_dict"].items()}
    check_weights(module, weights, path)
    plain = getattr(module, "_orig_mod", module)
    plain.load_state_dict(weights)


def check_weights(module: nn.Module, weights: Mapping[str, Any], path: PathLike) -> None:
    """Raises the CheckpointError of `load_weights` where `weights` do not fit `module`; changes nothing."""
    own = {name.removeprefix(_COMPILED_PREFIX): value for name, value in module.state_dict().items()}
    for name, value in own.items():
        if name not in weights:
            raise CheckpointError(f"{path}: {_kind(module)}'s tensor {name!r} is missing; {_OTHER_RUN}")
        shape = tuple(getattr(weights[name], "shape", ()))
        if shape != tuple(value.shape):
            raise CheckpointError(
                f"{path}: the tensor {name!r} has the shape {shape} in the checkpoint and "
                f"{tuple(value.shape)} in {_kind(module)}; {_OTHER_RUN}"
            )
    extra = [name for name in weights if name not in own]
    if extra:
        raise CheckpointError(f"{path}: the tensor {extra[0]!r} has no place in {_kind(module)}; {_OTHER_RUN}")


def _kind(module: nn.Module) -> str:
    return f"this {type(getattr(module, '_orig_mod', module)).__name__}"


class JsonlLog:
    """A log of one JSON object a line, appended to and flushed at each `write`."""

    def __init__(self, path: PathLike) -> None:
        self.path = Path(path)

    def write(self, record: Mapping[str, Any]) -> None:
        """Appends one line, a number that is not finite as null; drops a line cut by a crash first."""
        line = json.dumps(json_value(record), allow_nan=False)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._drop_cut_line()
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(line + "\n")
            stream.flush()

    def rewind(self, field: str, last: float) -> None:
        """Keeps the lines whose `field` is at most `last`, so that no resumed epoch stands twice."""
        if not self.path.exists():
            return
        kept = [record for record in read_jsonl(self.path) if record.get(field, last) <= last]
        temporary = self.path.with_name(f".{self.path.name}.tmp")
        temporary.write_text("".join(json.dumps(record) + "\n" for record in kept), encoding="utf-8")
        os.replace(temporary, self.path)

    def _drop_cut_line(self) -> None:
        if not self.path.exists():
            return
        content = self.path.read_bytes()
        if content and not content.endswith(b"\n"):
            with self.path.open("r+b") as stream:
                stream.truncate(content.rfind(b"\n") + 1)


def json_value(value: Any) -> Any:
    """`value` in what JSON has: arrays as lists, a number that is not finite as null."""
    if isinstance(value, torch.Tensor | np.ndarray):
        return json_value(value.tolist())
    if isinstance(value, np.generic):
        return json_value(value.item())
    if isinstance(value, Mapping):
        return {str(key): json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def read_jsonl(path: PathLike) -> list[dict[str, Any]]:
    """The records of a log, oldest first; [] where there is none. A cut last line is left out.

    Raises:
        DataError: A line before the last is not JSON; the message names its number.
    """
    source = Path(path)
    if not source.exists():
        return []
    lines = source.read_text(encoding="utf-8", errors="replace").splitlines()
    records: list[dict[str, Any]] = []
    for number, line in enumerate(lines, start=1):
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError as error:
            if number == len(lines):
                break
            raise DataError(f"{source}, line {number}: this is not JSON; remove the line") from error
    return records
