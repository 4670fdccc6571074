"""Data that cannot be used: one sentence names the file, exit code 2, and the data stay as they were."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.cli_cases import ACTIONS, Refused, put_vae, rollouts, train
from tests.doubles import make_rollouts, noise_rollout
from world_models import cli
from world_models.datasets.rollout_files import DTYPES

STAGES = ("vae", "rnn")


@pytest.mark.parametrize("stage", STAGES)
def test_a_data_folder_that_is_not_there_or_empty_is_refused(refused: Refused, stage: str) -> None:
    put_vae()
    refused(*train("--stage", stage), says=("data", "no such data folder", "--generate_only"))
    Path("data").mkdir()
    refused(*train("--stage", stage), says=("data", "no rollout", "--generate_only"))


def _truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3000])


def _changed(**changes: object) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        arrays = {key: getattr(noise_rollout(8, ACTIONS), key) for key in DTYPES}
        for key, change in changes.items():
            if change is None:
                del arrays[key]
            else:
                arrays[key] = change(arrays[key])  # type: ignore[operator]
        np.savez(path, **arrays)

    return damage


def _nan(array: np.ndarray) -> np.ndarray:
    array[5] = np.nan
    return array


DAMAGES = {
    "truncated": (_truncated, ()),
    "no key": (_changed(rewards=None), ("rewards",)),
    "negative frames": (_changed(observations=lambda a: a - 0.5), ("observations", "float64", "-0.5", "uint8")),
    "complex rewards": (_changed(rewards=lambda a: a.astype(complex)), ("rewards", "complex128")),
    "other lengths": (_changed(actions=lambda a: a[:-1]), ("actions", "7", "8")),
    "other frames": (_changed(observations=lambda a: a[:, :, 0]), ("observations", "(8, 64, 3)")),
    "NaN rewards": (_changed(rewards=_nan), ("rewards[5]", "nan")),
    "pickled objects": (_changed(rewards=lambda a: a.astype(object)), ("rewards",)),
    "not npz": (lambda path: path.write_text("nothing of the kind"), ()),
    "empty file": (lambda path: path.write_bytes(b""), ()),
}


@pytest.mark.parametrize("place", [0, 2])
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("stage", STAGES)
def test_a_damaged_rollout_file_is_named_and_the_data_stay_as_they_were(
    refused: Refused, stage: str, damage: str, place: int
) -> None:
    put_vae()
    path = rollouts()[place]
    apply, says = DAMAGES[damage]
    apply(path)
    refused(*train("--stage", stage), says=(str(path), *says))


@pytest.mark.parametrize("stage", STAGES)
def test_a_damaged_file_that_is_new_leaves_the_cache_of_the_others_usable(refused: Refused, stage: str) -> None:
    put_vae()
    rollouts()
    assert cli.main(train("--stage", stage)) == 0
    bad = Path("data/rollout_00009.npz")
    _changed(rewards=_nan)(bad)
    refused(*train("--stage", stage), says=(str(bad), "rewards[5]"))
    bad.unlink()
    assert cli.main(train("--stage", stage)) == 0


def test_rollouts_of_another_environment_are_refused_in_training_and_in_collecting(refused: Refused) -> None:
    rollouts(actions=3)
    says = ("rollout_00000.npz", "3 columns", "CartPole-v1 has 2 actions")
    refused(*train("--stage", "vae"), says=says)
    refused("collect", *train()[1:], says=says)


def test_collecting_fewer_than_there_are_deletes_nothing(refused: Refused) -> None:
    rollouts()
    refused("collect", *train()[1:], "--num_rollouts", "2", says=("3 rollouts", "num_rollouts=2"))


@pytest.mark.parametrize("stage", STAGES)
def test_a_test_split_larger_than_the_data_is_refused(refused: Refused, stage: str) -> None:
    put_vae()
    rollouts()
    says = ("test split", "num_test_files is 3", "3 rollout files")
    refused(*train("--stage", stage, "--num_test_files", "3"), says=says)


def test_rollouts_of_a_single_row_are_refused_before_v_trains(refused: Refused) -> None:
    make_rollouts(Path("data"), (1,) * 6, ACTIONS)
    refused(*train(), says=("data", "none of the 5 episodes", "2 rows", "longest has 1"))
