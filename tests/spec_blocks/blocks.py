"""The specification's Python blocks, as they lie in `python_blocks.txt`, and how one is run."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from world_models.models.controller import Controller


def read_blocks() -> dict[str, str]:
    """Each block by its heading, verbatim."""
    text = (Path(__file__).parent / "python_blocks.txt").read_text(encoding="utf-8")
    return dict(re.findall(r"^## ([^\n]+)\n\n```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))


BLOCKS = read_blocks()


def run(name: str, *, instead: dict[str, str] | None = None, **context: Any) -> dict[str, Any]:
    """Runs one block with the names of its context, and returns all names as they are then.

    `instead` has the lines that have to differ: {"text there, once": "text here"}.
    """
    source = BLOCKS[name]
    for old, new in (instead or {}).items():
        assert source.count(old) == 1, f"the block {name!r} has not one {old!r}"
        source = source.replace(old, new)
    names: dict[str, Any] = {"torch": torch, "nn": nn, "np": np, **context}
    exec(compile(source, f"specification: {name}", "exec"), names)
    return names


class Noted(Controller):
    """A controller that remembers the (h, z) it was called with, and what it answered."""

    def __init__(self, *sizes, **named):
        super().__init__(*sizes, **named)
        self.seen = []

    def forward(self, h, z):
        action = super().forward(h, z)
        self.seen.append((h, z, action))
        return action
