"""Runs in miniature: folders with a tiny random V and M (and C), and stages that start no processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.small_envs import STEER
from world_models.executors.local import InlineExecutor
from world_models.models.controller import Controller
from world_models.models.mdrnn import MDRNN
from world_models.runs.collection import generate_rollouts
from world_models.utils.run_dir import best_path, save_checkpoint
from world_models.vision.VAE.ConvVAE import ConvVAE

LATENTS, HIDDENS, GAUSSIANS = 4, 6, 2
DRIVING = ("runs.collection", "search.run", "runs.evaluation")  # the modules that drive


def save_vae(logdir: Path, latents: int = LATENTS, seed: int = 0) -> ConvVAE:
    """A random V, in the run and returned."""
    torch.manual_seed(seed)
    vae = ConvVAE(3, latents)
    save_checkpoint(best_path(logdir, "vae"), {"state_dict": vae.state_dict(), "latent_size": latents})
    return vae.eval()


def save_mdrnn(logdir: Path, actions: int = 2, latents: int = LATENTS, hiddens: int = HIDDENS) -> MDRNN:
    """A random M, in the run and returned."""
    torch.manual_seed(1)
    mdrnn = MDRNN(latents, actions, hiddens, GAUSSIANS)
    save_checkpoint(best_path(logdir, "mdrnn"), {"state_dict": mdrnn.state_dict(), **mdrnn.sizes})
    return mdrnn.eval()


def save_controller(logdir: Path, actions: int = 2, env_name: str = "Steer-v0", **changes: Any) -> Controller:
    """A random C, in the run and returned."""
    torch.manual_seed(2)
    sizes = {"latent_size": LATENTS, "hidden_size": HIDDENS, "action_size": actions, **changes}
    controller = Controller(**sizes)
    save_checkpoint(best_path(logdir, "ctrl"), {"state_dict": controller.state_dict(), **sizes, "env_name": env_name})
    return controller.eval()


def save_run(folder: Path, controller: bool = False) -> Path:
    """A random V and M, and C if asked for, in the folder, which is returned."""
    save_vae(folder)
    save_mdrnn(folder)
    if controller:
        save_controller(folder)
    return folder


def driven_run(folder: Path) -> list[str]:
    """A run with V, M and C, rollouts of its agent, and the flags that name them and a folder for what comes out."""
    logdir, data = save_run(folder / "run", controller=True), folder / "data"
    generate_rollouts(data, STEER, 8, 12, 1, policy="agent", logdir=logdir, display=False)
    return ["--logdir", str(logdir), "--data_dir", str(data), "--out", str(folder / "out")]


def copy_of_run(source: Path, target: Path) -> Path:
    """A run folder with the V and M of another one, without a copy of their bytes."""
    target.mkdir(parents=True)
    for stage in ("vae", "mdrnn"):
        (target / stage).symlink_to(source / stage, target_is_directory=True)
    return target


def inline_executors(monkeypatch: pytest.MonkeyPatch, *modules: str) -> None:
    """These modules of world_models.training (none named: all that drive) drive in this process, without workers."""
    for module in modules or DRIVING:
        monkeypatch.setattr(f"world_models.{module}.make_executor", lambda recipe, _: InlineExecutor(recipe))
