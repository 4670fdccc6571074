"""Which versions a result was made with."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

_PACKAGES = ("world-models-torch", "torch", "numpy", "gymnasium", "box2d", "vizdoom", "envpool", "cma")


def versions() -> dict[str, str]:
    """Python's and the packages' versions, those that are installed."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
