"""The paths of the house on fixed seeds, in miniature: what each gives is a golden trace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

from tests.dreams import save_dream
from tests.golden.trace import EXACTLY, plain, stage
from tests.search.evolutions import CLIMBING, PAIRS, short_generations
from tests.search.evolutions import config as ctrl_config
from tests.small_envs import STEER
from tests.small_runs import HIDDENS, copy_of_run, inline_executors, save_run, save_vae
from tests.training.runs import mdrnn_config, vae_config
from world_models.datasets.rollout_files import read_rollout
from world_models.losses.convae_loss import conv_vae_loss_fn
from world_models.models.dream_rules import DreamRules
from world_models.models.load import load_mdrnn, load_vae
from world_models.runs.dream import train_in_dream
from world_models.runs.evaluation import evaluate_recipe, run_recipe
from world_models.training.train_controller import train_controller
from world_models.training.train_convae import train_convae
from world_models.training.train_mdn_rnn import get_loss, precompute_latents, train_mdn_rnn
from world_models.training.train_world_model import generate_rollouts
from world_models.types import Rollout
from world_models.vision.frames import images_from_frames

SHIPPED = Path(__file__).parents[2] / "checkpoints"
SPACE = {"components": 3, "whitening_episodes": 3}
TERMINALS = {"terminal_weight": 10.0, "optimizer": "adam", "reward_smoothing": 3}


class Scenes:
    """Scenes build on each other: one trains the V that the next one's M sees. All lies in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data, self.run = folder / "data", folder / "run"
        self.given = save_run(folder / "given")  # V and M by hand, so that no digit of their training reaches C

    # -- frames, V and M -----------------------------------------------------------------------------

    def collect(self) -> Any:
        """Eight rollouts of correlated noise, and two of uniform noise."""
        generate_rollouts(self.data, STEER, 8, 12, 1, seed=3, display=False)
        generate_rollouts(self.folder / "uniform", STEER, 2, 5, 1, policy="uniform", seed=3, display=False)
        return rollouts(self.data) | rollouts(self.folder / "uniform")

    def vae(self) -> Any:
        """V's losses, weights and optimizer after two epochs."""
        train_convae(vae_config(self.data, self.run))
        return first_epoch(stage(self.run, "vae"))

    def losses_of_batches(self) -> Any:
        """V's and M's losses of a batch each, on weights that nothing has trained."""
        driven = [read_rollout(path) for path in sorted(self.data.glob("*.npz"))[:3]]
        images = images_from_frames(torch.from_numpy(np.concatenate([each.observations for each in driven])))
        torch.manual_seed(6)
        with torch.no_grad():
            vae = load_vae(self.given)
            painted, mu, logsigma = vae(images)
            z, length = mu.unflatten(0, (1, -1)), len(mu) - 1
            actions, rewards, ends = (
                torch.from_numpy(np.concatenate([getattr(each, key) for each in driven]))[None, :length].float()
                for key in ("actions", "rewards", "terminals")
            )
            seen = get_loss(load_mdrnn(self.given), z[:, :-1], actions, rewards, ends, z[:, 1:])
            return {"V": float(conv_vae_loss_fn(painted, images, mu, logsigma)), "M": plain(seen)}

    def latents(self) -> Any:
        """What V makes of the frames."""
        path = precompute_latents(vae_config(self.data, self.given), self._mdrnn(self.given))
        with np.load(path, allow_pickle=False) as arrays:
            return {key: plain(arrays[key]) for key in ("mu", "logsigma", "actions", "rewards", "terminals", "lengths")}

    def mdrnn(self) -> Any:
        """M's losses, weights and optimizer after two epochs on latents."""
        return self._remembered("memory")

    def mdrnn_of_frames(self) -> Any:
        """M on frames encoded batch by batch."""
        return self._remembered("frames", use_precomputed_latents=False)

    def mdrnn_with_ends(self) -> Any:
        """M on whole windows: the terminal head, Adam, smoothed rewards."""
        return self._remembered("ends", **TERMINALS)

    def _mdrnn(self, logdir: Path, **changes: Any) -> Any:
        sizes = {"action_size": 2, "hidden_size": HIDDENS, "seq_len": 3}
        return mdrnn_config(self.data, logdir, **{**sizes, **changes})

    def _remembered(self, name: str, use_precomputed_latents: bool = True, **settings: Any) -> Any:
        logdir = self.folder / name
        save_vae(logdir)
        config = self._mdrnn(logdir, **settings)
        train_mdn_rnn(vae_config(self.data, logdir), config, use_precomputed_latents=use_precomputed_latents)
        return stage(logdir, "mdrnn")

    # -- C on the road -------------------------------------------------------------------------------

    def cma_es(self) -> Any:
        """Four generations of CMA-ES in a whitened space."""
        return self._evolved("cma", max_generations=4, **SPACE)

    def cma_es_of_all_parameters(self) -> Any:
        """Two generations among C's own parameters, z sampled, episodes given up and growing."""
        more = {"sample_latents": True, "hopeless": 3, "first_horizon": 3, "max_generations": 2}
        return self._evolved("plain", **more)

    def cma_es_resumed(self) -> Any:
        """The same, stopped half-way."""
        self._evolved("resumed", max_generations=2, **SPACE)
        return self._evolved("resumed", max_generations=4, **SPACE)

    def pgpe(self) -> Any:
        """A phase of CMA-ES, then two of PGPE, the second in a new space."""
        return self._evolved("pgpe", max_env_steps=60, phases=PAIRS, max_generations=None, **SPACE)

    def policy_gradient(self) -> Any:
        """Two phases up the gradient in the environment, then candidates."""
        with pytest.MonkeyPatch.context() as patch:
            short_generations(patch)
            return self._evolved("gradient", **CLIMBING, seed=1)

    def policy_gradient_resumed(self) -> Any:
        """The same, stopped after two generations."""
        with pytest.MonkeyPatch.context() as patch:
            short_generations(patch)
            self._evolved("gradient again", **{**CLIMBING, "seed": 1, "max_generations": 4})
            return self._evolved("gradient again", **CLIMBING, seed=1)

    def refit(self) -> Any:
        """The agent drives; its C is carried over to another V and M, and searched about."""
        driven, other = self.folder / "driven", save_run(self.folder / "other")
        generate_rollouts(driven, STEER, 24, 8, 1, policy="agent", logdir=self.folder / "cma", display=False)
        save_vae(other, seed=5)
        carried = {"start_from": str(self.folder / "cma"), "driving": str(driven), "components": 3}
        train_controller(ctrl_config(other, max_generations=2, **carried))
        return rollouts(driven) | {f"ctrl {EXACTLY}": stage(other, "ctrl")}

    def evaluate(self) -> Any:
        """The returns of the run's best on Gymnasium's own frames."""
        score = evaluate_recipe(run_recipe(self.folder / "cma", STEER, time_limit=8), 4, 10_000, 1, display=False)
        return {key: score[key] for key in ("returns", "steps", "seeds", "mean", "std")}

    def _evolved(self, name: str, **settings: Any) -> Any:
        logdir = self.folder / name
        if not logdir.exists():
            copy_of_run(self.given, logdir)
        train_controller(ctrl_config(logdir, **settings))
        return stage(logdir, "ctrl")

    # -- the dream -----------------------------------------------------------------------------------

    def dream(self) -> Any:
        """Twelve steps of a dream with given actions, by the environment that others see."""
        save_dream(self.folder / "dream", terminal_trained=True)
        env = gymnasium.make("world_models/Dream-v0", logdir=str(self.folder / "dream"), temperature=1.1)
        seen, rewards = [env.reset(seed=5)[0]], []
        for t in range(12):
            observation, reward, *_ = env.step(np.array([np.sin(t), np.cos(t)], np.float32))
            seen.append(observation)
            rewards.append(reward)
        env.close()
        return {"states": [plain(each) for each in seen], "rewards": plain(rewards)}

    def dream_cma_es(self) -> Any:
        """Three generations of CMA-ES in the dream."""
        return self._dreamt("dreamt", max_generations=3)

    def dream_cma_es_resumed(self) -> Any:
        """The same, stopped after one."""
        self._dreamt("dreamt again", max_generations=1)
        return self._dreamt("dreamt again", max_generations=3)

    def dream_gradient(self) -> Any:
        """A phase in the dream that begins where the gradient leads, and asks M what actions lead to."""
        phase = {"components": 2, "gradient_steps": 4_000, "sigma": 0.1, "pop_size": 4, "samples": 2, "env_steps": 400}
        asking = {**phase, "gradient_steps": 0, "foreseen": 6}
        settings = {"max_env_steps": 100, "phases": [phase, asking], "num_lanes": 32, "eval_every": 10}
        return self._dreamt("dreamt up", max_generations=8, **settings)

    def _dreamt(self, name: str, **settings: Any) -> Any:
        logdir = self.folder / name
        if not logdir.exists():
            save_dream(logdir)
        mine = {"time_limit": 8, "eval_episodes": 3, "components": 3, "target_return": np.inf}
        train_in_dream(ctrl_config(logdir, **{**mine, **settings}), DreamRules(precision="fp32"), 0.0)
        return stage(logdir, "ctrl")

    # -- the shipped agent ---------------------------------------------------------------------------

    def carracing(self) -> Any:
        """The shipped agent's first 300 steps on one track, in Gymnasium's frames and redrawn ones.

        On another processor the car is elsewhere after some hundred: there the first 40 count.
        """
        found = {}
        for backend in ("gymnasium", "redrawn"):
            driven = {
                "policy": "agent",
                "logdir": SHIPPED / "carracing",
                "backend": backend,
                "seed": 7,
                "display": False,
            }
            generate_rollouts(self.folder / backend, "CarRacing-v3", 1, 300, 1, **driven)
            (path,) = (self.folder / backend).glob("*.npz")
            rollout = read_rollout(path)
            found[f"{backend} {EXACTLY}"] = of_rollout(rollout)
            found[f"{backend}: 40 steps"] = {
                "actions": plain(rollout.actions[:40]),
                "rewards": plain(rollout.rewards[:40]),
            }
        return found


