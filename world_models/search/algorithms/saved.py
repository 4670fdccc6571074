"""What a saved search and the one that takes it up must have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from world_models.errors import CheckpointError


def check_settings(saved: Mapping[str, Any], mine: Mapping[str, Any]) -> None:
    """Raises CheckpointError, naming the first, where `saved` has another value of something than `mine`."""
    for name, value in mine.items():
        if saved.get(name) != value:
            raise CheckpointError(
                f"The saved search has {name}={saved.get(name)}, this one {value}: resume with the same settings, or "
                "start anew with noreload."
            )
