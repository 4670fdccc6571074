"""A folder that is written whole or not at all, and that never takes the place of somebody's own."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from world_models.errors import ConfigError

FORMAT = 1  # of the manifests


@contextlib.contextmanager
def fresh_folder(out: str | os.PathLike[str], manifest: str) -> Iterator[Path]:
    """A folder to write into, which takes the place of `out` when the block has ended well.

    Args:
        out: Where it shall lie. It may not exist, be empty, or hold a former export.
        manifest: The file below it by which a former export is known.

    Raises:
        ConfigError: `out` is a file, or holds something else than a former export.
    """
    target = Path(out).resolve()
    _may_replace(target, manifest)
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(f".{target.name}.{os.getpid()}.part")
    old = target.with_name(f".{target.name}.{os.getpid()}.old")
    fresh.mkdir()
    try:
        yield fresh
        if target.exists():
            os.rename(target, old)
        try:
            os.rename(fresh, target)
        except OSError:
            if old.exists():
                os.rename(old, target)
            raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _may_replace(target: Path, manifest: str) -> None:
    if target.is_file():
        raise ConfigError(f"{target} is a file: name a folder that does not exist yet, or a former export (--out).")
    if not target.exists() or not any(target.iterdir()):
        return
    if not _is_manifest(target / manifest):
        raise ConfigError(
            f"{target} holds other things than a former export (it has no {manifest} of one), and nothing there "
            "is overwritten: name another folder (--out)."
        )


def _is_manifest(path: Path) -> bool:
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and isinstance(content.get("format"), int) and "files" in content


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Compact JSON; NaN is refused, which no browser would read."""
    path.write_text(json.dumps(value, separators=(",", ":"), allow_nan=False) + "\n", encoding="utf-8")


def file_facts(paths: Iterable[Path]) -> dict[str, dict[str, Any]]:
    """Size and SHA-256 of each file, by its name."""
    contents = {path.name: path.read_bytes() for path in paths}
    return {name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in contents.items()}
