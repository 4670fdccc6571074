"""What evolution stands on before anything is driven: recipe, search space, seeds, the checkpoint it goes on from."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from world_models.configs.wm_config import WMControllerConfig
from world_models.datasets.dream_starts import load_starts, starts_path
from world_models.envs.contract.probe import check_environment
from world_models.envs.env_kwargs import named
from world_models.envs.registry import canonical_id, env_spec
from world_models.errors import CheckpointError
from world_models.models.controller import flatten_parameters, load_parameters
from world_models.models.dream_rules import DreamRules
from world_models.rollout.recipe import Recipe, choose_backend, dream_recipe
from world_models.search.algorithms.spaces import PlainSpace, Space, space_from_state_dict
from world_models.search.budget import Budget
from world_models.search.settings import ControllerSettings
from world_models.search.setup import driving_space, first_mean, fit_space, make_template
from world_models.search.state import EvolutionState
from world_models.search.suitability import check_search, state_size
from world_models.search.warm_start import warm_space
from world_models.search.whitening import states_of_noise
from world_models.types import DoubleArray
from world_models.utils import run_dir
from world_models.utils.seeding import derive_seed
from world_models.utils.tracking import Tracker, Tracking

STAGE = "ctrl"


class EvolutionBasis:
    """A run of evolution before it runs: its recipe, search space, seeds, and the checkpoint it goes on from."""

    trained_in = "reality"

    def __init__(self, config: WMControllerConfig, settings: ControllerSettings) -> None:
        self.config = config
        self.settings = settings
        self.env_id = canonical_id(config.env_name)
        if any(phase.action_effect_states for phase in settings.phases):
            load_starts(starts_path(config.logdir))  # where M is asked: refused before anything is started
        self.tracking = Tracking.from_extra(config.extra)
        self.tracker: Tracker
        steps = settings.max_env_steps
        steps = None if steps is None else steps + sum(phase.env_steps for phase in settings.phases)
        self.budget = Budget(settings.max_generations, steps, settings.max_seconds)
        self.best_path = run_dir.best_path(config.logdir, STAGE)
        self.checkpoint_path = run_dir.checkpoint_path(config.logdir, STAGE)
        self.log = run_dir.JsonlLog(run_dir.log_path(config.logdir, STAGE))
        self.template = make_template(config, settings)
        self._check_search()
        saved = self._saved()
        self.recipe = self._make_recipe()
        space = space_from_state_dict(saved["space"]) if saved else self._make_space()
        start = first_mean(space, self.template, settings, self._seed("first mean"))
        self.state = EvolutionState(config, settings, space, start, self._seed)
        if saved:
            self.state.load_state_dict(saved, str(self.checkpoint_path))
            self.log.rewind("generation", self.state.generation)

    def _check_search(self) -> None:
        template, limit = self.template, self.config.time_limit
        seen = state_size(self.settings, template.latent_size, template.hidden_size)
        spec = env_spec(self.env_id, self.settings.env_kwargs)
        check_search(self.settings, spec, template.action_size, seen, limit, self.trained_in)

    def _check_environment(self, backend: str) -> None:
        """Raises WorldModelsError where the environment cannot be driven, or not by C."""
        found = check_environment(self.env_id, self.settings.env_kwargs, backend)
        if found.action_size != self.config.action_size:
            raise CheckpointError(
                f"M in {self.config.logdir} was trained with {self.config.action_size} actions, "
                f"{named(self.env_id, self.settings.env_kwargs)} has {found.action_size}: name the environment that "
                "its data are of (env_name, env_kwargs)."
            )

    def _make_recipe(self) -> Recipe:
        backend = choose_backend(self.env_id, self.settings.backend, self.settings.env_kwargs)
        self._check_environment(backend)
        s = self.settings
        return Recipe(
            self.env_id, backend, num_lanes=s.num_lanes, sample_latents=s.sample_latents, **self._shared_recipe()
        )

    def _dream_recipe(self, rules: DreamRules, lanes: int) -> Recipe:
        return dream_recipe(self.env_id, rules=rules, num_lanes=lanes, **self._shared_recipe())

    def _shared_recipe(self) -> dict[str, Any]:
        s = self.settings
        return {
            "logdir": str(self.config.logdir),
            "device": s.device,
            "time_limit": self.config.time_limit,
            "hidden_layers": s.hidden_layers,
            "use_hidden": s.use_hidden,
            "use_cell": s.use_cell,
            "bias": s.bias,
            "env_kwargs": s.env_kwargs,
        }

    def _make_space(self) -> Space:
        parameters = len(flatten_parameters(self.template.parameters()))
        if not self.settings.components:
            return PlainSpace(parameters)
        if self.settings.warm_start:
            return warm_space(self.config.logdir, self.settings.warm_start, self.template)
        if self.settings.whitening_rollouts:
            return driving_space(self.config.logdir, self.env_id, self.settings, self.template)
        return fit_space(self._states(), self.settings, self.template)

    def _states(self) -> npt.NDArray[np.float32]:
        """What C may see (n, D), for the space to be whitened with."""
        seeds = [self._seed("whitening", i) for i in range(self.settings.whitening_episodes)]
        return states_of_noise(self.recipe, seeds, self.settings.use_hidden)

    def _seed(self, *parts: str | int) -> int:
        return derive_seed("controller", self.settings.seed, *parts)

    # -- the checkpoint ------------------------------------------------------------------------------

    def _saved(self) -> dict[str, Any] | None:
        if self.settings.noreload or not self.checkpoint_path.is_file():
            return None
        saved = run_dir.load_checkpoint(self.checkpoint_path)
        if "search" not in saved:
            raise CheckpointError(f"{self.checkpoint_path} holds no evolution: move it away, or use --noreload.")
        mine, theirs = (self.env_id, self.settings.env_kwargs), (saved["env_name"], saved.get("env_kwargs", {}))
        if mine != theirs:
            raise CheckpointError(
                f"{self.checkpoint_path} was evolved on {named(*theirs)}, and env_name is {named(*mine)}: "
                "name another logdir, or start anew with --noreload."
            )
        self._check_origin(saved)
        for name, mine in self.template.settings.items():
            if saved.get(name, mine) != mine:
                raise CheckpointError(
                    f"{self.checkpoint_path} has {name}={saved[name]}, V and M in {self.config.logdir} give {mine}: "
                    "move it away, or start anew with --noreload."
                )
        return saved

    def _check_origin(self, saved: dict[str, Any]) -> None:
        """Raises CheckpointError where `saved` was not evolved as this run evolves."""
        found = saved.get("trained_in", "reality")
        if found != self.trained_in:
            raise CheckpointError(
                f"{self.checkpoint_path.parent} was evolved in {found}, and this is evolution in {self.trained_in}: "
                "name another folder, or start anew with --noreload."
            )

    def _facts(self, parameters: DoubleArray) -> dict[str, Any]:
        load_parameters(parameters, self.template)
        return {
            "state_dict": self.template.state_dict(),
            **self.template.settings,
            "trained_in": self.trained_in,
            "env_name": self.env_id,
            "env_kwargs": dict(self.settings.env_kwargs),
            "backend": self.recipe.backend,
            "sample_latents": self.settings.sample_latents,
            "generation": self.state.generation,
            "env_steps": self.state.totals["env_steps"],
        }

    def _save(self) -> None:
        mean = self.state.space.to_parameters(self.state.search.mean)
        run_dir.save_checkpoint(self.checkpoint_path, self._facts(mean) | self.state.state_dict())
