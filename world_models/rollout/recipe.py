"""What a driver is built from: plain values that cross process borders, and the making of lanes and agents by them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from world_models.envs.actions import ActionAdapter
from world_models.envs.choices import BACKENDS
from world_models.envs.env_kwargs import env_kwargs_text
from world_models.envs.envpool_env import EnvPoolLanes, envpool_installed
from world_models.envs.gym_env import GymLanes
from world_models.envs.lanes import Lanes
from world_models.envs.mirrored import MirroredLanes
from world_models.envs.registry import env_spec, environment_actions
from world_models.errors import CheckpointError, ConfigError
from world_models.models.agent import Agent, check_controller
from world_models.models.controller import Controller
from world_models.models.dream import load_dream
from world_models.models.dream_rules import DreamRules
from world_models.models.load import load_cell, load_controller, load_vae
from world_models.rollout.states import Dreamed
from world_models.types import UInt8Array

DREAMS = 256  # of one batch, where nothing else is asked for


@dataclass(frozen=True)
class Recipe:
    """All that a driver is built from.

    `world` is "environment", or "dream": M of `logdir` in its place, by `rules` (see `dream_recipe`). `policy` "agent"
    needs `logdir` with V and M, or M and its starts; its C is the candidates it is given, in the architecture
    `hidden_layers`, `use_hidden`, `use_cell` and `bias` (see `Controller`), or the run's best (`trained`).
    `draw=False` spares the pictures of a policy that does not look at them, where only the returns count (not
    EnvPool's). `spread` has collecting agents driven by controllers about the run's best, see
    `population.around`. `mirrored` has half of the episodes in the mirror, see `envs.mirrored`. `env_kwargs` are what
    the environment is made with.
    """

    env_name: str
    backend: str = "auto"
    policy: str = "agent"
    logdir: str | None = None
    num_lanes: int = 16
    threads: int = 1
    device: str = "cpu"
    time_limit: int = 1000
    sample_latents: bool = False
    hidden_layers: tuple[int, ...] = ()
    use_hidden: bool = True
    use_cell: bool = False
    bias: bool = True
    trained: bool = False
    draw: bool = True
    spread: float = 0.0
    mirrored: bool = False
    env_kwargs: Mapping[str, object] = field(default_factory=dict)
    world: str = "environment"
    rules: DreamRules = field(default_factory=DreamRules)


def dream_recipe(
    env_name: str, logdir: str, rules: DreamRules | None = None, num_lanes: int = DREAMS, **more: Any
) -> Recipe:
    """The recipe of dreams of an environment."""
    return Recipe(
        env_name, "dream", logdir=logdir, num_lanes=num_lanes, world="dream", rules=rules or DreamRules(), **more
    )


def choose_backend(env_name: str, backend: str = "auto", env_kwargs: Mapping[str, object] | None = None) -> str:
    """What "auto" means for an environment that is made with `env_kwargs`; a named backend stays.

    "redrawn" (Gymnasium's physics, its frames drawn faster) where the registry has such a drawing, else
    "envpool" where it is installed and has the environment, else "gymnasium".
    """
    if backend not in BACKENDS:
        raise ConfigError(f"backend={backend!r} is unknown: it is one of {', '.join(BACKENDS)}.")
    if backend != "auto":
        return backend
    spec = env_spec(env_name, env_kwargs)
    if spec.redraw:
        return "redrawn"
    return "envpool" if spec.envpool and envpool_installed() else "gymnasium"


def make_lanes(recipe: Recipe) -> Lanes[UInt8Array]:
    """The recipe's environments, which give native frames."""
    backend = choose_backend(recipe.env_name, recipe.backend, recipe.env_kwargs)
    lanes: Lanes[UInt8Array]
    if backend == "envpool":
        if recipe.env_kwargs:
            raise ConfigError(
                f"EnvPool makes {recipe.env_name} without arguments, and env_kwargs is "
                f"{env_kwargs_text(recipe.env_kwargs)}: use --backend auto."
            )
        lanes = EnvPoolLanes(recipe.env_name, recipe.num_lanes, recipe.threads)
    else:
        redrawn = backend == "redrawn"
        lanes = GymLanes(
            recipe.env_name, recipe.num_lanes, draw=recipe.draw, redrawn=redrawn, env_kwargs=recipe.env_kwargs
        )
    return MirroredLanes(lanes) if recipe.mirrored else lanes


def make_dreams(recipe: Recipe) -> Dreamed:
    """The recipe's dreams.

    Raises:
        CheckpointError: M or its starts are missing, or M was trained for another number of actions.
        ConfigError: they shall be mirrored.
    """
    if recipe.mirrored:
        raise ConfigError("mirrored=True, but a dream has no frames to mirror: leave mirrored out.")
    dream = load_dream(_logdir(recipe), recipe.rules, device=recipe.device)
    actions = environment_actions(recipe.env_name, recipe.env_kwargs)
    _check_actions(recipe, dream.actions, actions)
    return Dreamed(dream, env_spec(recipe.env_name, recipe.env_kwargs), actions, recipe.num_lanes)


def make_agent(recipe: Recipe, actions: ActionAdapter) -> Agent:
    """V, M and C of the recipe's run for an environment's actions.

    Raises:
        CheckpointError: a stage is missing, or M was trained for another number of actions.
    """
    vae, cell = load_vae(_logdir(recipe), recipe.device), load_cell(_logdir(recipe), recipe.device)
    _check_actions(recipe, cell.actions, actions)
    controller = make_controller(recipe, cell.latents, cell.hiddens, cell.actions)
    return Agent(vae, cell, controller, actions.from_raw, sample_latents=recipe.sample_latents)


def make_controller(recipe: Recipe, latents: int, hiddens: int, actions: int) -> Controller:
    """The recipe's C for V and M of these sizes.

    Raises:
        CheckpointError: the run's C is missing, or its sizes do not fit.
    """
    if recipe.trained:
        controller, _ = load_controller(_logdir(recipe), recipe.device)
    else:
        hidden = hiddens if recipe.use_hidden else 0
        more = {"use_cell": recipe.use_cell, "bias": recipe.bias}
        controller = Controller(latents, hidden, actions, recipe.hidden_layers, **more).to(recipe.device)
    check_controller(controller, latents, hiddens, actions)
    return controller


def _logdir(recipe: Recipe) -> str:
    if recipe.logdir is None:
        raise ConfigError("An agent, and a dream, need the run's folder: give logdir.")
    return recipe.logdir


def _check_actions(recipe: Recipe, trained: int, actions: ActionAdapter) -> None:
    if trained != actions.size:
        raise CheckpointError(
            f"M in {recipe.logdir} was trained with {trained} actions, {recipe.env_name} has {actions.size}: name the "
            "environment that M is of, or train M on data of this one."
        )
