"""Phases of a search: it begins again from the best point it has, with smaller steps and more episodes.

With noisy returns CMA-ES's own step size stays where it is instead of shrinking; what was found with wide steps is
refined by a restart with narrow ones, whose smaller differences need more episodes a candidate or a slower mean.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any

import numpy as np

from world_models.errors import ConfigError
from world_models.search.algorithms.cma_es import CmaEs
from world_models.search.algorithms.pgpe import Pgpe
from world_models.types import DoubleArray

_SHARES = {"mean_rate", "replayed"}
SEARCHES: dict[str, type[CmaEs] | type[Pgpe]] = {"cma-es": CmaEs, "pgpe": Pgpe}
GRADIENT = "gradient"  # follows C's own steps and not candidates (`search.gradient_phase`)
_KEPT = 24  # generations; their later half is few enough that the mean has not moved on


@dataclass(frozen=True)
class Phase:
    """A phase after the first.

    Attributes:
        sigma: Its first step size.
        pop_size: Candidates a generation.
        samples: Episodes a candidate.
        env_steps: Its budget of simulator steps.
        mean_rate: How far a generation moves the mean, of the way that CMA-ES would (its learning rate of the mean).
        replayed: Share of a generation's episodes that are earlier ones of this phase on which candidates differed
            much (`evolution.tracks`).
        components: Of a new space about the best controller, whitened with what that one sees as it drives, and with
            its own gains and biases (`WhitenedSpace.with_gains`); 0: the space stays.
        foreseen: With `components`: states from which M is asked what each action leads to; the space has the
            directions that tell it as well (`evolution.foreseen`). In a dream asking counts as steps. 0: it has not.
        gradient_steps: In a dream, with `components`: before the phase C goes up the gradient of what it earns there
            for so many dreamed steps (`rollout.policy_gradient`), and the phase searches about where it comes to, if
            that is better; 0: it does not.
        search: "cma-es", or "pgpe" (`evolution.pgpe`), which goes by how much returns differ; a pair of its candidates
            has episodes of its own, so that none are replayed. Or "gradient", on the road: C itself drives, with noise
            (`sigma`) on its outputs, on pop_size x samples lanes, and a critic says what each step was worth
            (`rollout.policy_gradient`); `mean_rate` is a share of its learning rate, which falls to a tenth, as the
            noise does to a third. It searches among all of C's numbers, in a space of its own.
        lost: With "gradient": what an episode costs, besides what it does not earn, that is given up as hopeless.
        late: With "gradient": places of actions (0 the first) that are learned after the others.
        mirrored: With "gradient": half of the episodes are in the mirror (`envs.mirrored`).
        anew: With "gradient": it begins where the run did, and not at the best controller so far: what a phase finds
            from nothing has much to do with chance, and the best of several is kept.
    """

    sigma: float
    pop_size: int
    samples: int
    env_steps: int
    mean_rate: float = 1.0
    replayed: float = 0.0
    components: int = 0
    foreseen: int = 0
    gradient_steps: int = 0
    search: str = "cma-es"
    lost: float = 0.0
    late: tuple[int, ...] = ()
    mirrored: bool = False
    anew: bool = False

    @classmethod
    def from_mapping(cls, values: Any) -> Phase:
        """Checked by name. Raises ConfigError with the field and its value."""
        names = [field.name for field in fields(cls)]
        needed = [field.name for field in fields(cls) if field.default is MISSING]
        if not isinstance(values, Mapping) or not set(needed) <= set(values) <= set(names):
            raise ConfigError(
                f"phases has {values!r}: each phase is a table with {', '.join(needed)} and, where "
                f"wanted, {', '.join(name for name in names if name not in needed)}"
            )
        for name in values:
            _check(name, values[name])
        search = values.get("search", "cma-es")
        if search == GRADIENT and any(values.get(name) for name in ("components", "foreseen", "replayed")):
            raise ConfigError(
                f"phases has {values!r}: search gradient has a space of its own and drives new episodes; leave out "
                "components, foreseen and replayed"
            )
        if search != GRADIENT and SEARCHES[search].paired and (values["pop_size"] % 2 or values.get("replayed")):
            raise ConfigError(
                f"phases has {values!r}: search pgpe drives pairs of candidates, each on episodes of its own; give an "
                "even pop_size, and no replayed"
            )
        if search != GRADIENT and any(values.get(name) for name in ("lost", "late", "mirrored", "anew")):
            raise ConfigError(
                f"phases has {values!r}: lost, late, mirrored and anew are of search gradient; leave them out"
            )
        for name in ("foreseen", "gradient_steps"):
            if values.get(name) and not values.get("components"):
                raise ConfigError(f"phases has {values!r}: {name} needs a new space: give components")
        floats = {name: float(values[name]) for name in _SHARES | {"sigma", "lost"} if name in values}
        return cls(**{**values, **floats, "late": tuple(values.get("late", ()))})


def _check(name: str, value: Any) -> None:
    if name == "search":
        if value not in (*SEARCHES, GRADIENT):
            raise ConfigError(f"phases has search={value!r}: it is one of {', '.join([*SEARCHES, GRADIENT])}")
        return
    if name in {"mirrored", "anew"}:
        if not isinstance(value, bool):
            raise ConfigError(f"phases has {name}={value!r}: it is true or false")
        return
    if name == "late":
        if not isinstance(value, list | tuple) or any(type(place) is not int or place < 0 for place in value):
            raise ConfigError(f"phases has late={value!r}: it is a list of places of actions, 0 the first")
        return
    least, most = {"pop_size": 2}.get(name, 0), 1 if name in _SHARES else math.inf
    kind = int | float if name in _SHARES | {"sigma", "lost"} else int
    zero = value == 0 and name not in {"replayed", "components", "foreseen", "gradient_steps", "lost"}
    if isinstance(value, bool) or not isinstance(value, kind) or not least <= value <= most or zero:
        limit = ", at most 1" if name in _SHARES else ", pop_size at least 2"
        raise ConfigError(f"phases has {name}={value!r}: it must be a number above 0{limit}")


class RecentMeans:
    """The means of a phase's last generations; their average wanders less than any of them.

    Under noise each generation moves the distribution's mean by about as much as it gains: what is common to many
    generations is the gain (Polyak and Juditsky 1992).
    """

    def __init__(self, means: Sequence[DoubleArray] = ()) -> None:
        self.means: list[DoubleArray] = list(means)

    def add(self, mean: DoubleArray) -> None:
        """Take in a generation's mean (P,); the oldest of more than 24 is dropped."""
        self.means = [*self.means, mean][-_KEPT:]

    @property
    def average(self) -> DoubleArray:
        """Of the later half, (P,)."""
        average: DoubleArray = np.mean(self.means[len(self.means) // 2 :], axis=0)
        return average
