"""A folder is checked as a whole: everything that is wrong in one message, which ends, with lines that mend it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.datasets.foreign_files import REFUSED, STEPS, arrays, whole_rollout, write
from tests.doubles import counting_rollout, make_rollouts
from world_models.datasets import rollout_files
from world_models.datasets.folder_check import check_files
from world_models.datasets.frame_cache import FrameCache
from world_models.datasets.rollout_files import find_rollouts, read_rollout, write_rollout
from world_models.errors import DataError


def refusal(folder: Path, **wanted: Any) -> str:
    with pytest.raises(DataError) as refused:
        check_files(folder, find_rollouts(folder), **wanted)
    return str(refused.value)


def foreign(path: Path, names: tuple[str, str, str, str], **others: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **dict(zip(names, arrays().values(), strict=True)), **others)  # type: ignore[arg-type]


def lines_of(message: str) -> str:
    return message.partition("data_dir:\n\n")[2]


def run(lines: str) -> None:
    """The lines as a user runs them: copied into a program of their own, in the folder of the command."""
    exec(compile(lines, "convert.py", "exec"), {"__name__": "__main__"})


def test_all_differences_of_a_folder_stand_in_one_message(tmp_path: Path) -> None:
    for i, (changes, _) in enumerate(REFUSED.values()):
        write(tmp_path / "data" / f"bad_{i:02d}.npz", **changes)
    write(tmp_path / "data" / "good.npz")
    message = refusal(tmp_path / "data")
    assert message.startswith(
        f"{tmp_path / 'data'}: {len(REFUSED)} of {len(REFUSED) + 1} rollout files cannot be used:"
    )
    assert "more, of other kinds" in message and len(message.splitlines()) < 16 and len(message) < 6000


def test_equal_differences_are_counted_together_whatever_their_numbers_are(tmp_path: Path) -> None:
    for i in range(30):
        write(tmp_path / f"a_{i:02d}.npz", rewards=lambda a, i=i: a[: -1 - i % 3])
    message = refusal(tmp_path)
    assert "\n" not in message and "30 of 30 rollout files cannot be used, the first: " in message
    assert "a_00.npz: rewards have 11 rows" in message
    for i in range(3):
        (tmp_path / f"b_{i}.npz").write_bytes(b"no archive")
    kinds = refusal(tmp_path).splitlines()[1:]
    assert [line.partition(", the first: ")[0] for line in kinds] == ["- 30 files", "- 3 files"]


NAMES = {
    "gym": ("obs", "action", "reward", "done"),
    "plural": ("states", "acts", "rews", "dones"),
    "long": ("observation", "action", "reward", "terminal"),
    "gymnasium": ("frames", "actions", "rewards", "terminated"),
    "capitals": ("Obs", "Action", "Reward", "Done"),
}


@pytest.mark.parametrize("library", NAMES)
def test_other_names_are_recognised_and_the_lines_in_the_message_make_a_folder_that_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    monkeypatch.chdir(tmp_path)
    names = NAMES[library]
    foreign(Path("data/one.npz"), names, next_obs=np.zeros(STEPS), info=np.array([{}], dtype=object))
    foreign(Path("data/sub/two.npz"), names)
    before = {path: path.read_bytes() for path in find_rollouts("data")}
    message = refusal(Path("data"))
    assert "2 of 2 rollout files" in message and f"rename {names[0]} to observations" in message
    run(lines_of(message))
    assert {path: path.read_bytes() for path in find_rollouts("data")} == before
    assert find_rollouts("data_converted") == [Path("data_converted/one.npz"), Path("data_converted/sub/two.npz")]
    cache, wanted = FrameCache.open("data_converted"), whole_rollout()
    for key in ("observations", "actions", "rewards", "terminals"):
        np.testing.assert_array_equal(getattr(cache.rollout(1), key), getattr(wanted, key))


def test_a_mixture_of_names_good_files_and_numbered_actions_is_mended_by_the_same_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    foreign(Path("data/a.npz"), NAMES["gym"])
    foreign(Path("data/b.npz"), NAMES["gymnasium"])
    write(Path("data/c.npz"))
    write(Path("data/d.npz"), actions=lambda a: np.arange(STEPS) % 2)
    numbered = arrays(actions=lambda a: np.arange(STEPS) % 2)
    theirs = {"observations": "states", "actions": "acts", "rewards": "rews", "terminals": "dones"}
    np.savez("data/e.npz", **{theirs[key]: array for key, array in numbered.items()})  # type: ignore[arg-type]
    message = refusal(Path("data"), action_size=2, whose="CartPole-v1")
    assert "besides, actions have 1 column and CartPole-v1 has 2 actions" in message
    run(lines_of(message))
    found = check_files("data_converted", find_rollouts("data_converted"), 2, "CartPole-v1")
    assert [each.columns for each in found] == [2] * 5
    np.testing.assert_array_equal(read_rollout("data_converted/e.npz").actions.argmax(1), np.arange(STEPS) % 2)


def test_what_is_not_stored_is_named_and_has_a_line_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    np.savez("data/a.npz", obs=arrays()["observations"], action=arrays()["actions"])
    message = refusal(Path("data"))
    assert "and add rewards (T,), terminals (T,)" in message and "put 1 where the task ended" in message
    run(lines_of(message))
    assert not read_rollout("data_converted/a.npz").terminals.any()


def test_what_else_is_wrong_with_a_file_of_other_names_is_said_at_once(tmp_path: Path) -> None:
    foreign(tmp_path / "a.npz", NAMES["gym"])
    with np.load(tmp_path / "a.npz") as data:
        np.savez(tmp_path / "a.npz", **(dict(data) | {"reward": np.full(STEPS, np.nan)}))
    assert "reward to rewards, done to terminals; besides, rewards[0] is nan; collect it again" in refusal(tmp_path)


def test_a_mixture_of_environments_is_refused_with_both_numbers_of_columns(tmp_path: Path) -> None:
    make_rollouts(tmp_path, [3, 3, 3])
    for i in (3, 4):
        write_rollout(tmp_path / f"rollout_0000{i}.npz", counting_rollout(3, action_size=1))
    message = refusal(tmp_path)
    assert (
        "2 of 5 rollout files" in message
        and "rollout_00003.npz: actions have 1 column and those of rollout_00000.npz 3" in message
    )
    assert "5 of 5" in refusal(tmp_path, action_size=2, whose="Some-v0")


def test_frames_are_not_read_where_their_header_says_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = make_rollouts(tmp_path, [3, 3], seed=0)
    native = np.zeros((STEPS, 96, 96, 3), np.uint8)
    files.append(write(tmp_path / "native.npz", observations=lambda _: native))
    real, reads = rollout_files.read_array, []

    def counted(archive: Any, key: str) -> Any:
        reads.append(key)
        return real(archive, key)

    monkeypatch.setattr(rollout_files, "read_array", counted)
    assert [each.length for each in check_files(tmp_path, files[:2])] == [3, 3]
    assert check_files(tmp_path, files[2:])[0].frame_size == (96, 96)
    assert "observations" not in reads
    floats = write(tmp_path / "floats.npz", observations=lambda a: a / 255)
    check_files(tmp_path, [floats])
    check_files(tmp_path, [floats])
    assert reads.count("observations") == 1, "what had to be read whole is remembered"


def test_hundreds_of_files_take_no_time_to_speak_of(tmp_path: Path) -> None:
    (one,) = make_rollouts(tmp_path, [300], seed=0)
    for i in range(1, 300):
        (tmp_path / f"rollout_{i:05d}.npz").hardlink_to(one)
    started = time.process_time()
    assert len(check_files(tmp_path, find_rollouts(tmp_path))) == 300
    assert time.process_time() - started < 5
