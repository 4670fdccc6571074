"""What environments show, as pictures: every kind is read right or refused by one sentence."""

import logging
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.wrappers import RenderCollection
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from tests.odd_envs import GRAY, ODD, OddEnv
from world_models import notices
from world_models.envs.contract.pictures import PictureReader, declared_range, declares_picture, layout_of
from world_models.envs.gym_env import GymImageEnv, GymLanes
from world_models.errors import ActionSpaceError, EnvironmentFailure, ObservationError
from world_models.report.episode import film
from world_models.rollout.driver import Recipe
from world_models.rollout.loop import drive
from world_models.rollout.policies import NoisePolicy
from world_models.types import Episode

RNG = np.random.default_rng(1)
RGB = RNG.integers(0, 256, (40, 48, 3), dtype=np.uint8)
GREY = RGB[..., 0]
GREY3 = np.repeat(GREY[..., None], 3, 2)
OPAQUE = np.concatenate([RGB, np.full((40, 48, 1), 255, np.uint8)], 2)
MASK = RGB > 127
UNIT = RGB / 255
BLACK = np.zeros_like(RGB)


def box(low: Any, high: Any, shape: tuple[int, ...], dtype: Any) -> spaces.Box:
    return spaces.Box(low, high, shape, dtype)


TWO_PICTURES = spaces.Dict(dict.fromkeys("ab", box(0, 255, RGB.shape, np.uint8)))


class Shows(NamedTuple):
    """A row of the table: what is shown at each time (as observation if `space` says so), and what it means."""

    shown: Any
    means: Any  # the last picture, or a piece of the refusal
    space: Any = None  # None: it is rendered
    said: str = ""  # a piece of the remark


