"""DESIGN's layers: a package imports only what stands below it, and optional packages stand in one file each."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "world_models"
LAYERS = (
    ("types", "errors", "notices", "losses"),
    ("budgets",),
    ("configs", "evolution", "vision"),
    ("utils", "datasets"),
    ("models",),
    ("envs",),
    ("rollout",),
    ("executors", "report", "web"),
    ("training",),
    ("cli",),
    ("__main__",),
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
FILES = sorted(PACKAGE.rglob("*.py"))
OPTIONAL = ("envpool", "ray", "vizdoom", "onnx", "tensorboard", "wandb")


def part_of(path: Path) -> str:
    """The package or module directly below `world_models` that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(tree: ast.AST) -> Iterator[str]:
    """Full names of what a file imports, also inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "an import relative to the file hides its layer"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def name_of(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_file_imports_only_from_the_layers_below_its_own(path):
    own = part_of(path)
    assert own == "__init__" or own in RANK, f"{own} has no place in the layers"
    for name in imported(ast.parse(path.read_text(encoding="utf-8"))):
        parts = name.split(".")
        if parts[0] != "world_models" or own == "__init__":
            continue
        other = parts[1]
        # Neighbours of one row may not lean on each other, but for the vocabulary and the errors at the bottom.
        assert other == own or RANK[other] < RANK[own], f"{name_of(path)} imports {name}"


@pytest.mark.parametrize("package", OPTIONAL)
def test_an_optional_package_is_imported_in_one_file_and_only_when_it_is_needed(package):
    files = []
    for path in FILES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if any(name.split(".")[0] == package for name in imported(tree)):
            files.append(name_of(path))
        at_the_top = ast.Module([node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)], [])
        assert all(name.split(".")[0] != package for name in imported(at_the_top)), name_of(path)
    assert len(files) <= 1, files
