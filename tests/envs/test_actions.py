"""C's numbers to the environment's actions and back to what its `step` takes."""

import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from world_models.envs.actions import SQUASHES, ActionAdapter
from world_models.errors import ActionSpaceError

CAR = spaces.Box(np.array([-1, 0, 0], np.float32), np.array([1, 1, 1], np.float32))
CAR_SQUASH = ("tanh", "sigmoid", "clipped_tanh")
FINITE = st.floats(-1e6, 1e6, width=32)


def test_carracing_steers_by_tanh_gasses_by_sigmoid_and_brakes_by_clipped_tanh():
    raw = torch.tensor([[0.5, -1.0, 0.25], [-3.0, 2.0, -2.0]])
    actions = ActionAdapter(CAR, CAR_SQUASH).from_raw(raw)
    expected = [[np.tanh(a), 1 / (1 + np.exp(-b)), max(0.0, np.tanh(c))] for a, b, c in raw.numpy()]
    np.testing.assert_allclose(actions.numpy(), expected, rtol=1e-6)


@given(
    raw=arrays.arrays(np.float32, (4, 2), elements=FINITE),
    low=st.floats(-50, 50, width=32),
    width=st.floats(0.5, 100, width=32),
    names=st.tuples(*[st.sampled_from(sorted(SQUASHES))] * 2),
)
def test_an_action_lies_in_the_box_whatever_c_says(raw, low, width, names):
    space = spaces.Box(np.full(2, low, np.float32), np.full(2, low + width, np.float32))
    adapter = ActionAdapter(space, names)
    actions = adapter.from_raw(torch.from_numpy(raw)).numpy()
    native = adapter.native(actions)
    assert native.dtype == np.float32 and all(space.contains(row) for row in native)
    np.testing.assert_array_equal(native, actions)  # what files store and M reads is what the environment takes


def test_the_default_squash_is_tanh_over_the_whole_range():
    adapter = ActionAdapter(spaces.Box(np.float32(-2), np.float32(6), (1,)))
    actions = adapter.from_raw(torch.tensor([[-99.0], [0.0], [99.0]]))
    np.testing.assert_allclose(actions[:, 0], [-2, 2, 6])


@given(raw=arrays.arrays(np.float32, (5, 4), elements=FINITE), start=st.integers(-3, 3))
def test_a_discrete_action_is_one_hot_at_the_largest_number_and_its_own_integer_for_the_environment(raw, start):
    space = spaces.Discrete(4, start=start)
    adapter = ActionAdapter(space)
    actions = adapter.from_raw(torch.from_numpy(raw)).numpy()
    assert actions.shape == (5, 4) and (actions.sum(-1) == 1).all() and set(actions.ravel()) <= {0.0, 1.0}
    native = adapter.native(actions)
    assert all(space.contains(int(a)) for a in native)
    np.testing.assert_array_equal(raw[np.arange(5), native - start], raw.max(-1))


@pytest.mark.parametrize(
    "space",
    [
        spaces.MultiDiscrete([2, 3]),
        spaces.Box(-1, 1, (2, 2)),
        spaces.Box(-np.inf, np.inf, (2,)),
        spaces.Dict({"a": spaces.Discrete(2)}),
    ],
)
def test_a_space_that_cannot_be_driven_is_an_error_with_its_name_and_a_mend(space):
    with pytest.raises(ActionSpaceError, match=r"of Robot-v0 is .*wrap the environment"):
        ActionAdapter(space, where="Robot-v0")


def test_as_many_squashes_as_actions_must_be_named():
    with pytest.raises(ActionSpaceError, match="Robot-v0 has 3 actions but 1 squashes"):
        ActionAdapter(CAR, ("tanh",), where="Robot-v0")


@given(raw=arrays.arrays(np.float32, (6, 1), elements=FINITE), count=st.integers(2, 5), seed=st.integers(0, 99))
def test_along_a_line_equal_parts_of_minus_one_to_one_are_an_action_each(raw, count, seed):
    space = spaces.Discrete(count, start=2)
    line = 2 + np.random.default_rng(seed).permutation(count)
    adapter = ActionAdapter(space, line=line)
    thresholds = [-1 + 2 * part / count for part in range(1, count)]
    assume(min(abs(x - threshold) for x in raw[:, 0] for threshold in thresholds) > 1e-5)
    actions = adapter.from_raw(torch.from_numpy(raw)).numpy()
    places = [sum(float(x) > threshold for threshold in thresholds) for x in raw[:, 0]]
    np.testing.assert_allclose(actions[:, 0], [-1 + 2 * place / (count - 1) for place in places], atol=1e-6)
    np.testing.assert_array_equal(adapter.native(actions), line[places])
    np.testing.assert_array_equal(adapter.native(adapter.choices), line)
    assert adapter.discrete and adapter.size == 1 and (adapter.low, adapter.high) == ([-1], [1])


@pytest.mark.parametrize("line", [(0, 1, 1), (0, 3), (1,)])
def test_a_line_names_actions_of_the_space_each_once(line):
    with pytest.raises(ActionSpaceError, match="no order of actions of Robot-v0"):
        ActionAdapter(spaces.Discrete(3), where="Robot-v0", line=line)


def test_only_discrete_actions_lie_along_a_line():
    with pytest.raises(ActionSpaceError, match="Robot-v0 are Box"):
        ActionAdapter(CAR, CAR_SQUASH, where="Robot-v0", line=(0, 1, 2))


@pytest.mark.parametrize("axes", [(), (3,), (2, 3)], ids=str)
def test_actions_in_either_form_with_any_leading_axes_are_as_stored(axes):
    box = ActionAdapter(spaces.Box(-1, 2, (2,), np.float32))
    floats = np.random.default_rng(0).normal(0, 2, (*axes, 2))
    np.testing.assert_array_equal(box.as_stored(floats), floats.astype(np.float32).clip(-1, 2))
    picks = ActionAdapter(spaces.Discrete(3, start=3))
    native = np.random.default_rng(0).integers(3, 6, axes)
    stored = picks.as_stored(native)
    np.testing.assert_array_equal(stored, np.eye(3)[native - 3])
    np.testing.assert_array_equal(picks.as_stored(stored), stored)
    for adapter in (box, picks):
        with pytest.raises(ActionSpaceError, match="no action of"):
            adapter.as_stored(np.zeros((*axes, 5)))