def first_epoch(trained: dict[str, Any]) -> dict[str, Any]:
    """The first epoch's losses for everybody, the rest to the last bit or not at all.

    Adam's first steps are of one size whatever the gradient's: a last digit of it may turn a weight's around.
    """
    exactly = {f"{key} {EXACTLY}": value for key, value in trained.items()}
    return exactly | {"first epoch": {key: value for key, value in trained["log"][0].items() if "loss" in key}}


def rollouts(folder: Path) -> dict[str, Any]:
    """Every rollout of a folder: frames and actions in short, and the rewards' sum."""
    found = {}
    for path in sorted(folder.glob("*.npz")):
        found[f"{folder.name}/{path.name}"] = of_rollout(read_rollout(path))
    return found


def of_rollout(rollout: Rollout) -> dict[str, Any]:
    return {key: plain(getattr(rollout, key)) for key in ("observations", "actions", "rewards", "terminals")}


NAMES = [name for name, value in vars(Scenes).items() if callable(value) and not name.startswith("_")]


def play(folder: Path, names: list[str] | None = None) -> dict[str, Any]:
    """The traces of the scenes, in their order, in float32, in this process, on one thread."""
    scenes = Scenes(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORLD_MODELS_PRECISION", "float32")
        inline_executors(patch)
        patch.setattr("world_models.runs.evaluation.cpu_count", lambda: 1)
        torch.set_num_threads(1)
        return {name: getattr(scenes, name)() for name in names or NAMES}
