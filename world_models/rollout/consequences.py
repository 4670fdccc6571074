"""What an action leads to, as M foresees it: dreams that part at one state, where C's output is forced apart.

From states that a controller comes to in the dream, each of its outputs is held low and held high for some steps, with
the same noise; the controller goes on alone. What the second is worth more than the first is what a search wants to
know of that state: which inputs of C tell it are the directions in which a better C lies (policy improvement by
rollouts, Tesauro and Galperin 1996, with M in the simulator's place).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from world_models.models.controller import controller_outputs
from world_models.rollout.dream_lanes import DreamLanes, copies
from world_models.types import DoubleArray, FloatArray
from world_models.utils.seeding import derive_seed

if TYPE_CHECKING:
    from world_models.rollout.dream_driver import DreamDriver

HOLD = 12  # steps for which an output is held
HORIZONS = (20, 40, 60, 90, 120)  # steps over which is summed what it leads to
_APART = 17  # steps between two states of one lane
_WARM = 60  # steps before the first: by then lanes are at different places of their dreams
_FORCED, _CHOSEN = 1.0, 1e3  # how high and low: of a squashed output, and of one whose largest or part is chosen
_STRAY, _LONGEST = 0.03, 30  # how often, and for how many steps, the controller strays on the way to a state


class Consequences(NamedTuple):
    """Of n states: `states` (n, D) what C sees there; `gains` (n, A, H) what output a brings held high more than low.

    H are `HORIZONS`. `steps`: dreamed for it.
    """

    states: FloatArray
    gains: FloatArray
    steps: int


@torch.inference_mode()
def consequences(driver: DreamDriver, seed: int, count: int, parameters: DoubleArray) -> Consequences:
    """What each output of C leads to in `count` states of its dreams.

    Args:
        driver: The dream, and C's architecture.
        seed: Of all dreams.
        count: States, n.
        parameters: C's, flat (P,).
    """
    lanes = min(driver.recipe.num_lanes, count)
    states, steps = _states(driver, parameters, seed, count, lanes)
    forks = 2 * driver.dream.actions
    at_once = max(1, driver.recipe.num_lanes // forks)
    gains = [
        _gains(driver, parameters, states[start : start + at_once], derive_seed("fork", seed, start))
        for start in range(0, count, at_once)
    ]
    seen = copies(driver, parameters, 1)[0].shape[-1]
    return Consequences(states[:, :seen].cpu().numpy(), np.concatenate(gains), steps + count * forks * HORIZONS[-1])


def _reach(driver: DreamDriver) -> float:
    return _CHOSEN if driver.actions.discrete else _FORCED


def _actions(driver: DreamDriver, parameters: list[torch.Tensor], held: FloatArray | None) -> torch.Tensor:
    """C's actions, with outputs `held` (L, A) in the place of its own where they are numbers."""
    raw = controller_outputs(parameters, driver.dream.inputs)
    if held is not None:
        forced = torch.from_numpy(held.astype(np.float32)).to(raw.device)
        raw = torch.where(forced.isnan(), raw, forced)
    return driver.actions.from_raw(raw)


def _states(
    driver: DreamDriver, parameters: DoubleArray, seed: int, count: int, lanes: int
) -> tuple[torch.Tensor, int]:
    """[z, h, c] (count, Z + 2 R) on the controller's way through dreams, on which it strays now and then."""
    dream, reach, rng = driver.dream, _reach(driver), np.random.default_rng(derive_seed("stray", seed))
    seeds = (derive_seed("state", seed, i) for i in itertools.count())
    dreams, own = DreamLanes(driver, seeds, lanes), copies(driver, parameters, lanes)
    left, held = np.zeros(lanes, np.int64), np.zeros((lanes, dream.actions), np.float32)
    found: list[torch.Tensor] = []
    for time in itertools.count(1):
        strays = (left <= 0) & (rng.random(lanes) < _STRAY)
        left = np.where(strays, rng.integers(1, _LONGEST + 1, lanes), left - 1)
        held[strays] = reach * rng.integers(-1, 2, (int(strays.sum()), dream.actions))
        gone = dreams.go(_actions(driver, own, np.where((left > 0)[:, None], held, np.nan)))
        left[gone.ended | gone.cut] = 0
        if time >= _WARM and time % _APART == 0:
            found.append(dream.inputs.clone())
        if len(found) * lanes >= count:
            break
    return torch.cat(found)[:count], time * lanes


def _gains(driver: DreamDriver, parameters: DoubleArray, states: torch.Tensor, seed: int) -> FloatArray:
    """(n, A, H) of these states (n, Z + 2 R)."""
    dream, n = driver.dream, len(states)
    forks = [(action, side * _reach(driver)) for action in range(dream.actions) for side in (-1, 1)]
    dream.begin([derive_seed("noise", seed, i) for i in range(n)] * len(forks))
    dream.inputs.copy_(states.repeat(len(forks), 1))
    own = copies(driver, parameters, n * len(forks))
    outputs = np.full((len(forks), n, dream.actions), np.nan, np.float32)
    for fork, (action, output) in enumerate(forks):
        outputs[fork, :, action] = output
    held = outputs.reshape(-1, dream.actions)
    alive, worth = torch.ones(len(held), device=dream.device), torch.zeros(len(held), device=dream.device)
    found = []
    for time in range(HORIZONS[-1]):
        step = dream.step(_actions(driver, own, held if time < HOLD else None))
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
