"""The settings of a phase of stage C after its first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le

from world_models.typed import About, Count, Number, Positive, Share, Whole

GRADIENT = "gradient"  # follows C's own steps and not candidates (`search.gradient_phase`)
_OF_GRADIENT = ("early_termination_penalty", "delayed_actions", "mirrored", "from_scratch")

LearningRate = Annotated[float, Gt(0), Le(1)]


@dataclass(frozen=True)
class Phase:
    """A phase after the first: the search begins again from the best controller so far."""

    sigma: Annotated[Positive, About("first step size; of a gradient, the standard deviation of its action noise")]
    pop_size: Annotated[int, Ge(2), About("population size", "candidates")]
    samples: Annotated[Count, About("evaluations of a candidate", "episodes")]
    env_steps: Annotated[Count, About("budget", "environment steps")]
    mean_learning_rate: Annotated[
        LearningRate,
        About("learning rate of the mean (CMA-ES's c_m); of a gradient, a factor on its learning rate"),
    ] = 1.0
    replay_fraction: Annotated[
        Share, About("share of a generation's episodes that are earlier ones on which candidates differed much")
    ] = 0.0
    components: Annotated[
        Whole, About("of a new whitened space about the best controller; 0: the space stays", "components")
    ] = 0
    action_effect_states: Annotated[
        Whole,
        About("states from which M is asked what each action leads to; the space has those directions as well"),
    ] = 0
    gradient_steps: Annotated[
        Whole, About("in a dream: steps of the policy gradient before the phase; 0: none", "dreamed steps")
    ] = 0
    search: Annotated[
        Literal["cma-es", "pgpe", "gradient"], About("cma-es, pgpe, or the policy gradient (PPO) in the environment")
    ] = "cma-es"
    early_termination_penalty: Annotated[
        Number, About("of a gradient: what an episode costs that is terminated early", "reward")
    ] = 0.0
    delayed_actions: Annotated[
        tuple[Whole, ...], About("of a gradient: indices of actions that are learned after the others")
    ] = ()
    mirrored: Annotated[bool, About("of a gradient: half of the episodes are mirrored")] = False
    from_scratch: Annotated[bool, About("of a gradient: it begins where the run did, not at the best controller")] = (
        False
    )

    def problems(self) -> Iterator[str]:
        """Which settings contradict each other."""
        gradient = self.search == GRADIENT
        if gradient and (self.components or self.action_effect_states or self.replay_fraction):
            yield (
                "search gradient has a space of its own and drives new episodes; leave out components, "
                "action_effect_states and replay_fraction"
            )
        if self.search == "pgpe" and (self.pop_size % 2 or self.replay_fraction):
            yield (
                "search pgpe drives pairs of candidates, each on episodes of its own; give an even pop_size, and no "
                f"replay_fraction (they are {self.pop_size} and {self.replay_fraction})"
            )
        if not gradient and any(getattr(self, name) for name in _OF_GRADIENT):
            yield f"{', '.join(_OF_GRADIENT)} are of search gradient; leave them out"
        for name in ("action_effect_states", "gradient_steps"):
            if getattr(self, name) and not self.components:
                yield f"{name} needs a new space: give components"
