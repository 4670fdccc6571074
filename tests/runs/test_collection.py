"""Collection: exactly as many files as asked for, the same ones however often it was stopped."""

from pathlib import Path

import numpy as np
import pytest

from tests.small_envs import PICK, STEER
from tests.small_runs import save_run
from world_models.datasets.rollout_files import list_rollouts, read_meta, read_rollout
from world_models.envs.registry import make_gym
from world_models.errors import CheckpointError, ConfigError, DataError, EnvironmentNameError
from world_models.rollout import driver
from world_models.runs import collection as collect_stage
from world_models.runs.collection import generate_rollouts


def collect(folder: Path, n: int, steps: int = 7, **changes) -> list[Path]:
    settings = {"env_name": STEER, "seq_len": steps, "num_workers": 1, "display": False, **changes}
    return generate_rollouts(folder, num_rollouts=n, **settings)


def contents(folder: Path) -> dict[str, dict[str, bytes]]:
    """Every array of every file, by name; also files that should not be there."""
    return {
        path.name: {key: np.load(path)[key].tobytes() for key in np.load(path)} for path in sorted(folder.iterdir())
    }


def test_there_are_exactly_as_many_files_as_asked_for_of_the_documented_schema(tmp_path):
    written = collect(tmp_path / "data", 5)
    assert written == list_rollouts(tmp_path / "data") and len(written) == 5
    lengths = set()
    for path in written:
        rollout = read_rollout(path)
        n = len(rollout)
        assert 1 <= n <= 7
        assert rollout.observations.shape == (n, 64, 64, 3) and rollout.observations.dtype == np.uint8
        assert rollout.actions.shape == (n, 2) and rollout.actions.dtype == np.float32
        assert rollout.rewards.dtype == rollout.terminals.dtype == np.float32
        # An episode that the environment ended is shorter than the limit or ends in a terminal; a cut one has none.
        assert not rollout.terminals[:-1].any() and (rollout.terminals[-1] == 1 or n == 7)
        lengths.add(n)
    assert len(lengths) > 1


def test_a_folder_is_topped_up_and_what_was_there_stays(tmp_path):
    collect(tmp_path / "slow", 2)
    before = contents(tmp_path / "slow")
    assert len(collect(tmp_path / "slow", 5)) == 3
    assert collect(tmp_path / "slow", 5) == []
    after = contents(tmp_path / "slow")
    assert before.items() <= after.items() and len(after) == 5
    collect(tmp_path / "fast", 5)
    assert after == contents(tmp_path / "fast")


def test_a_gap_is_filled_with_the_file_that_was_there_and_other_files_count(tmp_path):
    collect(tmp_path / "data", 4)
    before = contents(tmp_path / "data")
    (tmp_path / "data" / "rollout_00001.npz").unlink()
    collect(tmp_path / "data", 4)
    assert contents(tmp_path / "data") == before
    (tmp_path / "data" / "rollout_00002.npz").rename(tmp_path / "data" / "mine.npz")
    assert collect(tmp_path / "data", 4) == []
    assert len(collect(tmp_path / "data", 5)) == 1
    assert len(list_rollouts(tmp_path / "data")) == 5


def test_a_collection_that_was_interrupted_and_started_again_ends_with_the_same_files(tmp_path, monkeypatch):
    collect(tmp_path / "straight", 6)
    written = []
    write = driver.write_rollout

    def interrupted(path, *args):
        if len(written) == 3:
            raise KeyboardInterrupt
        written.append(path)
        write(path, *args)

    monkeypatch.setattr(driver, "write_rollout", interrupted)
    with pytest.raises(KeyboardInterrupt):
        collect(tmp_path / "stopped", 6)
    assert len(contents(tmp_path / "stopped")) == 3
    monkeypatch.setattr(driver, "write_rollout", write)
    assert len(collect(tmp_path / "stopped", 6)) == 3
    assert contents(tmp_path / "stopped") == contents(tmp_path / "straight")


