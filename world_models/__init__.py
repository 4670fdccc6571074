"""World Models (Ha & Schmidhuber, 2018) in PyTorch."""

import gymnasium as _gymnasium

# Only the name: what is behind it (and PyTorch with it) is imported when the first one is made.
_gymnasium.register("world_models/Dream-v0", entry_point="world_models.envs.dream_env:DreamEnv")
