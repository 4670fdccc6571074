"""Files that come with the package and go into every site: the page's own, and ONNX Runtime's."""

from __future__ import annotations

import lzma
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from world_models.errors import MissingDependencyError

_AGAIN = "install the package again (pip install --force-reinstall world-models-torch)"


def page_files() -> Traversable:
    """The folder of the page as it lies in the package."""
    return files("world_models.web") / "static"


def copy_page(page: Traversable, target: Path) -> None:
    """Copies the page, folders and all, into an existing folder.

    Raises:
        MissingDependencyError: The page is not there, or not whole.
    """
    if not (page / "index.html").is_file():
        raise MissingDependencyError(f"The page's own files are missing (no index.html in {page}): {_AGAIN}.")
    _copy(page, target)


def _copy(source: Traversable, target: Path) -> None:
    for item in source.iterdir():
        if item.name.startswith((".", "__")):
            continue
        if item.is_dir():
            (target / item.name).mkdir(exist_ok=True)
            _copy(item, target / item.name)
        else:
            (target / item.name).write_bytes(item.read_bytes())


def unpack_runtime(target: Path) -> None:
    """Writes ONNX Runtime Web, its licence and notices into a folder, which is made.

    Raises:
        MissingDependencyError: A file is missing or damaged.
    """
    source = files("world_models.web") / "vendor" / "ort"
    target.mkdir(parents=True)
    try:
        for item in source.iterdir():
            data = item.read_bytes()
            content = lzma.decompress(data) if item.name.endswith(".xz") else data
            (target / item.name.removesuffix(".xz")).write_bytes(content)
    except (FileNotFoundError, lzma.LZMAError) as error:
        raise MissingDependencyError(f"ONNX Runtime Web is missing or damaged ({error}): {_AGAIN}.") from error
