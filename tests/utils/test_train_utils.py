"""EarlyStopping and ReduceLROnPlateau, the latter against torch's own as an independent oracle."""

import io
import json
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from world_models.utils.train_utils import EarlyStopping, ReduceLROnPlateau


def sgd(*rates: float) -> torch.optim.Optimizer:
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": rate} for rate in rates or (0.1,)]
    return torch.optim.SGD(groups)


def plain(value) -> bool:
    if isinstance(value, list):
        return all(plain(each) for each in value)
    return type(value) in (int, float, str, bool)


def stepped(watcher, metrics):
    for metric in metrics:
        watcher.step(metric)
    return watcher


def test_min_mode_stops_only_after_more_than_patience_bad_epochs():
    stopping = EarlyStopping(mode="min", patience=2)
    assert [stopping.step(metric) for metric in (1.0, 1.0, 1.1, 1.2)] == [False, False, False, True]
    assert stopping.stop is True and stopping.num_bad_epochs == 3 and stopping.best == 1.0


def test_max_mode_stops_when_the_metric_falls_and_not_while_it_rises():
    assert stepped(EarlyStopping("max", patience=1), [1.0, 2.0, 3.0, 4.0]).stop is False
    assert stepped(EarlyStopping("max", patience=1), [4.0, 3.0, 2.0]).stop is True


def test_an_improvement_resets_the_count():
    stopping = stepped(EarlyStopping(patience=2), [1.0, 1.0, 1.0, 0.5])
    assert (stopping.num_bad_epochs, stopping.best, stopping.stop) == (0, 0.5, False)


def test_patience_zero_stops_at_the_first_bad_epoch():
    assert stepped(EarlyStopping(patience=0), [1.0]).stop is False
    assert stepped(EarlyStopping(patience=0), [1.0, 1.0]).stop is True


@pytest.mark.parametrize(("mode", "threshold_mode", "just_not", "just"), [
    ("min", "rel", 9.1, 8.9), ("max", "rel", 10.9, 11.1), ("min", "abs", 9.91, 9.89),
    ("max", "abs", 10.09, 10.11),
])  # fmt: skip
def test_only_more_than_the_threshold_counts_as_better(mode, threshold_mode, just_not, just):
    for metric, bad in ((just_not, 1), (just, 0)):
        stopping = stepped(EarlyStopping(mode, 5, 0.1, threshold_mode), [10.0, metric])
        assert stopping.num_bad_epochs == bad


def test_a_negative_metric_that_stands_still_or_gets_worse_is_no_improvement():
    for mode, worse in (("min", -0.99999), ("max", -1.00001)):
        stopping = stepped(EarlyStopping(mode, patience=3, threshold=1e-2), [-1.0, -1.0, worse, -1.0, worse])
        assert stopping.stop is True and stopping.best == -1.0
    assert stepped(EarlyStopping(threshold=1e-2), [-1.0, -1.5]).best == -1.5


def test_nan_is_a_bad_epoch_and_never_the_best():
    stopping = stepped(EarlyStopping(patience=1), [math.nan, 1.0, math.nan, math.nan])
    assert stopping.stop is True and stopping.best == 1.0


def test_last_epoch_counts_steps_and_can_be_given():
    stopping = EarlyStopping()
    assert stopping.last_epoch == -1
    assert stepped(stopping, [1.0, 1.0]).last_epoch == 1
    stopping.step(1.0, epoch=9)
    assert stopping.last_epoch == 9


def test_a_tensor_metric_is_kept_as_a_number():
    stopping = EarlyStopping()
    stopping.step(torch.tensor(0.5))
    assert type(stopping.best) is float


@pytest.mark.parametrize("make", [EarlyStopping, lambda **given: ReduceLROnPlateau(sgd(), **given)])
@pytest.mark.parametrize("wrong", [
    {"mode": "smallest"}, {"threshold_mode": "relative"}, {"patience": -1}, {"threshold": -1e-4},
    {"threshold": math.nan},
])  # fmt: skip
def test_a_setting_that_cannot_work_is_a_value_error_that_names_it(make, wrong):
    name, value = next(iter(wrong.items()))
    with pytest.raises(ValueError, match=f"{name} is {value!r}"):
        make(**wrong)


@pytest.mark.parametrize("wrong", [
    {"factor": 1.0}, {"factor": 0.0}, {"cooldown": -1}, {"eps": -1.0}, {"min_lr": [0.0, 0.0]},
    {"min_lr": -1.0},
])  # fmt: skip
def test_a_scheduler_setting_that_cannot_work_is_a_value_error(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ReduceLROnPlateau(sgd(0.1), **wrong)


def test_the_rate_falls_by_the_factor_after_more_than_patience_bad_epochs():
    optimizer = sgd(0.1)
    scheduler = ReduceLROnPlateau(optimizer, factor=0.5, patience=2)
    rates = []
    for metric in [1.0] * 7:
        scheduler.step(metric)
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.025])
    assert scheduler.lr == [optimizer.param_groups[0]["lr"]]


def test_the_rate_stays_while_the_metric_improves():
    assert stepped(ReduceLROnPlateau(sgd(0.1), patience=0), [1.0, 0.9, 0.8]).lr == [0.1]


def test_each_param_group_has_its_own_rate_and_lower_bound():
    scheduler = ReduceLROnPlateau(sgd(0.1, 0.2), factor=0.1, patience=0, min_lr=[0.05, 0.0])
    assert stepped(scheduler, [1.0, 1.0]).lr == pytest.approx([0.05, 0.02])


