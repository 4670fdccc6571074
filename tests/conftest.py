"""What all tests share: one core a process, no window, and properties that do not fail for being slow."""

from __future__ import annotations

import os

os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
os.environ.setdefault("SDL_AUDIODRIVER", "dummy")

import torch
from hypothesis import settings

torch.set_num_threads(1)
# A busy machine makes single examples slow, and says nothing about the property.
settings.register_profile("world-models", deadline=None, max_examples=50, print_blob=True)
settings.load_profile("world-models")
