"""docs/data.md: its blocks run as they stand, and its messages are those that are printed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from tests.cli_cases import train
from tests.datasets.foreign_files import REFUSED, STEPS, arrays, write
from world_models import cli, notices
from world_models.datasets.rollout_files import find_rollouts, read_rollout
from world_models.errors import DataError

PAGE = (Path(__file__).parents[1] / "docs" / "data.md").read_text(encoding="utf-8")


def block(language: str, containing: str) -> str:
    """The one fenced block of that language that has the words in it."""
    (found,) = [b for b in re.findall(rf"```{language}\n(.*?)```", PAGE, re.S) if containing in b]
    return found


def run(lines: str) -> None:
    exec(compile(lines, "page.py", "exec"), {"__name__": "__main__"})


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORLD_MODELS_QUIET", "1")
    notices.forget()


def test_what_the_page_records_trains_v_and_is_told_of_as_it_says(caplog: pytest.LogCaptureFixture) -> None:
    run(block("python", "gymnasium.make"))
    words = shlex.split(block("bash", "data/mine"))
    assert cli.main([*words[1:], "--device", "cpu", "--nosamples"]) == 0
    for line in block("text", "600x400").splitlines():
        assert line in caplog.text


def test_frames_that_were_stored_after_their_action_are_moved_by_one_step() -> None:
    write(Path("data/frames_after/a.npz"), actions=lambda a: np.concatenate([a, a[:1]]))
    run(block("python", "frames_after"))
    before, after = arrays(), read_rollout("data/moved/a.npz")
    np.testing.assert_array_equal(after.observations, before["observations"][:-1])
    np.testing.assert_array_equal(after.actions, before["actions"][1:])
    assert after.terminals[-1] == before["terminals"][-1] == 1 and len(after) == STEPS - 1


def test_other_names_are_told_and_mended_as_the_page_shows(capsys: pytest.CaptureFixture[str]) -> None:
    Path("data/theirs").mkdir(parents=True)
    theirs = {"obs": arrays()["observations"], "action": np.arange(STEPS) % 2, "reward": np.ones(STEPS)}
    for i in range(3):
        np.savez(f"data/theirs/{i}.npz", **theirs, done=np.arange(STEPS) == STEPS - 1)  # type: ignore[arg-type]
    assert cli.main(train("--stage", "vae", "--data_dir", "data/theirs")) == 2
    said, shown = capsys.readouterr().err, block("python", '"data/theirs"')
    assert block("text", "cannot be used").strip() in said and shown in said
    run(shown)
    assert cli.main(train("--stage", "vae", "--data_dir", "data/theirs_converted")) == 0


def test_each_message_of_the_table_is_one_that_is_printed() -> None:
    told = [str(_refusal(write(Path("a.npz"), **changes))) for changes, _ in REFUSED.values()]
    Path("b.npz").write_bytes(b"no archive")
    told.append(str(_refusal(Path("b.npz"))))
    source = (Path(cli.__file__).parent / "datasets" / "folder_check.py").read_text(encoding="utf-8")
    section = PAGE.partition("## What is refused")[2].partition("## ")[0]
    shown = re.findall(r"^\| .* \| `(.*)` \|$", section, re.M)
    assert len(shown) == 13
    for words in shown:
        assert any(words in each for each in [*told, source]), words


def test_the_blocks_of_the_page_find_no_files_where_there_are_none() -> None:
    for lines in re.findall(r"```python\n(.*?)```", PAGE, re.S):
        if "gymnasium" not in lines:
            run(lines)
    assert find_rollouts(".") == []


def _refusal(path: Path) -> DataError:
    with pytest.raises(DataError) as refused:
        read_rollout(path)
    return refused.value
