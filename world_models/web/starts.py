"""Where the dream can begin: moments that look different from each other, named after what is seen there."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from world_models.types import BoolArray, Rollout, UInt8Array
from world_models.web.run_facts import control_kind, episode_label

_STRIDE = 5  # steps between the moments that are looked at
_ASIDE, _BENT = 6.0, 4.0  # columns of 64 that the road moves aside, and that it leaves a straight line by
_LATEST = 0.6  # of an episode: the rest is what the dream is compared with
_FIRE = 5  # pixels of a fireball that is seen
_CLOSE = 9  # rows of one that is near

Namer = Callable[[UInt8Array], str]


def choose_moments(rollouts: Sequence[Rollout], warm_up: int, name: Namer) -> list[int]:
    """A step in each rollout: `warm_up` in the first, one up to three fifths of it in the others.

    Of those that show something with a name of its own, it is the one whose picture is furthest from all chosen before.
    """
    chosen: list[int] = []
    seen: list[UInt8Array] = []
    for rollout in rollouts:
        first = min(warm_up, len(rollout) // 2)
        names = {name(frame) for frame in seen}

        def telling(step: int, rollout: Rollout = rollout, names: set[str] = names) -> tuple[bool, float]:
            frame = rollout.observations[step]
            return name(frame) not in names, min((_distance(frame, other) for other in seen), default=0.0)

        steps = range(first, max(first, int(_LATEST * len(rollout))) + 1, _STRIDE) if seen else [first]
        chosen.append(max(steps, key=telling))
        seen.append(rollout.observations[chosen[-1]])
    return chosen


def _distance(one: UInt8Array, other: UInt8Array) -> float:
    return float(np.abs(one.astype(np.int16) - other).mean())


def namer(env_id: str) -> Namer:
    """What names the frames of an environment; "" where nothing is known of what they show."""
    return {"car": road_ahead, "sideways": fire_in_sight}.get(control_kind(env_id), lambda frame: "")


def start_labels(env_id: str, frames: Sequence[UInt8Array], seeds: Sequence[int]) -> list[str]:
    """A name for each start, no two alike: what is seen, or else the episode's."""
    name = namer(env_id)
    labels: list[str] = []
    for frame, seed in zip(frames, seeds, strict=True):
        label = name(frame) or episode_label(env_id, seed)
        again = sum(other == label or other.startswith(f"{label} ") for other in labels)
        labels.append(f"{label} {again + 1}" if again else label)
    return labels


def road_ahead(frame: UInt8Array) -> str:
    """Which way CarRacing's road goes, from the columns of its grey at the car, halfway and far ahead."""
    pixels = frame.astype(np.int16)
    mean = pixels.mean(-1)
    grey = (np.ptp(pixels, axis=-1) < 25) & (mean > 60) & (mean < 150)
    rows = np.flatnonzero(grey.sum(1) >= 4)
    if len(rows) < 24:
        return "Off the road"
    here, halfway, ahead = (_column(grey[rows[place] : rows[place] + 6]) for place in (-12, len(rows) // 2, 0))
    aside, bent = ahead - here, ahead - 2 * halfway + here
    if abs(aside) < _ASIDE:
        return "Straight ahead"
    side = "left" if aside < 0 else "right"
    return f"Bend to the {side}" if abs(bent) > _BENT else f"Heading {side}"


def fire_in_sight(frame: UInt8Array) -> str:
    """Where TakeCover's largest fireball is, from its bright yellow."""
    red, green, blue = (frame[..., channel].astype(np.int16) for channel in range(3))
    heights = ((red > 190) & (green > 160) & (blue < red - 30)).sum(0)
    if heights.sum() < _FIRE:
        return "No fireball yet"
    column = int(heights.argmax())
    side = "left" if column < 24 else "right" if column > 40 else "ahead"
    return f"Fireball {'close, ' if heights.max() >= _CLOSE else ''}{side}"


def _column(mask: BoolArray) -> float:
    """The middle column of what a mask shows."""
    return float(np.nonzero(mask)[1].mean())