metric_lists = st.lists(st.floats(0, 10).map(lambda value: round(value, 2)), min_size=1, max_size=40)
settings_of_both = st.fixed_dictionaries({
    "mode": st.sampled_from(["min", "max"]),
    "factor": st.sampled_from([0.1, 0.5, 0.9]),
    "patience": st.integers(0, 4),
    "threshold": st.sampled_from([0.0, 1e-4, 0.1, 0.5]),
    "threshold_mode": st.sampled_from(["rel", "abs"]),
    "cooldown": st.integers(0, 3),
    "min_lr": st.sampled_from([0.0, 0.02, [0.0, 0.05]]),
    "eps": st.sampled_from([0.0, 1e-8, 0.05]),
})  # fmt: skip


@given(metrics=metric_lists, given_settings=settings_of_both)
def test_the_rates_are_those_of_torchs_own_scheduler(metrics, given_settings):
    ours, theirs = sgd(0.1, 0.3), sgd(0.1, 0.3)
    mine = ReduceLROnPlateau(ours, **given_settings)
    oracle = torch.optim.lr_scheduler.ReduceLROnPlateau(theirs, **given_settings)
    for metric in metrics:
        mine.step(metric)
        oracle.step(metric)
        assert mine.lr == [group["lr"] for group in theirs.param_groups]
        assert (mine.best, mine.num_bad_epochs) == (oracle.best, oracle.num_bad_epochs)


def through_a_file(state):
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


@given(metrics=metric_lists, cut=st.integers(0, 40), given_settings=settings_of_both)
def test_a_scheduler_goes_on_from_its_state_as_if_never_stopped(metrics, cut, given_settings):
    whole = stepped(ReduceLROnPlateau(sgd(0.1, 0.3), **given_settings), metrics)
    first = stepped(ReduceLROnPlateau(sgd(0.1, 0.3), **given_settings), metrics[:cut])
    second = ReduceLROnPlateau(sgd(9.0, 9.0))
    second.load_state_dict(through_a_file(first.state_dict()))
    assert second.state_dict() == first.state_dict() and second.lr == first.lr
    assert stepped(second, metrics[cut:]).state_dict() == whole.state_dict()


@given(
    metrics=metric_lists,
    cut=st.integers(0, 40),
    patience=st.integers(0, 5),
    mode=st.sampled_from(["min", "max"]),
)
def test_early_stopping_goes_on_from_its_state_as_if_never_stopped(metrics, cut, patience, mode):
    whole = stepped(EarlyStopping(mode, patience), metrics)
    second = EarlyStopping()
    second.load_state_dict(through_a_file(stepped(EarlyStopping(mode, patience), metrics[:cut]).state_dict()))
    assert stepped(second, metrics[cut:]).state_dict() == whole.state_dict()
    assert second.stop == whole.stop


def test_a_state_has_plain_values_alone():
    for watcher in (EarlyStopping(), ReduceLROnPlateau(sgd(0.1, 0.2), min_lr=[0.0, 1e-3])):
        watcher.step(torch.tensor(0.5))
        state = watcher.state_dict()
        assert all(plain(value) for value in state.values())
        assert json.loads(json.dumps(state)) == state


def test_a_state_is_a_snapshot_and_loading_shares_nothing():
    first = ReduceLROnPlateau(sgd(0.1), patience=0, min_lr=[0.01])
    state = first.state_dict()
    second = ReduceLROnPlateau(sgd(0.1))
    second.load_state_dict(state)
    state["min_lrs"][0] = 5.0
    assert second.min_lrs == first.min_lrs == [0.01]


def test_a_state_of_something_else_is_refused_and_changes_nothing():
    for watcher in (EarlyStopping(patience=7), ReduceLROnPlateau(sgd(0.1), patience=7)):
        before = watcher.state_dict()
        with pytest.raises(ValueError, match="lacks"):
            watcher.load_state_dict({"best": 1.0, "patience": 3})
        assert watcher.state_dict() == before
    with pytest.raises(ValueError, match="param_groups"):
        ReduceLROnPlateau(sgd(0.1)).load_state_dict(ReduceLROnPlateau(sgd(0.1, 0.2)).state_dict())


@pytest.mark.parametrize("make", [EarlyStopping, lambda: ReduceLROnPlateau(sgd())])
def test_the_metric_is_given_by_place_by_torchs_name_or_by_ours(make):
    states = []
    for call in (lambda w: w.step(0.5), lambda w: w.step(metrics=0.5), lambda w: w.step(metric=0.5)):
        watcher = make()
        call(watcher)
        states.append(watcher.state_dict())
    assert states[0] == states[1] == states[2] and states[0]["best"] == 0.5
    watcher = make()
    watcher.step(metrics=torch.tensor(2.0), epoch=7)
    assert (watcher.best, watcher.last_epoch) == (2.0, 7)
    for wrong in ({}, {"metrics": 1.0, "metric": 1.0}):
        with pytest.raises(TypeError, match="takes one metric"):
            watcher.step(**wrong)
    assert watcher.last_epoch == 7


def test_the_worst_metric_and_the_cooldown_are_told_as_torch_tells_them():
    assert EarlyStopping("min").best == EarlyStopping("min").mode_worse == math.inf
    assert EarlyStopping("max").best == EarlyStopping("max").mode_worse == -math.inf
    scheduler = ReduceLROnPlateau(sgd(0.1), patience=0, cooldown=2)
    told = []
    for metric in [1.0] * 5:
        scheduler.step(metric)
        told.append(scheduler.in_cooldown)
    assert told == [False, True, True, False, True]


def test_a_scheduler_of_something_else_than_an_optimizer_is_a_type_error():
    with pytest.raises(TypeError, match="optimizer is a list"):
        ReduceLROnPlateau([torch.zeros(1)])
