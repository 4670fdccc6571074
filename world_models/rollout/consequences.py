"""What an action leads to, as M foresees it: dreams that part at one state, where C's output is forced apart.

From states that a controller comes to, each of its outputs is held low and held high for some steps, with the same
noise; the controller goes on alone. What the second is worth more than the first is what a search wants to know of
that state: which inputs of C tell it are the directions in which a better C lies (policy improvement by rollouts,
Tesauro and Galperin 1996, with M in the simulator's place).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from world_models.models.controller import Controller
from world_models.models.dream import Dream
from world_models.rollout.experience import copies
from world_models.rollout.loop import Loop
from world_models.rollout.states import Dreamed, StateLanes
from world_models.types import DoubleArray, Episode, FloatArray
from world_models.utils.seeding import derive_seed

HOLD = 12  # steps for which an output is held
HORIZONS = (20, 40, 60, 90, 120)  # steps over which is summed what it leads to
_APART = 17  # steps between two states of one lane
_WARM = 60  # steps before the first: by then lanes are at different places of their episodes
_FORCED, _CHOSEN = 1.0, 1e3  # how high and low: of a squashed output, and of one whose largest or part is chosen
_NOISE, _LONGEST = 0.03, 30  # how often, and for how many steps, an output is held on the way to a state


class Consequences(NamedTuple):
    """Of n states: `states` (n, D) what C sees there; `gains` (n, A, H) what output a brings held high more than low.

    H are `HORIZONS`. `steps`: driven or dreamed for it.
    """

    states: FloatArray
    gains: FloatArray
    steps: int


@torch.inference_mode()
def consequences(
    lanes: StateLanes, dream: Dream, controller: Controller, parameters: DoubleArray, seed: int, count: int, limit: int
) -> Consequences:
    """What each output of C leads to in `count` states of its way.

    Args:
        lanes: Where it comes to them: in the environment or in dreams.
        dream: M, which is asked; it may be that of `lanes`.
        controller: C's architecture.
        parameters: C's, flat (P,).
        seed: Of all episodes.
        count: States, n.
        limit: Steps after which an episode is cut.
    """
    states, steps = _states(lanes, controller, parameters, seed, count, limit)
    asked = Dreamed(dream, lanes.spec, lanes.actions, lanes.num_lanes)
    forks = 2 * lanes.actions.size
    at_once = max(1, lanes.num_lanes // forks)
    gains = [
        _gains(asked, controller, parameters, states[start : start + at_once], derive_seed("fork", seed, start))
        for start in range(0, count, at_once)
    ]
    seen = copies(controller, parameters, 1, dream.device)[0].shape[-1]
    return Consequences(states[:, :seen].cpu().numpy(), np.concatenate(gains), steps + count * forks * HORIZONS[-1])


def _reach(lanes: StateLanes) -> float:
    return _CHOSEN if lanes.actions.discrete else _FORCED


def _actions(
    lanes: StateLanes, parameters: list[torch.Tensor], states: torch.Tensor, held: FloatArray | None
) -> torch.Tensor:
    """C's actions, with outputs `held` (L, A) in the place of its own where they are numbers."""
    raw = lanes.outputs(parameters, states)
    if held is not None:
        forced = torch.from_numpy(held.astype(np.float32)).to(raw.device)
        raw = torch.where(forced.isnan(), raw, forced)
    return lanes.squashed(raw)


def _states(
    lanes: StateLanes, controller: Controller, parameters: DoubleArray, seed: int, count: int, limit: int
) -> tuple[torch.Tensor, int]:
    """[z, h, c] (count, Z + 2 R) on the controller's way, on which its outputs are held at random now and then."""
    many, actions, reach = min(lanes.num_lanes, count), lanes.actions.size, _reach(lanes)
    rng = np.random.default_rng(derive_seed("stray", seed))
    seeds = (derive_seed("state", seed, i) for i in itertools.count())
    lanes.announce([])
    loop = Loop(lanes, lambda lane: Episode(0, next(seeds)), many, time_limit=limit)
    own = copies(controller, parameters, many, lanes.device)
    left, held = np.zeros(many, np.int64), np.zeros((many, actions), np.float32)
    found: list[torch.Tensor] = []
    for time in itertools.count(1):
        held_now = (left <= 0) & (rng.random(many) < _NOISE)
        left = np.where(held_now, rng.integers(1, _LONGEST + 1, many), left - 1)
        held[held_now] = reach * rng.integers(-1, 2, (int(held_now.sum()), actions))
        moved = loop.step(_actions(lanes, own, loop.observations, np.where((left > 0)[:, None], held, np.nan)))
        left[moved.reasons > 0] = 0
        if time >= _WARM and time % _APART == 0:
            found.append(loop.observations.clone())
        if len(found) * many >= count:
            break
    return torch.cat(found)[:count], time * many


def _gains(
    lanes: Dreamed, controller: Controller, parameters: DoubleArray, states: torch.Tensor, seed: int
) -> FloatArray:
    """(n, A, H) of these states (n, Z + 2 R)."""
    dream, n = lanes.dream, len(states)
    forks = [(action, side * _reach(lanes)) for action in range(dream.actions) for side in (-1, 1)]
    dream.begin([derive_seed("noise", seed, i) for i in range(n)] * len(forks))
    dream.inputs.copy_(states.repeat(len(forks), 1))
    own = copies(controller, parameters, n * len(forks), dream.device)
    outputs = np.full((len(forks), n, dream.actions), np.nan, np.float32)
    for fork, (action, output) in enumerate(forks):
        outputs[fork, :, action] = output
    held = outputs.reshape(-1, dream.actions)
    alive, worth = torch.ones(len(held), device=dream.device), torch.zeros(len(held), device=dream.device)
    found = []
    for time in range(HORIZONS[-1]):
        step = dream.step(_actions(lanes, own, dream.inputs, held if time < HOLD else None))
        worth += alive * step.rewards
        alive *= 1 - dream.odds_of_end(step.logits)
        if time + 1 in HORIZONS:
            found.append(worth.clone())
    each = torch.stack(found, -1).reshape(dream.actions, 2, n, len(HORIZONS))
    gains: FloatArray = (each[:, 1] - each[:, 0]).transpose(0, 1).cpu().numpy()
    return gains


def joined(parts: Sequence[Consequences]) -> Consequences:
    """What several workers found, in their order."""
    states, gains, steps = zip(*parts, strict=True)
    return Consequences(np.concatenate(states), np.concatenate(gains), sum(steps))
