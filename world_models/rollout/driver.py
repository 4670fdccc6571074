"""A driver: lanes and a policy built from a recipe of plain values, ready to evaluate or to collect.

The recipe crosses process borders; what it builds does not. Every executor runs drivers, so a shard of
episodes is evaluated by the same code wherever it runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from world_models.datasets.rollout_files import write_rollout
from world_models.envs.actions import ActionAdapter
from world_models.envs.choices import BACKENDS, POLICIES
from world_models.envs.env_kwargs import told
from world_models.envs.envpool_env import EnvPoolLanes, envpool_installed
from world_models.envs.gym_env import GymLanes
from world_models.envs.lanes import Lanes
from world_models.envs.mirrored import MirroredLanes, in_mirror
from world_models.envs.registry import env_spec
from world_models.errors import CheckpointError, ConfigError, WorkerError
from world_models.models.agent import Agent
from world_models.models.controller import Controller
from world_models.models.load import load_cell, load_controller, load_vae
from world_models.rollout.collect import Recorder
from world_models.rollout.loop import Listener, Policy, drive
from world_models.rollout.policies import AgentPolicy, NoisePolicy
from world_models.rollout.population import around
from world_models.rollout.road import Road, Stretch
from world_models.types import DoubleArray, Episode, EpisodeResult, Rollout
from world_models.utils.threads import one_torch_thread


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


@dataclass(frozen=True)
class Recipe:
    """All that a driver is built from.

    `policy` "agent" needs `logdir` with V and M; its C is the candidates it is given, in the architecture
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
    hopeless: int | None = None
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

    def driver(self) -> Driver:
        """What the recipe is for."""
        return Driver(self)


def make_lanes(recipe: Recipe) -> Lanes:
    """The recipe's environments."""
    backend = choose_backend(recipe.env_name, recipe.backend, recipe.env_kwargs)
    lanes: Lanes
    if backend == "envpool":
        if recipe.env_kwargs:
            raise ConfigError(
                f"EnvPool makes {recipe.env_name} without arguments, and env_kwargs is {told(recipe.env_kwargs)}: use "
                "--backend auto."
            )
        lanes = EnvPoolLanes(recipe.env_name, recipe.num_lanes, recipe.threads)
    else:
        redrawn = backend == "redrawn"
        lanes = GymLanes(
            recipe.env_name, recipe.num_lanes, draw=recipe.draw, redrawn=redrawn, env_kwargs=recipe.env_kwargs
        )
    return MirroredLanes(lanes) if recipe.mirrored else lanes


def make_agent(recipe: Recipe, actions: ActionAdapter) -> Agent:
    """V, M and C of the recipe's run for an environment's actions.

    Raises:
        CheckpointError: a stage is missing, or M was trained for another number of actions.
    """
    if recipe.logdir is None:
        raise ConfigError("An agent needs the run's folder: give logdir.")
    vae = load_vae(recipe.logdir, recipe.device)
    cell = load_cell(recipe.logdir, recipe.device)
    if cell.actions != actions.size:
        raise CheckpointError(
            f"M in {recipe.logdir} was trained with {cell.actions} actions, {recipe.env_name} has {actions.size}: "
            "train M on data of this environment."
        )
    if recipe.trained:
        controller, _ = load_controller(recipe.logdir, recipe.device)
    else:
        hidden = cell.hiddens if recipe.use_hidden else 0
        more = {"use_cell": recipe.use_cell, "bias": recipe.bias}
        controller = Controller(cell.latents, hidden, cell.actions, recipe.hidden_layers, **more).to(recipe.device)
    return Agent(vae, cell, controller, actions.from_raw, sample_latents=recipe.sample_latents)


