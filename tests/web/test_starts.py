"""Where the dream begins: at moments that look different, named after what is seen."""

from __future__ import annotations

import numpy as np
import pytest

from world_models.types import Rollout, UInt8Array
from world_models.web.starts import choose_moments, fire_in_sight, namer, road_ahead, start_labels

CAR, TAKE_COVER = "CarRacing-v3", "VizdoomTakeCover-v1"


def road(here: int, halfway: int, ahead: int) -> UInt8Array:
    """A grey road of ten columns on grass, whose middle goes through three columns from the car to the horizon."""
    frame = np.full((64, 64, 3), (102, 204, 102), np.uint8)
    middles = np.interp(range(64), [3, 32, 54], [ahead, halfway, here])
    for row, middle in enumerate(middles.round().astype(int)):
        frame[row, middle - 5 : middle + 5] = 105
    return frame


def hall(*fires: tuple[int, int]) -> UInt8Array:
    """A dark hall with fireballs, each a column and a height."""
    frame = np.full((64, 64, 3), 70, np.uint8)
    for column, height in fires:
        frame[30 : 30 + height, column - 2 : column + 2] = (255, 230, 120)
    return frame


@pytest.mark.parametrize(
    ("frame", "name"),
    [
        (road(32, 32, 32), "Straight ahead"),
        (road(32, 24, 16), "Heading left"),
        (road(32, 40, 48), "Heading right"),
        (road(32, 31, 12), "Bend to the left"),
        (road(32, 33, 52), "Bend to the right"),
        (np.full((64, 64, 3), (102, 204, 102), np.uint8), "Off the road"),
    ],
)
def test_a_road_is_named_by_where_it_goes(frame: UInt8Array, name: str) -> None:
    assert road_ahead(frame) == namer(CAR)(frame) == name


@pytest.mark.parametrize(
    ("frame", "name"),
    [
        (hall(), "No fireball yet"),
        (hall((10, 4)), "Fireball left"),
        (hall((32, 4)), "Fireball ahead"),
        (hall((55, 4)), "Fireball right"),
        (hall((55, 4), (10, 12)), "Fireball close, left"),
    ],
)
def test_a_hall_is_named_by_its_largest_fireball(frame: UInt8Array, name: str) -> None:
    assert fire_in_sight(frame) == namer(TAKE_COVER)(frame) == name


def rollout(*frames: UInt8Array) -> Rollout:
    count = len(frames)
    return Rollout(np.stack(frames), *(np.zeros((count, *rest), np.float32) for rest in ((1,), (), ())))


def test_later_starts_are_at_moments_with_names_of_their_own_that_look_most_different() -> None:
    straight, left, right = road(32, 32, 32), road(32, 31, 12), road(32, 40, 48)
    first = rollout(*[straight] * 100)
    second = rollout(*[straight] * 40, *[left] * 60)
    third = rollout(*[straight] * 30, *[left] * 20, *[right] * 50)

    moments = choose_moments([first, second, third], 20, road_ahead)

    assert moments == [20, 40, 50]
    frames = [each.observations[moment] for each, moment in zip((first, second, third), moments, strict=True)]
    assert start_labels(CAR, frames, [1, 2, 3]) == ["Straight ahead", "Bend to the left", "Heading right"]


def test_a_start_leaves_two_fifths_of_its_episode_and_a_short_one_begins_at_half() -> None:
    straight, left = road(32, 32, 32), road(32, 31, 12)
    late = rollout(*[straight] * 70, *[left] * 30)
    assert choose_moments([rollout(*[straight] * 100), late], 20, road_ahead) == [20, 20], "it is at 70 too late"
    assert choose_moments([rollout(*[straight] * 9)], 20, road_ahead) == [4]


def test_no_two_starts_have_one_name_and_what_is_not_known_has_its_episodes() -> None:
    straight = road(32, 32, 32)
    assert start_labels(CAR, [straight] * 3, [7, 8, 9]) == ["Straight ahead", "Straight ahead 2", "Straight ahead 3"]
    assert start_labels("CartPole-v1", [straight] * 2, [7, 8]) == ["Episode 7", "Episode 8"]
