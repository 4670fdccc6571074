"""The machine: versions, cores, number format, and whether the folders can be written and hold what is to come."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import torch

from world_models.runs.doctor.findings import Findings
from world_models.types import FRAME_SHAPE
from world_models.utils.device import resolve_device
from world_models.utils.precision import fast_precision
from world_models.utils.threads import cpu_count
from world_models.utils.versions import versions

FRAME_BYTES = FRAME_SHAPE[0] * FRAME_SHAPE[1] * FRAME_SHAPE[2]


def look_at_machine(found: Findings) -> None:
    """Versions, cores, device and number format."""
    found.part = "This machine"
    with found.looking("versions"):
        found.ok("versions", ", ".join(f"{name} {version}" for name, version in versions().items()))
    with found.looking("processor"):
        cores, threads = cpu_count(), torch.get_num_threads()
        text = f"{cores} cores, and PyTorch computes on {threads} threads"
        if threads < cores:
            found.note(
                "processor", f"{text} (OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS', '')}): V trains slower."
            )
        else:
            found.ok("processor", text)
    with found.looking("device"):
        device = resolve_device("auto")
        name = torch.cuda.get_device_name() if device.type == "cuda" else "no GPU that PyTorch knows"
        found.ok("device", f"{device} ({name})")
        found.ok("number format", f'{fast_precision(device)}, which is what "auto" means here')


def look_at_folder(found: Findings, name: str, folder: Path, rows: int | None) -> None:
    """Whether a folder that is there or will be can be written, without leaving anything in it.

    Args:
        found: Where it is told.
        name: The flag that named it.
        folder: The folder.
        rows: Frames that its cache shall hold; None: it has none.
    """
    with found.looking("writable"):
        place = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        if not place.is_dir():
            found.problem("writable", f"{name}={folder} cannot be a folder: {place} is a file; name another.")
            return
        try:
            with tempfile.TemporaryFile(dir=place):
                pass
        except OSError as error:
            found.problem("writable", f"{place} cannot be written ({error.strerror}): name another {name}.")
            return
        found.ok("writable", f"{folder}" if place == folder else f"{folder}, which will be made")
        if rows is not None:
            _look_at_disk(found, place, rows)


def _look_at_disk(found: Findings, place: Path, rows: int) -> None:
    free, need = shutil.disk_usage(place).free, rows * FRAME_BYTES
    text = f"{_gigabytes(free)} are free; the cache of {rows:,} frames takes {_gigabytes(need)}"
    if free < need:
        found.problem("disk", f"{text}: make room, name another --data_dir, or collect fewer or shorter rollouts.")
    else:
        found.ok("disk", text)


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 5e7 else f"{count / 1e6:,.1f} MB"
