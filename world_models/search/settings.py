"""What stage C can be told beyond the documented fields: read out of `config.extra`, checked by name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from world_models.configs.wm_config import WMControllerConfig
from world_models.envs.env_kwargs import parse_env_kwargs
from world_models.errors import ConfigError
from world_models.rollout.driver import BACKENDS
from world_models.search.algorithms.phases import Phase
from world_models.training.fit.settings import choice, flag, number, share, whole, whole_or_none


def _numbers(extra: Mapping[str, Any], name: str) -> tuple[float, ...]:
    """A list of finite numbers; empty where it is absent."""
    values = extra.get(name, ())
    if not isinstance(values, list | tuple) or not all(isinstance(v, int | float) and math.isfinite(v) for v in values):
        raise ConfigError(f"{name} is {values!r}, and must be a list of finite numbers")
    return tuple(float(value) for value in values)


def _phases(extra: Mapping[str, Any]) -> tuple[Phase, ...]:
    """The list `phases`, each checked; it needs `max_env_steps`, which ends the first phase."""
    values = extra.get("phases", ())
    if not isinstance(values, list | tuple):
        raise ConfigError(f"phases is {values!r}, and must be a list of tables")
    if values and extra.get("max_env_steps") is None:
        raise ConfigError("phases needs max_env_steps, the budget of the phase before them; it is None")
    phases = tuple(Phase.from_mapping(value) for value in values)
    if any(phase.components for phase in phases) and not extra.get("components"):
        raise ConfigError("phases has components, a new whitened space, and the first phase has none: set components")
    return phases


def _mean_rate(extra: Mapping[str, Any]) -> float:
    rate = share(extra, "mean_rate", 1.0)
    if not rate:
        raise ConfigError(f"mean_rate is {rate!r}: with it the mean would never move")
    return rate


@dataclass(frozen=True)
class ControllerSettings:
    """Stage C's further settings.

    Attributes:
        seed: Of the search, the tracks and the whitening's episodes.
        backend: Where candidates are evaluated: "auto", "redrawn", "envpool" or "gymnasium".
        device: Of V and M while driving.
        sigma: CMA-ES's first step size; 0 means 0.2 in the whitened space and 0.1 in the plain one.
        mean_rate: How far a generation moves the mean, of the way that CMA-ES would.
        first_bias: C's bias in the first generation's mean, one number an action before squashing; empty:
            zeros. Less gas at first keeps more candidates on the road.
        components: Whitened principal components of [z, h] to search in; 0: C's own parameters.
        whitening_episodes: Episodes of correlated noise that the components are computed from.
        standardized: Whether each entry of [z, h] is divided by its spread before the components are computed.
        driving: Folder of rollouts; the components are then of what an agent's in it show to this V and M.
        start_from: Folder of an earlier run whose controller is refitted to this V and M on `driving` and searched
            around; empty: from zero.
        warm_start: Folder of a run of this very V and M whose controller is searched around, in that run's own
            space (one that was evolved in the dream goes on in reality so); empty: from zero.
        hopeless: Steps without a positive reward after which a candidate's episode ends; 0: never.
            Re-evaluations always drive to the end.
        first_horizon: Steps of an episode in the first generations; 0: time_limit from the start. When
            most episodes last that long it grows by `horizon_growth`, up to time_limit.
        max_samples: Episodes a candidate may come to need, from `n_samples` on; 0: they stay as they are.
        wanted_f: They grow while the candidates' F statistic is below this (`evolution.samples`).
        shared_tracks: Whether a generation's candidates drive the same episodes; False, for comparison: each its own,
            and more of the difference between two is luck.
        replayed: Share of a generation's episodes that are earlier ones on which candidates differed much
            (`evolution.tracks`); 0: all are new.
        phases: Further phases (`evolution.phases`) after `max_env_steps`: each begins again from the best point.
        max_generations, max_env_steps, max_seconds: Budgets; None: none. A run that `max_seconds` stopped
            depends on the machine's speed.
        eval_every: Generations between re-evaluations of the mean and of the generation's best.
        eval_episodes: Their episodes.
        choice_episodes: Episodes by which, at the end of each phase, one of the mean, the generation's best, the recent
            means' average and the best so far is chosen; 0: it is the best of all re-evaluations.
        hidden_layers: Of an MLP controller; empty: linear.
        use_hidden: Whether C sees h beside z.
        use_cell: Whether it sees M's cell state c as well, as the paper's C of TakeCover does.
        bias: Whether its layers have biases; the paper's C of TakeCover has none.
        sample_latents: Whether C sees a sampled z instead of its mean.
        num_lanes: Episodes at once in a worker.
        env_kwargs: What the environment is made with.
        film_every: Re-evaluations between two films of the distribution's mean for TensorBoard; 0: no film.
        noreload: Start anew, whatever lies in the folder.
    """

    seed: int = 0
    backend: str = "auto"
    device: str = "cpu"
    sigma: float = 0.0
    mean_rate: float = 1.0
    first_bias: tuple[float, ...] = ()
    components: int = 0
    whitening_episodes: int = 24
    standardized: bool = False
    driving: str = ""
    start_from: str = ""
    warm_start: str = ""
    hopeless: int = 0
    first_horizon: int = 0
    horizon_growth: float = 1.25
    max_samples: int = 0
    wanted_f: float = 2.0
    shared_tracks: bool = True
    replayed: float = 0.0
    phases: tuple[Phase, ...] = ()
    max_generations: int | None = None
    max_env_steps: int | None = None
    max_seconds: float = 0.0
    eval_every: int = 10
    eval_episodes: int = 8
    choice_episodes: int = 0
    hidden_layers: tuple[int, ...] = ()
    use_hidden: bool = True
    use_cell: bool = False
    bias: bool = True
    sample_latents: bool = False
    num_lanes: int = 16
    film_every: int = 0
    noreload: bool = False
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_config(cls, config: WMControllerConfig) -> ControllerSettings:
        """Read and check them. Raises ConfigError with the field's name and value."""
        extra = config.extra
        layers = extra.get("hidden_layers", ())
        if not isinstance(layers, list | tuple) or not all(isinstance(n, int) and n > 0 for n in layers):
            raise ConfigError(f"hidden_layers is {layers!r}, and must be a list of whole numbers of at least 1")
        settings = cls(
            seed=whole(extra, "seed", 0),
            backend=choice(extra, "backend", BACKENDS),
            device=str(extra.get("device", "cpu")),
            sigma=number(extra, "sigma", 0.0),
            mean_rate=_mean_rate(extra),
            first_bias=_numbers(extra, "first_bias"),
            components=whole(extra, "components", 0),
            whitening_episodes=whole(extra, "whitening_episodes", cls.whitening_episodes, 1),
            standardized=flag(extra, "standardized", False),
            driving=str(extra.get("driving", "")),
            start_from=str(extra.get("start_from", "")),
            warm_start=str(extra.get("warm_start", "")),
            hopeless=whole(extra, "hopeless", 0),
            first_horizon=whole(extra, "first_horizon", 0),
            horizon_growth=number(extra, "horizon_growth", cls.horizon_growth),
            max_samples=whole(extra, "max_samples", 0),
            wanted_f=number(extra, "wanted_f", cls.wanted_f),
            shared_tracks=flag(extra, "shared_tracks", True),
            replayed=share(extra, "replayed"),
            phases=_phases(extra),
            max_generations=whole_or_none(extra, "max_generations"),
            max_env_steps=whole_or_none(extra, "max_env_steps"),
            max_seconds=number(extra, "max_seconds", 0.0),
            eval_every=whole(extra, "eval_every", cls.eval_every, 1),
            eval_episodes=whole(extra, "eval_episodes", cls.eval_episodes, 1),
            choice_episodes=whole(extra, "choice_episodes", 0),
            hidden_layers=tuple(layers),
            use_hidden=flag(extra, "use_hidden", True),
            use_cell=flag(extra, "use_cell", False),
            bias=flag(extra, "bias", True),
            sample_latents=flag(extra, "sample_latents", False),
            num_lanes=whole(extra, "num_lanes", cls.num_lanes, 1),
            film_every=whole(extra, "film_every", 0),
            noreload=flag(extra, "noreload", False),
            env_kwargs=parse_env_kwargs(extra.get("env_kwargs")),
        )
        if settings.components and settings.hidden_layers:
            raise ConfigError(
                f"components={settings.components} needs a linear controller, and hidden_layers is "
                f"{settings.hidden_layers}: set one of them to nothing"
            )
        if settings.use_cell and not settings.use_hidden:
            raise ConfigError("use_cell is True and use_hidden False: c is seen only where h is; set use_hidden=True")
        if settings.first_bias and not settings.bias:
            raise ConfigError(
                f"first_bias is {settings.first_bias} and bias False: there is no bias to begin with; leave one of "
                "them out"
            )
        if not settings.shared_tracks and (settings.replayed or any(phase.replayed for phase in settings.phases)):
            raise ConfigError(
                "shared_tracks is False and episodes are replayed: only shared ones tell candidates apart"
            )
        complete = settings.components and settings.driving and not settings.first_bias
        if settings.start_from and not complete:
            raise ConfigError(
                f"start_from={settings.start_from!r} needs components and driving (a folder of rollouts), and no "
                f"first_bias: components is {settings.components}, driving {settings.driving!r}, first_bias "
                f"{settings.first_bias}"
            )
        if settings.warm_start and (not settings.components or settings.start_from or settings.first_bias):
            raise ConfigError(
                f"warm_start={settings.warm_start!r} needs components, and neither start_from nor first_bias: they are "
                f"{settings.components}, {settings.start_from!r} and {settings.first_bias}"
            )
        return settings

    @property
    def first_sigma(self) -> float:
        """The first step size that is really used."""
        return self.sigma or (0.2 if self.components else 0.1)
