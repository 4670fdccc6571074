"""One run of evolution: candidates driven, ranked, re-evaluated."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from world_models.configs.wm_config import WMControllerConfig
from world_models.executors.base import evaluate, experience
from world_models.executors.local import make_executor
from world_models.models.dream_rules import DreamRules
from world_models.report.episode import film
from world_models.rollout.population import neighbours
from world_models.rollout.recipe import DREAMS
from world_models.search.action_effects import with_action_effects
from world_models.search.algorithms.phase import GRADIENT
from world_models.search.algorithms.spaces import WhitenedSpace
from world_models.search.basis import STAGE, EvolutionBasis
from world_models.search.gradient_phase import GradientSearch
from world_models.search.settings import ControllerSettings
from world_models.search.setup import fit_space
from world_models.search.whitening import states_of_driving
from world_models.types import DoubleArray, Episode, EpisodeResult
from world_models.utils import run_dir
from world_models.utils.progress import Progress
from world_models.utils.run_settings import note_settings
from world_models.utils.seeding import derive_seed
from world_models.utils.tracking import tracked


class EvolutionRun(EvolutionBasis):
    """Ask, drive, tell, remember; `train` runs until a target or a budget is reached.

    Candidates are driven in the environment; `DreamRun` dreams them.
    """

    shard_size = 64  # episodes of a worker's job

    def __init__(self, config: WMControllerConfig, settings: ControllerSettings) -> None:
        super().__init__(config, settings)
        self.executor = make_executor(self.recipe, config.max_workers)

    def train(self) -> None:
        """Generations until the target return or a budget is reached."""
        done = self.state.generation
        if not done:
            self.log.rewind("generation", 0)
        asked = {**self.config.to_dict(), **asdict(self.settings)}
        note_settings(self.config.logdir, STAGE, asked, training=not self._over())
        if self._over():
            return
        self.budget.say(self.config.target_return)
        with (
            tracked(self.tracking, self.config.logdir, STAGE, done, asked) as self.tracker,
            Progress("C", None, "generation", enabled=self.config.display, initial=done) as progress,
        ):
            while not self._over():
                record = self._generation()
                self.tracker.scalars(self.state.generation, record)
                progress.expect(self.budget.expected_generations(self.state.spent))
                shown = {"mean": round(record["mean"], 1), "steps": record["env_steps"]}
                if math.isfinite(self.state.best_return):  # a first phase may leave that to the next
                    shown["best"] = round(self.state.best_return, 1)
                progress.update(1, **shown)
        self.budget.say_over(self.state.best_return >= self.config.target_return)

    def _over(self) -> bool:
        s, now = self.settings, self.state
        return (
            now.best_return >= self.config.target_return
            or (s.max_generations is not None and now.generation >= s.max_generations)
            or (now.last_phase and now.phase_over)
            or (s.max_seconds > 0 and now.seconds >= s.max_seconds)
        )

    def _generation(self) -> dict[str, Any]:
        now = self.state
        began = time.monotonic() - now.seconds
        leader, record = self._evolve()
        now.seconds = time.monotonic() - began  # a budget of time, too, ends with a re-evaluation
        phase_over = now.phase_over
        asked = now.generation % self.settings.eval_every == 0 or phase_over or self._over()
        if asked and not self._forgotten(phase_over):
            decisive = bool(self.settings.selection_episodes) and (phase_over or self._over())
            record |= self._choose(leader) if decisive else self._re_evaluate(leader)
        if phase_over and not now.last_phase:
            record |= self._next_phase()
        now.seconds = time.monotonic() - began
        record |= {**now.totals, "seconds": round(now.seconds, 3)}
        now.history.append(record)
        self._save()
        self.log.write(record)
        return record

    def _forgotten(self, phase_over: bool) -> bool:
        """Whether the first phase leaves nothing behind, as the next begins anew: nobody asks what it has come to."""
        now = self.state
        return phase_over and not now.phase and not now.last_phase and self.settings.phases[0].from_scratch

    def _next_phase(self) -> dict[str, Any]:
        """From the best point, in a new space where the phase wants one; what the log says of it."""
        now, s = self.state, self.settings
        number = now.phase + 1
        facts: dict[str, Any] = {}
        if s.phases[number - 1].components or s.phases[number - 1].search == GRADIENT:
            best, facts = self._ascended(now.space.to_parameters(now.best_point), number)
            start = now.origin if s.phases[number - 1].from_scratch else best
            now.space = self._space_about(start, number)
            now.best_point = now.space.to_point(best) if start is now.origin else np.zeros(now.space.size)
        now.begin_phase(number, now.best_point, now.generation)
        return facts

    def _ascended(self, best: DoubleArray, number: int) -> tuple[DoubleArray, dict[str, Any]]:
        """Where a phase begins: at the best controller (P,), or up the gradient from it where the run has one."""
        return best, {}

    def _space_about(self, best: DoubleArray, number: int) -> WhitenedSpace:
        phase, states = self.settings.phases[number - 1], self._states_about(best, number)
        if phase.search == GRADIENT:
            return WhitenedSpace.of_entries(states, self.template.action_size, self.settings.bias, best)
        wanted = replace(self.settings, components=phase.components)
        space = fit_space(states, wanted, self.template, best).with_gains()
        return self._asked(space, best, number, phase.action_effect_states) if phase.action_effect_states else space

    def _asked(self, space: WhitenedSpace, best: DoubleArray, number: int, asked: int) -> WhitenedSpace:
        """The space with the directions that M foresees to matter; what is dreamed for it counts as no step."""
        dreamers = make_executor(self._dream_recipe(DreamRules(), DREAMS), self.config.max_workers)
        try:
            return with_action_effects(space, dreamers, best, asked, partial(self._seed, "foreseen", number))[0]
        finally:
            dreamers.close()

    def _states_about(self, best: DoubleArray, number: int) -> npt.NDArray[np.float32]:
        """What the best controller's neighbours see as they drive (n, D)."""
        now = self.state
        seeds = [self._seed("whitening", number, i) for i in range(self.settings.whitening_episodes)]
        drivers = neighbours(now.space, best, seeds, now.search.sigma)
        states, results = states_of_driving(self.recipe, drivers, seeds, self.settings.use_hidden)
        now.count(results)
        return states

    def _evolve(self) -> tuple[DoubleArray, dict[str, Any]]:
        """One generation of candidates, driven and ranked; the best of them and what the log says of it."""
        now, generation, search = self.state, self.state.generation, self.state.search
        if isinstance(search, GradientSearch):
            return self._learn(search)
        points = search.ask()
        horizon, samples = now.horizon, now.samples.now
        fresh = [self._seed("track", generation, sample) for sample in range(samples)]
        tracks = now.tracks.choose(fresh, self._seed("replay", generation))
        results = self._drive(
            self._episodes(tracks, len(points)),
            now.space.to_parameters(points),
            horizon,
            self.settings.early_termination or None,
        )
        each = np.array([r.expected_return(horizon) for r in results]).reshape(samples, -1)
        returns = self._fitness(each)
        search.tell(points, returns)
        now.means.add(search.mean)
        now.tracks.tell(tracks, each)
        f = now.samples.tell(each)
        now.lengthen(results)
        return points[int(returns.argmax())], {
            "generation": generation + 1,
            "best": float(returns.max()),
            "mean": float(returns.mean()),
            "std": float(returns.std()),
            "sigma": now.search.sigma,
            "horizon": horizon,
            "samples": samples,
            "f": f if math.isfinite(f) else None,
        }

    def _learn(self, search: GradientSearch) -> tuple[DoubleArray, dict[str, Any]]:
        """One generation of C's own driving, and what it learns of it."""
        now, generation, returns = self.state, self.state.generation, list[float]()
        seeds: list[int] | None = [self._seed("lane", generation, lane) for lane in range(search.pop_size)]
        limits: dict[str, Any] = {
            "time_limit": self.config.time_limit,
            "early_termination": self.settings.early_termination or None,
        }
        for _ in range(search.updates):
            parameters = now.space.to_parameters(search.mean)
            noisy = parameters, search.sigma, search.steps
            found = experience(self.executor, *noisy, seeds, mirrored=search.mirrored, **limits)
            seeds = None  # the lanes that are there go on
            search.learn(found, now.share_of_phase)
            returns += found.returns
            now.totals["episodes"] += len(found.returns)
            now.totals["env_steps"] += search.steps * search.pop_size
        now.means.add(search.mean)
        return search.mean, {
            "generation": generation + 1,
            "best": max(returns, default=math.nan),
            "mean": float(np.mean(returns)) if returns else math.nan,
            "std": float(np.std(returns)) if returns else math.nan,
            "sigma": search.sigma,
            "horizon": self.config.time_limit,
            "samples": 1,
            "f": None,
        }

    def _episodes(self, tracks: list[int], candidates: int) -> list[Episode]:
        """What a generation drives, track after track: each candidate the same, or one of its own in its place.

        A pair is compared with itself alone: it has its own, and a generation drives more of them.
        """
        if self.state.search.paired:
            return [Episode(k, derive_seed(t, k % (candidates // 2))) for t in tracks for k in range(candidates)]
        own = not self.settings.common_random_numbers
        return [Episode(k, derive_seed(t, k) if own else t) for t in tracks for k in range(candidates)]

    def _fitness(self, returns: DoubleArray) -> DoubleArray:
        """What a candidate (N,) is worth by its returns (S, N)."""
        mean: DoubleArray = returns.mean(0)
        return mean

    def _drive(
        self, episodes: list[Episode], parameters: DoubleArray, horizon: int, early_termination: int | None
    ) -> list[EpisodeResult]:
        limits: Any = {"time_limit": horizon, "early_termination": early_termination}
        results = evaluate(self.executor, episodes, parameters, shard_size=self.shard_size, **limits)
        self.state.count(results)
        return results

    def _re_evaluate(self, leader: DoubleArray) -> dict[str, Any]:
        """The distribution's mean, the generation's best and the recent means' average, on tracks of their own.

        Evolution never drives these tracks. The best so far is what the run gives, and where a phase begins.
        """
        now = self.state
        points = np.stack([now.search.mean, leader, now.means.average])
        returns = self._returns_of(now.space.to_parameters(points), "re-evaluation", self.settings.eval_episodes)
        self._keep_best(points, returns)
        return self._summary(returns)

    def _choose(self, leader: DoubleArray) -> dict[str, Any]:
        """The same three and the best so far, on more tracks, which none has driven: the best of these is kept.

        What was the best of many re-evaluations owes that to luck as well; here all have the same chance.
        """
        now = self.state
        points = np.stack([now.search.mean, leader, now.means.average, now.best_point])
        parameters, count = now.space.to_parameters(points), self.settings.selection_episodes
        returns = self._returns_of(parameters, "choice", count, now.phase)
        now.best_return = -np.inf
        self._keep_best(points, returns)
        return self._summary(returns) | {"eval_best": float(returns[3].mean())}

    def _returns_of(self, parameters: DoubleArray, purpose: str, count: int, *parts: int) -> DoubleArray:
        """Returns (K, count) of K controllers (K, P), to the end of each episode."""
        seeds = [self._seed(purpose, *parts, i) for i in range(count)]
        # Who is there twice drives once: a gradient's leader is its mean.
        distinct, places = np.unique(parameters, axis=0, return_inverse=True)
        episodes = [Episode(k, seed) for k in range(len(distinct)) for seed in seeds]
        results = self._drive(episodes, distinct, self.config.time_limit, None)
        self._film(parameters[0], seeds[0])
        returns = np.array([r.episode_return for r in results]).reshape(len(distinct), -1)
        return np.asarray(returns[places.ravel()])

    def _keep_best(self, points: DoubleArray, returns: DoubleArray) -> None:
        means, now = returns.mean(1), self.state
        first = int(means.argmax())
        if means[first] > now.best_return:
            now.best_return, now.best_point = float(means[first]), points[first]
            self._write_best(now.space.to_parameters(points[first]))

    def _write_best(self, parameters: DoubleArray) -> None:
        run_dir.save_checkpoint(self.best_path, self._facts(parameters) | {"return_mean": self.state.best_return})

    def _summary(self, returns: DoubleArray) -> dict[str, Any]:
        mean, leader, average = (float(each.mean()) for each in returns[:3])
        return {
            "eval_mean": mean,
            "eval_std": float(returns[0].std()),
            "eval_leader": leader,
            "eval_average": average,
            "best_so_far": float(self.state.best_return),
        }

    def _film(self, mean: DoubleArray, seed: int) -> None:
        """Every `film_every` re-evaluations, the distribution's mean on the first track, for the trackers."""
        every = self.settings.film_every * self.settings.eval_every
        if every and self.state.generation % every == 0 and self.recipe.world == "environment":
            episode = film(self.recipe, seed, mean, time_limit=self.config.time_limit)
            self.tracker.film("driving", self.state.generation, episode.rollout.observations[::4])

    def close(self) -> None:
        """Let the workers go."""
        self.executor.close()
