"""What stage C is told beyond the documented fields of its config (`config.extra`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from world_models.configs.wm_config import WMControllerConfig
from world_models.envs.choices import Backend
from world_models.envs.env_kwargs import parse_env_kwargs
from world_models.search.algorithms.phase import LearningRate, Phase
from world_models.typed import About, Count, Finite, Number, Share, Whole, read


@dataclass(frozen=True)
class ControllerSettings:
    """Stage C's further settings."""

    seed: Annotated[Whole, About("of the search, its episodes and the whitening's")] = 0
    backend: Annotated[Backend, About("who draws and steps the environment")] = "auto"
    device: Annotated[str, About("of V and M while driving")] = "cpu"
    # -- the search
    sigma: Annotated[Number, About("CMA-ES's first step size; 0: 0.2 in a whitened space, else 0.1")] = 0.0
    mean_learning_rate: Annotated[LearningRate, About("CMA-ES's learning rate of the mean, c_m")] = 1.0
    initial_bias: Annotated[
        tuple[Finite, ...], About("C's bias in the first mean, before squashing, one an action; []: zeros")
    ] = ()
    max_samples: Annotated[
        Whole, About("episodes a candidate may come to need, from n_samples on; 0: n_samples stays", "episodes")
    ] = 0
    target_f_statistic: Annotated[
        Number, About("episodes a candidate grow while the F statistic of a generation is below this")
    ] = 2.0
    common_random_numbers: Annotated[
        bool, About("a generation's candidates drive the same episodes; false: each its own, for comparison")
    ] = True
    replay_fraction: Annotated[
        Share, About("share of a generation's episodes that are earlier ones on which candidates differed much")
    ] = 0.0
    phases: Annotated[tuple[Phase, ...], About("phases after max_env_steps; each begins at the best controller")] = ()
    # -- the space it searches
    components: Annotated[
        Whole, About("whitened principal components of [z, h] to search in; 0: C's own parameters", "components")
    ] = 0
    whitening_episodes: Annotated[
        Count, About("of correlated noise, from which the components are computed", "episodes")
    ] = 24
    standardized: Annotated[bool, About("entries of [z, h] are standardized before the components are computed")] = (
        False
    )
    whitening_rollouts: Annotated[
        str, About("folder of an agent's rollouts from which the components are computed instead")
    ] = ""
    refit_from: Annotated[
        str, About("run whose controller is refitted to this V and M on whitening_rollouts and searched around")
    ] = ""
    warm_start: Annotated[
        str, About("run of this very V and M whose controller is searched around, in that run's space")
    ] = ""
    # -- episodes
    early_termination: Annotated[
        Whole, About("a candidate's episode ends after so many without a positive reward; 0: never", "steps")
    ] = 0
    initial_horizon: Annotated[Whole, About("length of the first episodes; 0: time_limit at once", "steps")] = 0
    horizon_growth: Annotated[Number, About("of the horizon, once most episodes last as long, up to time_limit")] = 1.25
    num_lanes: Annotated[Count, About("at once in a worker", "episodes")] = 16
    env_kwargs: Annotated[Mapping[str, Any], About("what the environment is made with")] = field(default_factory=dict)
    # -- budgets and evaluations
    max_generations: Annotated[Count | None, About("budget; null: none", "generations")] = None
    max_env_steps: Annotated[Count | None, About("budget of the first phase; null: none", "environment steps")] = None
    max_seconds: Annotated[
        Number, About("budget; 0: none; where it ends a run, the result depends on the machine's speed", "s")
    ] = 0.0
    eval_every: Annotated[Count, About("between re-evaluations of the mean and the best candidate", "generations")] = 10
    eval_episodes: Annotated[Count, About("of a re-evaluation", "episodes")] = 8
    selection_episodes: Annotated[
        Whole, About("by which a phase's best is selected at its end; 0: the best re-evaluation", "episodes")
    ] = 0
    film_every: Annotated[Whole, About("between two films in TensorBoard; 0: no film", "re-evaluations")] = 0
    # -- the controller
    hidden_layers: Annotated[tuple[Count, ...], About("of an MLP; []: linear", "units")] = ()
    use_hidden: Annotated[bool, About("C sees M's hidden state h beside z")] = True
    use_cell: Annotated[bool, About("C sees M's cell state c as well")] = False
    bias: Annotated[bool, About("C has biases")] = True
    sample_latents: Annotated[bool, About("C sees a sampled z instead of its mean")] = False
    noreload: Annotated[bool, About("start anew, whatever lies in logdir")] = False

    @classmethod
    def from_config(cls, config: WMControllerConfig) -> ControllerSettings:
        """Read and check them. Raises ConfigError with every field that cannot work."""
        made_with = parse_env_kwargs(config.extra.get("env_kwargs"))
        return read(cls, {**config.extra, "env_kwargs": made_with}, others=True)

    @property
    def initial_sigma(self) -> float:
        """The first step size that is really used."""
        return self.sigma or (0.2 if self.components else 0.1)

    def problems(self) -> Iterator[str]:
        """Which settings contradict each other."""
        if self.phases and self.max_env_steps is None:
            yield "phases needs max_env_steps, the budget of the phase before them; it is None"
        if any(phase.components for phase in self.phases) and not self.components:
            yield "phases has components, a new whitened space, and the first phase has none: set components"
        if self.components and self.hidden_layers:
            yield (
                f"components={self.components} needs a linear controller, and hidden_layers is "
                f"{self.hidden_layers}: set one of them to nothing"
            )
        if self.use_cell and not self.use_hidden:
            yield "use_cell is True and use_hidden False: c is seen only where h is; set use_hidden=True"
        if self.initial_bias and not self.bias:
            yield (
                f"initial_bias is {self.initial_bias} and bias False: there is no bias to begin with; leave one of "
                "them out"
            )
        replayed = [self.replay_fraction, *(phase.replay_fraction for phase in self.phases)]
        if not self.common_random_numbers and any(replayed):
            yield "common_random_numbers is False and episodes are replayed: only shared ones tell candidates apart"
        yield from self._problems_of_origin()

    def _problems_of_origin(self) -> Iterator[str]:
        if self.refit_from and not (self.components and self.whitening_rollouts and not self.initial_bias):
            yield (
                f"refit_from={self.refit_from!r} needs components and whitening_rollouts (a folder), and no "
                f"initial_bias: components is {self.components}, whitening_rollouts {self.whitening_rollouts!r}, "
                f"initial_bias {self.initial_bias}"
            )
        if self.warm_start and (not self.components or self.refit_from or self.initial_bias):
            yield (
                f"warm_start={self.warm_start!r} needs components, and neither refit_from nor initial_bias: they are "
                f"{self.components}, {self.refit_from!r} and {self.initial_bias}"
            )