def test_rollouts_whose_seeds_hash_alike_still_get_files_of_their_own(tmp_path, monkeypatch):
    real = collect_stage.derive_seed
    monkeypatch.setattr(collect_stage, "derive_seed", lambda *parts: real(*parts) % 8)
    assert len(collect(tmp_path / "data", 6)) == len(list_rollouts(tmp_path / "data")) == 6
    before = contents(tmp_path / "data")
    (tmp_path / "data" / "rollout_00004.npz").unlink()
    collect(tmp_path / "data", 6)
    assert contents(tmp_path / "data") == before


def test_processes_write_the_same_files_as_one_does(tmp_path, monkeypatch):
    monkeypatch.setattr("world_models.executors.local.cpu_count", lambda: 2)
    collect(tmp_path / "one", 3)
    collect(tmp_path / "two", 3, num_workers=2)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_every_rollout_is_another_and_another_seed_gives_others(tmp_path):
    collect(tmp_path / "a", 3)
    collect(tmp_path / "b", 3, seed=1)
    frames = [file["observations"] for folder in "ab" for file in contents(tmp_path / folder).values()]
    assert len(set(frames)) == 6


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return save_run(tmp_path_factory.mktemp("run"), controller=True)


@pytest.mark.parametrize("policy", ["agent", "uniform", "brownian"])
def test_every_policy_acts_within_the_action_space_and_the_file_says_who_drove(tmp_path, run, policy):
    (path,) = collect(tmp_path, 1, policy=policy, logdir=run)
    actions = read_rollout(path).actions
    space = make_gym(STEER).action_space
    assert all(space.contains(row) for row in actions) and actions.std() > 0
    meta = read_meta(path)
    assert (meta["policy"], meta["backend"], meta["env_id"]) == (policy, "gymnasium", STEER)


def test_discrete_actions_are_stored_one_hot_and_rendered_pixels_are_the_observations(tmp_path):
    (path,) = collect(tmp_path, 1, env_name=PICK)
    rollout = read_rollout(path)
    assert rollout.actions.shape == (5, 3) and (rollout.actions.sum(-1) == 1).all()
    assert rollout.observations[:, 0, 0, 0].tolist() == [0, 10, 20, 30, 40]
    np.testing.assert_array_equal(rollout.rewards, rollout.actions[:, 1])


def test_carracing_is_collected_from_its_own_pixels(tmp_path):
    (path,) = collect(tmp_path, 1, env_name="CarRacing-v2", steps=12, backend="gymnasium", policy="brownian")
    rollout = read_rollout(path)
    assert len(rollout) == 12 and rollout.terminals.sum() == 0 and rollout.actions.shape == (12, 3)
    assert (rollout.actions[:, 1:] >= 0).all() and (np.abs(rollout.actions) <= 1).all()
    assert read_meta(path)["env_id"] == "CarRacing-v3" and rollout.observations.std() > 10


@pytest.mark.parametrize("name", ["num_rollouts", "seq_len", "num_workers"])
@pytest.mark.parametrize("value", [0, -3, 2.5])
def test_a_number_that_cannot_work_is_an_error_with_its_name_and_value_and_nothing_is_written(tmp_path, name, value):
    settings = {"num_rollouts": 2, "seq_len": 3, "num_workers": 1, name: value}
    with pytest.raises(ConfigError, match=f"{name}={value}"):
        generate_rollouts(tmp_path / "data", STEER, **settings)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"env_name": "Steer-v99"}, EnvironmentNameError),
        ({"policy": "drunk"}, ConfigError),
        ({"backend": "mujoco"}, ConfigError),
        ({"policy": "agent", "logdir": "no/such/run"}, CheckpointError),
        ({"policy": "agent"}, ConfigError),
    ],
)
def test_what_cannot_be_collected_is_an_error_and_nothing_is_written(tmp_path, changes, error):
    with pytest.raises(error):
        collect(tmp_path / "data", 2, **changes)
    assert not (tmp_path / "data").exists()


def test_a_folder_with_more_than_was_asked_for_is_an_error_and_nothing_is_lost(tmp_path):
    collect(tmp_path, 3)
    before = contents(tmp_path)
    with pytest.raises(DataError, match=r"has 3 rollouts already, more than num_rollouts=2"):
        collect(tmp_path, 2)
    assert contents(tmp_path) == before
