"""What reaches an environment's `step` is inside its space, in its own dtype, whatever C, files or noise say."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tests.odd_envs import ODD, OddEnv
from world_models.envs.actions import ActionAdapter
from world_models.envs.gym_env import GymImageEnv, GymLanes
from world_models.errors import ActionSpaceError
from world_models.rollout.loop import drive
from world_models.rollout.policies import NoisePolicy
from world_models.types import Episode

RGB = np.full((40, 48, 3), 7, np.uint8)
INTEGERS = [np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64]
FLOATS = [np.float16, np.float32, np.float64]
HUGE = np.finfo(np.float32).max
WIDE = st.floats(-float(HUGE), float(HUGE), width=32)


@st.composite
def boxes(draw: Any) -> spaces.Box:
    """Bounded Boxes of one dimension, of every dtype, up to the widest bounds that one may have."""
    dtype = np.dtype(draw(st.sampled_from([*INTEGERS, *FLOATS, np.bool_])))
    size = draw(st.integers(1, 4))
    if dtype.kind == "b":
        return spaces.Box(0, 1, (size,), dtype)
    if dtype.kind == "f":
        top = float(dtype.type(min(float(np.finfo(dtype).max), draw(st.sampled_from([1e-3, 1.0, 9.5, 1e30, 8e37])))))
        numbers = st.floats(-top, top, width=min(64, dtype.itemsize * 8), allow_subnormal=False)
    else:
        # Gymnasium itself keeps the last two numbers of int64 for itself.
        least, most = max(np.iinfo(dtype).min, -(2**63)), min(np.iinfo(dtype).max, 2**63 - 2)
        numbers = st.integers(int(least), int(most)) | st.integers(max(-9, int(least)), 9)
    pairs = [sorted((draw(numbers), draw(numbers))) for _ in range(size)]
    low, high = (np.array([pair[k] for pair in pairs], dtype) for k in (0, 1))
    return spaces.Box(low, high, dtype=dtype)


DISCRETES = st.builds(lambda n, start: spaces.Discrete(n, start=start), st.integers(1, 9), st.integers(-(2**40), 2**40))


@settings(max_examples=300)
@given(data=st.data(), space=boxes() | DISCRETES)
def test_native_actions_are_inside_the_space_whatever_c_or_a_file_says(data, space):
    adapter = ActionAdapter(space)
    raw = data.draw(arrays.arrays(np.float32, (3, adapter.size), elements=WIDE))
    squashed = adapter.from_raw(torch.from_numpy(raw)).numpy()
    for actions in (squashed, raw):
        natives = adapter.native(actions)
        assert natives.dtype == space.dtype and all(space.contains(native) for native in natives), natives
    stored = adapter.stored(adapter.native(squashed))
    assert stored.dtype == np.float32 and stored.shape == squashed.shape
    np.testing.assert_array_equal(adapter.native(stored), adapter.native(squashed))
    if adapter.whole:
        np.testing.assert_array_equal(squashed, np.rint(squashed))


@settings(max_examples=60)
@given(space=boxes() | DISCRETES, seed=st.integers(0, 99))
def test_what_a_space_samples_can_be_stored_and_given_back(space, seed):
    space.seed(seed)
    adapter, sample = ActionAdapter(space), space.sample()
    stored = adapter.stored(sample)
    assert stored.shape == (1, adapter.size) and stored.dtype == np.float32
    assert space.contains(adapter.native(stored)[0])
    if adapter.discrete or np.dtype(space.dtype).itemsize < 4:
        np.testing.assert_array_equal(adapter.native(stored)[0], sample)


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=40)
@given(data=st.data(), space=boxes() | DISCRETES, kind=st.sampled_from(["uniform", "brownian"]))
def test_what_reaches_step_through_lanes_and_image_environments_is_inside_the_space(data, space, kind):
    lanes = GymLanes(ODD, 1, rendered=[RGB], actions=space)
    noise = NoisePolicy(lanes.actions, 5, kind)
    drive(lanes, noise, [Episode(0, 3)], time_limit=5)
    env = GymImageEnv(OddEnv(rendered=[RGB], actions=space))
    env.reset()
    for raw in data.draw(arrays.arrays(np.float32, (3, lanes.actions.size), elements=WIDE)):
        env.step(raw)
    taken = lanes._envs[0].unwrapped.taken + env.unwrapped.taken
    assert len(taken) == 8 and all(space.contains(action) for action in taken), taken


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dtype", [*INTEGERS, *FLOATS, np.bool_])
def test_the_ends_and_the_middle_of_every_dtype_are_reached(dtype):
    high = 1 if dtype == np.bool_ else 4
    env = GymImageEnv(OddEnv(rendered=[RGB], actions=spaces.Box(0, high, (1,), dtype)))
    env.reset()
    for raw in (-99.0, 0.01, 99.0):
        env.step([raw])
    taken = np.concatenate(env.unwrapped.taken)
    assert taken.dtype == dtype
    np.testing.assert_allclose(taken.astype(float), [0, 1 if dtype == np.bool_ else 2, high], atol=0.03)


def test_uniform_noise_gives_each_whole_number_its_part():
    adapter = ActionAdapter(spaces.Box(-1, 1, (1,), np.int8))
    policy = NoisePolicy(adapter, 3000, "uniform")
    carry = policy.reset(policy.start(1), np.array([0]), [Episode(0, 3)])
    numbers, counts = np.unique(adapter.native(carry.actions[0]), return_counts=True)
    assert numbers.tolist() == [-1, 0, 1] and counts.min() > 900


REFUSED = {
    "infinite": spaces.Box(-np.inf, np.inf, (2,)),
    "infinite integers": spaces.Box(-np.inf, np.inf, (2,), np.int64),
    "infinite above": spaces.Box(0, np.inf, (2,)),
    "as wide as float32": spaces.Box(-HUGE, HUGE, (2,)),
    "float64 beyond float32": spaces.Box(-1e300, 1e300, (2,), np.float64),
    "no number": spaces.Box(-1, 1, (0,)),
    "a number": spaces.Box(-1, 1, ()),
    "a table": spaces.Box(-1, 1, (2, 3)),
    "two at once": spaces.MultiDiscrete([2, 3]),
    "binary": spaces.MultiBinary(3),
    "a dictionary": spaces.Dict(a=spaces.Discrete(2)),
    "a tuple": spaces.Tuple([spaces.Discrete(2)]),
    "text": spaces.Text(4),
    "very many": spaces.Discrete(10**7),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("space", REFUSED.values(), ids=REFUSED)
def test_a_space_that_cannot_be_driven_is_refused_before_anything_is(space):
    made: list[OddEnv] = []

    class Counted(OddEnv):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(rendered=[RGB], actions=space, **kwargs)
            made.append(self)

    gym.register("Counted-v0", entry_point=Counted)
    try:
        for build in (lambda: GymLanes("Counted-v0", 2), lambda: GymImageEnv("Counted-v0")):
            with pytest.raises(ActionSpaceError, match=r"of Counted-v0 is .*: only Discrete .* wrap the env") as caught:
                build()
            assert "\n" not in str(caught.value)
    finally:
        del gym.registry["Counted-v0"]
    assert made and not any(env.seeds or env.taken for env in made)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("space", [spaces.Box(-1, 1, (2,)), spaces.Box(0, 9, (2,), np.int64), spaces.Discrete(2)])
def test_no_environment_gets_nan_or_infinity(bad, space):
    lanes = GymLanes(ODD, 2, rendered=[RGB], actions=space)
    lanes.reset(np.arange(2), [0, 1])
    with pytest.raises(ActionSpaceError, match=r"action for .*Odd-v0 is \[.*(nan|inf)") as caught:
        lanes.step(np.arange(2), np.array([[0, 0], [0, bad]], np.float32))
    assert caught.value.row == 1 and not any(env.unwrapped.taken for env in lanes._envs)
    for raw in (True, False):
        env = GymImageEnv(OddEnv(rendered=[RGB], actions=space), raw=raw)
        env.reset()
        with pytest.raises(ActionSpaceError, match="which no environment gets"):
            env.step(np.array([0.5, bad]))
        assert not env.unwrapped.taken


@pytest.mark.parametrize(
    ("space", "native"),
    [
        (spaces.Discrete(3), -1),
        (spaces.Discrete(3, start=2), 5),
        (spaces.Discrete(3), 1.5),
        (spaces.Box(-1, 1, (2,)), [0.0, 1.0, 0.5]),
        (spaces.Box(-1, 1, (2,)), "left"),
    ],
)
def test_what_is_no_action_of_the_space_is_not_stored(space, native):
    with pytest.raises(ActionSpaceError, match=r"no action of Robot-v0, which takes"):
        ActionAdapter(space, where="Robot-v0").stored(native)
    with pytest.raises(ActionSpaceError, match="no environment gets"):
        ActionAdapter(spaces.Box(-1, 1, (2,))).stored([0.0, np.nan])
