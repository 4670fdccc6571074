"""Evolution inside the dream (Ha & Schmidhuber 2018, section 4.2): the same search, its candidates dreamed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from world_models.configs.wm_config import WMControllerConfig
from world_models.datasets.dream_starts import DreamStarts, load_starts, starts_path
from world_models.errors import CheckpointError
from world_models.models.dream_rules import DreamRules
from world_models.models.load import load_cell
from world_models.models.mdrnn import MDRNNCell
from world_models.rollout.driver import Driver, Recipe
from world_models.search.action_effects import with_action_effects
from world_models.search.algorithms.spaces import WhitenedSpace
from world_models.search.ascent import ascend
from world_models.search.run import EvolutionRun
from world_models.search.settings import ControllerSettings
from world_models.types import DoubleArray, Episode, EpisodeResult
from world_models.utils import run_dir
from world_models.utils.progress import Progress


class DreamRun(EvolutionRun):
    """Evolution in M: nothing of the environment is used but its action space.

    Its logs and checkpoints are those of any evolution; `env_steps` counts dreamed steps, and `clamped` the
    entries of dreamed latents that had left the data's range.

    Args:
        config: As for evolution in reality.
        settings: The same; those of real episodes (backend, whitening_episodes) mean nothing here.
        rules: How to dream.
        pessimism: Standard deviations over a candidate's dreams by which its mean return is lowered: evolution
            finds what exploits M, and that seldom works in every dream.
    """

    trained_in = "dream"

    def __init__(
        self, config: WMControllerConfig, settings: ControllerSettings, rules: DreamRules, pessimism: float = 0.0
    ) -> None:
        self.rules, self.pessimism = rules, pessimism
        self.shard_size = settings.num_lanes
        super().__init__(config, settings)

    def _make_recipe(self) -> Recipe:
        return self._dream_recipe(self.rules, self.settings.num_lanes)

    def _states(self) -> npt.NDArray[np.float32]:
        states = states_of_starts(load_cell(self.config.logdir), load_starts(starts_path(self.config.logdir)))
        template = self.template
        memories = 0 if not template.hidden_size else 2 if template.use_cell else 1
        return states[:, : template.latent_size + memories * template.hidden_size]

    def _states_about(self, best: DoubleArray, number: int) -> npt.NDArray[np.float32]:
        return self._states()  # real ones: what is seen in a dream is M's own

    def _asked(self, space: WhitenedSpace, best: DoubleArray, number: int, asked: int) -> WhitenedSpace:
        wider, steps = with_action_effects(space, self.executor, best, asked, partial(self._seed, "foreseen", number))
        self.state.totals["env_steps"] += steps
        return wider

    def _ascended(self, best: DoubleArray, number: int) -> tuple[DoubleArray, dict[str, Any]]:
        """`best`, or where the gradient leads to from it, whichever is worth more in dreams that neither has seen."""
        steps = self.settings.phases[number - 1].gradient_steps
        if not steps:
            return best, {}
        both = np.stack([best, self._higher(best, number, steps)])
        count = self.settings.selection_episodes or self.settings.eval_episodes
        before, after = self._returns_of(both, "ascent", count, number).mean(1).tolist()
        if after > before:
            self.state.best_return = after
            self._write_best(both[1])
        return both[int(after > before)], {"before_gradient": before, "after_gradient": after}

    def _higher(self, best: DoubleArray, number: int, steps: int) -> DoubleArray:
        with Progress("C's gradient", steps, "step", enabled=self.config.display) as progress:

            def progressed(done: int, reward: float, ends: float) -> None:
                shown = {"reward": round(reward, 3), "ends_a_thousand": round(1000 * ends, 2)}
                progress.update(done - progress.done, **shown)

            seed = self._seed("ascent", number)
            higher, dreamed = ascend(Driver(self.recipe), seed, steps, best, progressed=progressed)
            progress.update(dreamed - progress.done)
        self.state.totals["env_steps"] += dreamed
        return higher

    def _saved(self) -> dict[str, Any] | None:
        """What to go on from; a controller that was evolved otherwise is not overwritten."""
        if not self.settings.noreload and self.best_path.is_file():
            self._check_origin(run_dir.load_checkpoint(self.best_path))
        return super()._saved()

    def _check_origin(self, saved: Mapping[str, Any]) -> None:
        super()._check_origin(dict(saved))
        mine = self._dream_facts()
        other = [name for name, value in mine.items() if saved.get(name, value) != value]
        if other:
            name = other[0]
            raise CheckpointError(
                f"{self.checkpoint_path.parent} was dreamed with {name}={saved[name]}, and this is with "
                f"{mine[name]}: name another folder (--out), or start anew with --noreload."
            )

    def _dream_facts(self) -> dict[str, Any]:
        return {f"dream_{name}": value for name, value in asdict(self.rules).items()} | {
            "dream_pessimism": self.pessimism
        }

    def _facts(self, parameters: DoubleArray) -> dict[str, Any]:
        return super()._facts(parameters) | self._dream_facts()

    def _fitness(self, returns: DoubleArray) -> DoubleArray:
        lowered: DoubleArray = super()._fitness(returns) - self.pessimism * returns.std(0)
        return lowered

    def _drive(
        self, episodes: list[Episode], parameters: DoubleArray, horizon: int, early_termination: int | None
    ) -> list[EpisodeResult]:
        results = super()._drive(episodes, parameters, horizon, early_termination)
        totals = self.state.totals
        totals["clamped"] = totals.get("clamped", 0) + sum(r.clamped for r in results)
        return results


@torch.inference_mode()
def states_of_starts(cell: MDRNNCell, starts: DreamStarts) -> npt.NDArray[np.float32]:
    """[z, h, c] (n, Z + 2 R) on the real sequences that dreams may begin after.

    The first quarter of each is left out: M is still new to it.
    """
    mu, actions = torch.from_numpy(starts.warm_mu), torch.from_numpy(starts.warm_actions)
    h, c = cell.get_init_hidden(len(mu))
    states = []
    for t in range(mu.shape[1]):
        if t >= mu.shape[1] // 4:
            states.append(torch.cat([mu[:, t], h, c], -1))
        h, c = cell.next_hidden(actions[:, t], mu[:, t], (h, c))
    return torch.cat(states).numpy()