ROWS = {
    "uint8": Shows([RGB], RGB),
    "floats to 1": Shows([UNIT], RGB, said="scaled"),
    "floats to 255": Shows([np.maximum(RGB - 0.2, 0)], RGB, said="rounded"),
    "float16 to 1": Shows([MASK.astype(np.float16)], 255 * MASK, said="scaled"),
    "floats above 255": Shows([RGB * 2.0], "float64 of shape (40, 48, 3) with values in"),
    "floats below 0": Shows([UNIT - 0.5], "of no declared range"),
    "declared from -1 to 1": Shows([2 * UNIT - 1], RGB, box(-1, 1, RGB.shape, np.float64), said="[-1, 1] are scaled"),
    "declared from 0 to 1": Shows([UNIT.astype("f4")], RGB, box(0, 1, RGB.shape, np.float32), said="scaled"),
    "declared to 255, floats to 1": Shows([UNIT], RGB, box(0, 255, RGB.shape, np.uint8), said="scaled"),
    "declared to 1, floats to 255": Shows([RGB * 1.0], "where [0, 1] is declared", box(0, 1, RGB.shape, np.float32)),
    "declared to 255, floats beyond": Shows([RGB * 9.0], "where [0, 255] is decl", box(0, 255, RGB.shape, np.float32)),
    "floats unbounded": Shows([UNIT], RGB, box(-np.inf, np.inf, RGB.shape, np.float64), said="scaled"),
    "NaN": Shows([np.full(RGB.shape, np.nan)], "NaN or infinity"),
    "one infinity": Shows([np.where(MASK, np.inf, UNIT)], "NaN or infinity"),
    "NaN later": Shows([UNIT, np.full(RGB.shape, np.nan)], "NaN or infinity", said="scaled"),
    "bool": Shows([MASK], 255 * MASK, said="scaled"),
    "uint8 declared to 1": Shows([MASK.astype("u1")], 255 * MASK, box(0, 1, RGB.shape, np.uint8), said="scaled"),
    "int64": Shows([RGB.astype(np.int64)], RGB),
    "int64 of 0 and 1": Shows([MASK.astype(np.int64)], 255 * MASK, said="scaled"),
    "int64 beyond 255": Shows([RGB.astype(np.int64) * 2], "int64 of shape (40, 48, 3) with values in [0, 510]"),
    "int64 below 0": Shows([RGB.astype(np.int64) - 1], "values in [-1, 254]"),
    "uint16 declared": Shows([RGB.astype(np.uint16) * 257], RGB, box(0, 65535, RGB.shape, np.uint16), said="scaled"),
    "uint16 of 8 bits": Shows([RGB.astype("u2") // 4], "of the declared [0, 65535]", box(0, 65535, RGB.shape, "u2")),
    "black, then floats to 1": Shows([BLACK / 1.0, UNIT], RGB, said="scaled"),
    "black floats, then uint8": Shows([BLACK / 1.0, RGB], RGB),
    "floats to 1, then to 255": Shows([UNIT, RGB / 1.0], "where [0, 1] is declared or was seen before", said="scaled"),
    "uint8, then floats": Shows([RGB, UNIT], "is float64 where others were uint8"),
    "RGBA": Shows([OPAQUE], RGB, said="fourth channel"),
    "RGBA of floats": Shows([OPAQUE / 255], RGB, said="fourth channel"),
    "RGBA, transparent": Shows([np.concatenate([RGB, GREY[..., None]], 2)], "fourth channel that is not opaque"),
    "RGBA observations": Shows([OPAQUE], RGB, box(0, 255, OPAQUE.shape, np.uint8), said="fourth channel"),
    "four gray frames": Shows([np.stack([GREY] * 4)], "stacking of frames", box(0, 255, (4, 40, 48), np.uint8)),
    "two channels": Shows([RGB[..., :2]], "uint8 of shape (40, 48, 2)"),
    "five channels": Shows([np.zeros((40, 48, 5), np.uint8)], "uint8 of shape (40, 48, 5)"),
    "(H, W)": Shows([GREY], GREY3, said="gray"),
    "(H, W) observations": Shows([GREY], GREY3, box(0, 255, GREY.shape, np.uint8), said="gray"),
    "(H, W, 1)": Shows([GREY[..., None]], GREY3, said="gray"),
    "(1, H, W)": Shows([GREY[None]], GREY3, said="gray"),
    "(3, H, W)": Shows([np.moveaxis(RGB, -1, 0)], RGB, said="first axis"),
    "(3, H, W) observations": Shows([RGB.transpose(2, 0, 1)], RGB, box(0, 255, (3, 40, 48), np.uint8), said="first ax"),
    "(3, H, W) of floats to 1": Shows([UNIT.transpose(2, 0, 1)], RGB, box(0, 1, (3, 40, 48), np.float64), said="first"),
    "(4, H, W)": Shows([OPAQUE.transpose(2, 0, 1)], RGB, said="fourth channel"),
    "(3, 5, 3)": Shows([RGB[:3, :5]], RGB[:3, :5]),
    "a vector": Shows([np.zeros(9, np.uint8)], "uint8 of shape (9,)"),
    "a film": Shows([np.stack([RGB, RGB])], "uint8 of shape (2, 40, 48, 3)"),
    "nothing in it": Shows([np.zeros((0, 48, 3), np.uint8)], "uint8 of shape (0, 48, 3)"),
    "one pixel": Shows([np.zeros((1, 1, 3), np.uint8)], "uint8 of shape (1, 1, 3)"),
    "lists": Shows([RGB.tolist()], RGB),
    "a list of pictures": Shows([[BLACK, RGB]], RGB),
    "ragged lists": Shows([[[1, 2], [3]]], "no array"),
    "a tensor": Shows([torch.from_numpy(UNIT)], RGB, said="scaled"),
    "Pillow's image": Shows([Image.fromarray(RGB)], RGB),
    "text": Shows(["a picture"], "no array of numbers, but str"),
    "complex numbers": Shows([UNIT + 1j], "no array of numbers"),
    "another size": Shows([RGB, RGB[:30]], "is (30, 48, 3) where the first was (40, 48, 3)"),
    "in a Dict": Shows(
        [{"image": RGB, "speed": np.zeros(2)}],
        RGB,
        spaces.Dict(image=box(0, 255, RGB.shape, np.uint8), speed=box(-1, 1, (2,), float)),
    ),
    "two in a Dict": Shows([{"a": RGB, "b": RGB}], "gives neither", TWO_PICTURES),
    "nothing": Shows([np.zeros(3)], "gives neither", box(-1, 1, (3,), np.float64)),
    "a table of numbers": Shows([np.zeros((4, 5))], "gives neither", box(0, 1, (4, 5), np.float64)),
    "render gives None": Shows([None], "gives neither"),
}  # fmt: skip


def settings_of(row: Shows) -> dict[str, Any]:
    if row.space is None:
        return {"rendered": row.shown}
    return {"shown": row.shown, "space": row.space}


@pytest.fixture(autouse=True)
def fresh_notices():
    notices.forget()


@pytest.mark.filterwarnings("ignore")  # Gymnasium's own remarks on such environments
@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_every_kind_of_picture_is_read_right_or_refused_by_a_sentence_that_names_it(row, caplog):
    for lanes in (GymLanes(ODD, 1, **settings_of(row)), GymLanes(ODD, 1, disable_env_checker=True, **settings_of(row))):
        one, seeds = np.array([0]), [5]

        def look(lanes=lanes, one=one, seeds=seeds):
            seen = lanes.reset(one, seeds)
            for _ in row.shown[1:]:
                seen = lanes.step(one, np.zeros((1, 2), np.float32)).observations
            return seen

        if isinstance(row.means, str):
            with pytest.raises(ObservationError) as caught:
                look()
            sentence = str(caught.value)
            assert row.means in sentence and sentence.startswith("Odd-v0") and sentence.endswith(".")
            assert "\n" not in sentence and caught.value.row == 0
            assert len(lanes._envs[0].unwrapped.taken) == len(row.shown) - 1, "as soon as it can be seen"
        else:
            seen = look()
            assert seen.dtype == np.uint8 and seen.flags.c_contiguous
            np.testing.assert_array_equal(seen[0], row.means)
    told = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert len(told) == bool(row.said), told
    assert all(row.said in each and "Odd-v0" in each for each in told)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_an_image_environments_observation_is_inside_its_space_or_there_is_none(row):
    env = GymImageEnv(gym.make(ODD, **settings_of(row)), size=(30, 20))

    def look():
        seen = [env.reset(seed=1)[0]]
        return seen + [env.step([0.0, 0.0])[0] for _ in row.shown[1:]]

    if isinstance(row.means, str):
        with pytest.raises(ObservationError):
            look()
    else:
        seen = look()
        assert all(env.observation_space.contains(each) for each in seen) and seen[-1].any()


def test_a_declared_picture_is_the_observation_and_anything_else_is_rendered():
    pictures = [box(0, 255, (7, 7, 3), np.uint8), box(0, 255, (32, 40), np.uint8), box(-1, 1, (3, 64, 64), np.float32)]
    others = [
        box(0, 1, (8, 8), np.float32),  # a board
        box(0, 255, (4, 84, 84), np.uint8),  # four frames
        box(-np.inf, np.inf, (64, 64, 3), np.float32),
        spaces.Dict(image=pictures[0]),
        spaces.Discrete(3),
    ]
    assert all(map(declares_picture, pictures)) and not any(map(declares_picture, others))
    for space in others:
        env = OddEnv(shown=[space.sample()], rendered=[RGB], space=space)
        np.testing.assert_array_equal(PictureReader(env).read(env.reset()[0]), RGB)


def test_the_newest_of_a_list_of_renderings_is_taken():
    env = RenderCollection(OddEnv(rendered=[RGB, RGB[::-1]], render_mode="rgb_array"))
    reader = PictureReader(env)
    np.testing.assert_array_equal(reader.read(env.reset()[0]), RGB)
    np.testing.assert_array_equal(reader.read(env.step(None)[0]), RGB[::-1])
    with pytest.raises(ObservationError, match="empty list"):
        reader.read(None)


def test_where_both_ends_could_be_channels_they_are_the_last():
    assert layout_of((3, 5, 3)) == layout_of((60, 70, 3)) == (3, False)
    assert layout_of((3, 60, 70)) == (3, True) and layout_of((1, 60, 70)) == (1, True)


@pytest.mark.filterwarnings("ignore")
def test_lanes_whose_pictures_differ_in_size_are_refused_with_both_sizes():
    lanes = GymLanes(ODD, 2, rendered=[RGB])
    lanes._envs[1].unwrapped.rendered = [RGB[:30]]
    with pytest.raises(ObservationError, match=r"\(30, 48, 3\) where another episode's was \(40, 48, 3\)") as caught:
        lanes.reset(np.arange(2), [0, 1])
    assert caught.value.row == 1


@pytest.mark.filterwarnings("ignore")
def test_a_refusal_while_driving_names_lane_seed_and_step():
    lanes = GymLanes(ODD, 2, rendered=[UNIT, UNIT, RGB * 1.0])
    with pytest.raises(ObservationError, match=r"\(lane 0, seed 7, step 1\)\.$") as caught:
        drive(lanes, NoisePolicy(lanes.actions, 9), [Episode(0, 7), Episode(0, 8)], time_limit=9)
    assert not isinstance(caught.value, EnvironmentFailure)
    assert "Traceback" not in str(caught.value)


@pytest.mark.filterwarnings("ignore")
def test_gray_is_filmed_in_three_channels():
    filmed = film(Recipe(GRAY, backend="gymnasium", policy="uniform"), 3, time_limit=2)
    assert filmed.pictures.shape == (2, 40, 48, 3) and filmed.rollout.observations.shape == (2, 64, 64, 3)


def test_uint8_pictures_pass_untouched_and_are_not_copied():
    env = OddEnv(shown=[RGB], space=box(0, 255, RGB.shape, np.uint8))
    reader = PictureReader(env)
    first, again = reader.read(RGB), reader.read(RGB)
    assert again is RGB and np.shares_memory(first, RGB)


FORMS = st.sampled_from([(6, 7, 3), (9, 8), (5, 6, 1), (1, 6, 5), (3, 8, 9), (40, 33, 3), (32, 32), (4, 4, 4)])
DTYPES = st.sampled_from([np.bool_, np.uint8, np.int8, np.uint16, np.int64, np.float16, np.float32, np.float64])
RANGES = st.sampled_from([(0, 1), (0, 9), (0, 100), (-1, 1), (-100, 100), (0, 255), (0, 65535), (-np.inf, np.inf)])


@st.composite
def pictures(draw: Any) -> tuple[Any, Any]:
    """(a picture of any kind, the space that declares it or None)."""
    shape, dtype = draw(FORMS), np.dtype(draw(DTYPES))
    space = None
    if draw(st.booleans()) and dtype.kind != "b":
        low, high = draw(RANGES)
        least, most = (-np.inf, np.inf) if dtype.kind == "f" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
        if dtype == np.float16 and high == 65535:
            high = 60000
        space = (
            spaces.Box(max(low, least), min(high, most), shape, dtype) if max(low, least) < min(high, most) else None
        )
    top = draw(st.sampled_from([1, 9, 255, 300, 1e9]))
    if dtype.kind == "f":
        numbers = st.floats(-top, top, width=dtype.itemsize * 8) if draw(st.booleans()) else st.floats(0, 1, width=16)
        if top > 60000 and dtype.itemsize == 2:
            numbers = st.floats(width=16)  # and NaN and infinity
    else:
        numbers = None
    shown = draw(arrays.arrays(dtype, shape, elements=numbers))
    if dtype.kind in "iu" and draw(st.booleans()):
        shown = shown % min(int(top) + 1, np.iinfo(dtype).max)
    return shown, space


@settings(max_examples=300)
@given(picture=pictures())
def test_what_reaches_v_is_from_0_to_255_and_not_all_black_or_it_is_refused(picture):
    shown, space = picture
    env = OddEnv(rendered=[shown]) if space is None else OddEnv(shown=[shown], space=space)
    try:
        frame = PictureReader(env).read(env.reset()[0])
    except ActionSpaceError as refusal:
        assert "\n" not in str(refusal)
        return
    assert frame.dtype == np.uint8 and frame.ndim == 3 and frame.shape[-1] == 3
    limits = declared_range(space) or (0.0, 1.0)
    black, slight = limits[0], min(0.01 * (limits[1] - limits[0]), 1)
    colours = shown[..., :3] if shown.shape[-1] == 4 else shown
    if (colours.astype(float) > black + slight).any():
        assert frame.any()
