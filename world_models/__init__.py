"""World Models (Ha & Schmidhuber, 2018) in PyTorch."""

from world_models.envs.dream_id import register_dream as _register_dream

_register_dream()