class Driver:
    """Lanes and, for the policy "agent", an agent; both are made once and used for every shard."""

    def __init__(self, recipe: Recipe) -> None:
        if recipe.policy not in POLICIES:
            raise ConfigError(f"policy={recipe.policy!r} is unknown: it is one of {', '.join(POLICIES)}.")
        if recipe.policy == "agent" and not recipe.draw:
            raise ConfigError("draw=False would have the agent drive blind: it is for policies that do not look.")
        self.recipe = recipe
        self.lanes = make_lanes(recipe)
        self._road: Road | None = None
        self._road_lanes: Lanes | None = None
        self._road_recipe: Recipe | None = None
        self.agent = make_agent(recipe, self.lanes.actions) if recipe.policy == "agent" else None

    def _policy(self, candidates: DoubleArray | None) -> Policy:
        horizon = self.recipe.time_limit
        if self.agent is not None:
            return AgentPolicy(self.agent, candidates, horizon=horizon)
        drift = self.lanes.spec.drift_of(self.lanes.actions)
        return NoisePolicy(self.lanes.actions, horizon, self.recipe.policy, drift)

    def evaluate(
        self,
        episodes: Sequence[Episode],
        candidates: DoubleArray | None = None,
        *,
        time_limit: int | None = None,
        hopeless: int | None = None,
        listeners: Sequence[Listener] = (),
    ) -> list[EpisodeResult]:
        """Drive episodes; `Episode.candidate` is a row of `candidates` (N, P)."""
        with one_torch_thread():
            return drive(
                self.lanes,
                self._policy(candidates),
                episodes,
                time_limit=time_limit or self.recipe.time_limit,
                hopeless=hopeless,
                listeners=listeners,
            )

    def go(
        self,
        parameters: DoubleArray,
        spread: float,
        steps: int,
        *,
        anew: Sequence[int] | None,
        time_limit: int | None = None,
        hopeless: int | None = None,
        mirrored: bool = False,
    ) -> list[Stretch]:
        """Drive on on the road without end (`rollout.road`), a list of one stretch, as an executor wants it.

        Args:
            parameters: C's, flat (P,).
            spread: Of the noise on its outputs.
            steps: Of each lane.
            anew: Seeds of lanes to begin; None: the lanes that are there go on.
            time_limit, hopeless: When an episode of lanes that begin is over.
            mirrored: Half of the episodes of lanes that begin are in the mirror.

        Raises:
            WorkerError: there are no lanes to go on with; whoever had them died.
        """
        if self.agent is None:
            raise ConfigError("Only an agent goes on the road: give the recipe the policy 'agent'.")
        if anew is not None:
            wanted = replace(self.recipe, num_lanes=len(anew), mirrored=mirrored)
            if self._road_lanes is None or self._road_recipe != wanted:
                self._road_lanes, self._road_recipe = make_lanes(wanted), wanted
            limit = time_limit or self.recipe.time_limit
            self._road = Road(self._road_lanes, self.agent, anew, limit, hopeless)
        if self._road is None:
            raise WorkerError(
                "A worker died, and its lanes with it; start again, and the run goes on from its last generation."
            )
        with one_torch_thread():
            return [self._road.drive(parameters, spread, steps)]

    def collect(self, paths: Mapping[int, str], hopeless: int | None = None) -> list[EpisodeResult]:
        """Drive one episode a seed and write it to its path; a file is there whole or not at all."""

        made_with = told(self.recipe.env_kwargs)

        def save(result: EpisodeResult, rollout: Rollout) -> None:
            seed = result.episode.seed
            write_rollout(
                Path(paths[seed]),
                rollout,
                {
                    "env_id": self.lanes.spec.env_id,
                    "backend": self.lanes.backend,
                    "seed": seed,
                    "policy": self.recipe.policy,
                    "mirrored": self.recipe.mirrored and in_mirror(seed),
                    **({"env_kwargs": made_with} if made_with else {}),
                },
            )

        candidates = None
        if self.agent is not None and self.recipe.spread and self.recipe.logdir is not None:
            candidates = around(self.recipe.logdir, self.agent.controller, list(paths), self.recipe.spread)
        episodes = [Episode(0 if candidates is None else row, seed) for row, seed in enumerate(paths)]
        return self.evaluate(episodes, candidates, hopeless=hopeless, listeners=[Recorder(save)])

    def close(self) -> None:
        """Let the environments go."""
        self.lanes.close()
        if self._road_lanes is not None:
            self._road_lanes.close()
