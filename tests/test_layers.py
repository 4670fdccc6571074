"""DESIGN's layers: a file imports only what stands below it, no two files import each other, and optional packages
stand in one file each."""

from __future__ import annotations

import ast
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "world_models"
LAYERS = (
    ("types", "errors", "notices", "losses", "old_names"),
    ("budgets", "typed"),
    ("configs", "search.algorithms", "vision"),
    ("utils", "datasets"),
    ("models",),
    ("envs",),
    ("rollout",),
    ("executors", "report", "web", "world_model"),
    ("training", "search"),
    ("runs",),
    ("commands", "training.train_world_model"),
    ("cli",),
    ("__main__",),
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
# A documented script on its documented path; what it does stands in commands/.
DOORS = {("training.train_world_model", "commands")}
FILES = sorted(PACKAGE.rglob("*.py"))
OPTIONAL = ("envpool", "ray", "vizdoom", "onnx", "tensorboard", "wandb", "stable_baselines3")


def module_of(path: Path) -> str:
    """A file's module, without the package's own name; "" for the package itself."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in FILES}


def part_of(module: str) -> str:
    """The part of the house, a key of `RANK`, that a module belongs to."""
    two = ".".join(module.split(".")[:2])
    return two if two in RANK else module.split(".")[0]


def is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def imported(tree: ast.AST, types_too: bool = True) -> Iterator[str]:
    """Full names of what a file imports, also inside functions; without `types_too` only what is really imported."""
    if is_for_types(tree) and not types_too:
        return
    if isinstance(tree, ast.Import):
        yield from (alias.name for alias in tree.names)
    elif isinstance(tree, ast.ImportFrom):
        assert tree.level == 0, "an import relative to the file hides its layer"
        yield from (f"{tree.module}.{alias.name}" for alias in tree.names)
    for node in ast.iter_child_nodes(tree):
        yield from imported(node, types_too)


def own_imports(path: Path, types_too: bool = True) -> set[str]:
    """Which of our modules a file imports."""
    found = set()
    for name in imported(ast.parse(path.read_text(encoding="utf-8")), types_too):
        if name.split(".")[0] == "world_models":
            inner = name.partition(".")[2]
            found.add(inner if inner in MODULES else inner.rpartition(".")[0])
    return found


def name_of(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_file_imports_only_from_the_layers_below_its_own(path):
    own = part_of(module_of(path))
    if own == "":
        return
    assert own in RANK, f"{own} has no place in the layers"
    for module in own_imports(path):
        other = part_of(module)
        # Neighbours of one row may not lean on each other, but for the two that train: C's search and V's and M's.
        allowed = other == own or RANK[other] < RANK[own] or {own, other} == {"training", "search"}
        assert allowed or (own, other) in DOORS, f"{name_of(path)} imports {module}"


def test_no_two_files_import_each_other_by_whatever_way():
    waiting = {module: own_imports(path) - {module, ""} for module, path in MODULES.items()}
    while free := [module for module, needs in waiting.items() if not needs & waiting.keys()]:
        for module in free:
            del waiting[module]
    assert not waiting, f"a circle among {sorted(waiting)}"


def test_no_folder_and_no_file_is_too_large_to_be_read():
    for folder in {path.parent for path in FILES}:
        inside = [path for path in folder.glob("*.py") if path.name != "__init__.py"]
        assert len(inside) <= 20, f"{folder.name} has {len(inside)} files"
    lengths = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert statistics.median(lengths.values()) <= 120
    assert max(lengths.values()) <= 300, {name: n for name, n in lengths.items() if n > 300}


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
