"""Where a run of evolution stands: everything that its next generation depends on, and nothing else."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from world_models import budgets
from world_models.configs.wm_config import WMControllerConfig
from world_models.errors import CheckpointError
from world_models.search.algorithms.cma_es import CmaEs
from world_models.search.algorithms.episode_choice import TrackPool
from world_models.search.algorithms.episodes_per_candidate import SampleSize
from world_models.search.algorithms.pgpe import Pgpe
from world_models.search.algorithms.phase import GRADIENT, Phase
from world_models.search.algorithms.phases import SEARCHES, RecentMeans
from world_models.search.algorithms.spaces import Space, WhitenedSpace
from world_models.search.budget import Spent
from world_models.search.gradient_phase import GradientSearch
from world_models.search.settings import ControllerSettings
from world_models.types import DoubleArray, EpisodeResult


class EvolutionState:
    """The search of the phase it is in, what it has cost, the best point so far.

    Args:
        config, settings: Of the run.
        space: Searched in.
        start: The first phase's first mean, (P,).
        seed: Gives a seed for each purpose.
    """

    def __init__(
        self,
        config: WMControllerConfig,
        settings: ControllerSettings,
        space: Space,
        start: DoubleArray,
        seed: Callable[..., int],
    ) -> None:
        self.config, self.settings, self.space, self._seed = config, settings, space, seed
        self.history: list[dict[str, Any]] = []
        self.totals: dict[str, int] = {"episodes": 0, "env_steps": 0}
        self.seconds = 0.0
        self.best_return = -np.inf
        self.horizon = min(settings.initial_horizon or config.time_limit, config.time_limit)
        self.origin = space.to_parameters(start)
        self.begin_phase(0, start)
        self.best_point = self.search.mean

    def begin_phase(self, number: int, start: DoubleArray, generations: int = 0) -> None:
        """A fresh search about `start`, phase 0 with the config's own settings; `generations` are behind it."""
        c, s = self.config, self.settings
        first = Phase(s.initial_sigma, c.pop_size, c.n_samples, 0, s.mean_learning_rate, s.replay_fraction)
        phase = s.phases[number - 1] if number else first
        seed = self._seed("phase", number) if number else s.seed
        self.phase, self.earlier, self.begun_at = number, generations, self.totals["env_steps"]
        self.search: CmaEs | Pgpe | GradientSearch
        if phase.search == GRADIENT:
            assert isinstance(self.space, WhitenedSpace)
            self.search = GradientSearch(self.space, phase, seed)
        else:
            self.search = SEARCHES[phase.search](start, phase.sigma, phase.pop_size, seed, phase.mean_learning_rate)
        self.samples = SampleSize(phase.samples, s.max_samples, s.target_f_statistic)
        self.tracks = TrackPool(phase.replay_fraction)
        self.means = RecentMeans()

    @property
    def generation(self) -> int:
        """How many generations have been told, of all phases."""
        return self.earlier + self.search.generation

    @property
    def spent(self) -> Spent:
        """What the run has cost so far."""
        return Spent(self.generation, self.totals["env_steps"], self.seconds)

    @property
    def last_phase(self) -> bool:
        """Whether no other phase comes after the one it is in."""
        return self.phase == len(self.settings.phases)

    @property
    def phase_over(self) -> bool:
        """Whether the budget of the phase, and of those before it, is spent."""
        if self.search.generation >= budgets.at_most("phase_generations", sys.maxsize):
            return True
        return self.settings.max_env_steps is not None and self.totals["env_steps"] >= self._steps_to(self.phase)

    def _steps_to(self, phase: int) -> int:
        """The budget of a phase and of those before it."""
        s = self.settings
        return (s.max_env_steps or 0) + sum(each.env_steps for each in s.phases[:phase])

    @property
    def share_of_phase(self) -> float:
        """How much of what was left for a phase after the first, when it began, is spent."""
        left = max(1, self._steps_to(self.phase) - self.begun_at)
        return min(1.0, (self.totals["env_steps"] - self.begun_at) / left)

    def count(self, results: list[EpisodeResult]) -> None:
        """Add episodes to what the run has cost."""
        self.totals["episodes"] += len(results)
        self.totals["env_steps"] += sum(r.steps for r in results)

    def lengthen(self, results: list[EpisodeResult]) -> None:
        """Longer episodes once most candidates drive to the end of these."""
        lasted = np.mean([r.ended_by != "hopeless" for r in results])
        if lasted > 0.5:
            self.horizon = min(self.config.time_limit, int(self.horizon * self.settings.horizon_growth) + 1)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint needs to go on with exactly the same generations."""
        return {
            "search": self.search.state_dict(),
            "phase": self.phase,
            "earlier": self.earlier,
            "begun_at": self.begun_at,
            "means": np.stack(self.means.means) if self.means.means else np.zeros((0, self.space.size)),
            "best_point": self.best_point,
            "origin": self.origin,
            "space": self.space.state_dict(),
            "totals": self.totals,
            "seconds": self.seconds,
            "best_return": float(self.best_return),
            "horizon": self.horizon,
            "samples": self.samples.state_dict(),
            "tracks": self.tracks.state_dict(),
            "history": self.history,
        }

    def load_state_dict(self, saved: Mapping[str, Any], origin: str) -> None:
        """Take up where `saved` was taken.

        Args:
            saved: Of `state_dict`, in the same space.
            origin: Its file, for the error.

        Raises:
            CheckpointError: it is in a phase that the settings do not have.
        """
        number = int(saved.get("phase", 0))
        if number > len(self.settings.phases):
            raise CheckpointError(
                f"{origin} is in phase {number + 1} of its evolution, and the settings have "
                f"{len(self.settings.phases) + 1}: resume with the same settings, or start anew with --noreload."
            )
        if number:
            self.begin_phase(number, np.asarray(saved["search"]["start"]), int(saved["earlier"]))
        self.search.load_state_dict(saved["search"])
        self.means = RecentMeans(list(np.asarray(saved["means"]))) if "means" in saved else self.means
        self.best_point = np.asarray(saved["best_point"]) if "best_point" in saved else self.search.mean
        self.origin = np.asarray(saved["origin"]) if "origin" in saved else self.origin
        self.totals = dict(saved["totals"])
        self.begun_at = int(saved.get("begun_at", 0))
        self.seconds = float(saved["seconds"])
        self.best_return = float(saved["best_return"])
        self.horizon = int(saved["horizon"])
        self.samples.load_state_dict(saved["samples"])
        if "tracks" in saved:
            self.tracks.load_state_dict(saved["tracks"])
        self.history = list(saved["history"])
