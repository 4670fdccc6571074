"""A world that counts, twice: as an environment, and as M by hand that dreams it. The reward of step t is t."""

from __future__ import annotations

from pathlib import Path

import gymnasium as gym
import torch

from tests.doubles import CountingEnv
from tests.dreams import save_dream
from tests.small_runs import GAUSSIANS, HIDDENS, LATENTS, save_controller
from world_models.models.dream_rules import DreamRules
from world_models.models.mdrnn import MDRNN
from world_models.rollout.driver import Recipe
from world_models.rollout.recipe import dream_recipe

LENGTH, ACTIONS = 5, 2
COUNTING = "tests.counting:Counting5-v0"
WORLDS = ("environment", "dream")
_TICK = 1e-3  # what c grows by in a step

if "Counting5-v0" not in gym.registry:
    gym.register("Counting5-v0", entry_point=CountingEnv, kwargs={"length": LENGTH, "action_size": ACTIONS})


def counting_m() -> MDRNN:
    """M whose h tells the time, whatever it sees: it rewards step t with about t and ends after `LENGTH` of them."""
    mdrnn = MDRNN(LATENTS, ACTIONS, HIDDENS, GAUSSIANS).eval()
    with torch.no_grad():
        for parameter in mdrnn.parameters():
            parameter.zero_()
        gates = mdrnn.rnn.bias_ih_l0.view(4, HIDDENS)
        gates[[0, 1, 3]], gates[2] = 30.0, _TICK
        reward, terminal = mdrnn.gmm_linear.weight[-2:]
        reward[0], terminal[0] = 1 / _TICK, 1e3 / _TICK
        # The first reward is not above 0, in reality nor here.
        mdrnn.gmm_linear.bias[-2:] = torch.tensor([-1.0005, -1e3 * (LENGTH - 0.5)])
        stride = GAUSSIANS * LATENTS
        mdrnn.gmm_linear.bias[stride : 2 * stride] = -2  # logsigma
    return mdrnn


def save_counting(folder: Path) -> Path:
    """V and C of chance beside the M that counts; the folder, returned."""
    save_dream(folder, counting_m(), env_name=COUNTING, terminal_trained=True)
    save_controller(folder, env_name="Counting5-v0")
    return folder


def counting_recipe(world: str, folder: Path, **changes) -> Recipe:
    """Three lanes of either world."""
    settings = {"num_lanes": 3, "time_limit": 9, **changes}
    if world == "dream":
        rules = DreamRules(precision="fp32", starts="first", terminal="threshold")
        return dream_recipe(COUNTING, str(folder), rules, **settings)
    return Recipe(COUNTING, logdir=str(folder), **settings)
