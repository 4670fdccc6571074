"""`world-models doctor`: a line a finding, exit code 2 where there is a problem, and nothing left behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.broken_envs import named
from tests.cli_cases import snapshot
from tests.doubles import make_rollouts
from tests.small_envs import PICK, STEER
from tests.small_runs import save_controller, save_mdrnn, save_run, save_vae
from world_models import cli
from world_models.runs.doctor import machine


class Doctor:
    """Runs it in an empty folder, and has what it found as (kind, about) -> text."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, *flags: str) -> tuple[int, dict[tuple[str, str], str]]:
        before = snapshot()
        self.capsys.readouterr()
        code = cli.main(["doctor", *flags, "--steps", "24", "--json"])
        out, err = self.capsys.readouterr()
        assert "Traceback" not in out + err
        found = json.loads(out)
        assert found["ok"] == (code == 0)
        assert snapshot() == before, "nothing is left behind"
        return code, {(each["kind"], each["about"]): each["text"] for each in found["findings"]}


@pytest.fixture
def doctor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Doctor:
    monkeypatch.chdir(tmp_path)
    return Doctor(capsys)


def problems(found: dict[tuple[str, str], str]) -> dict[str, str]:
    return {about: text for (kind, about), text in found.items() if kind == "problem"}


@pytest.mark.parametrize(("env_id", "size"), [(STEER, "40x48"), (PICK, "32x32"), ("CarRacing-v3", "96x96")])
def test_a_sound_environment_has_no_problem(doctor: Doctor, env_id: str, size: str) -> None:
    code, found = doctor("--env", env_id)
    assert (code, problems(found)) == (0, {})
    assert found["ok", "pictures"].startswith(size)
    assert "the same" in found["ok", "chance"] and "steps a second" in found["ok", "speed"]


CASES = [
    ("Raises", "problem", "made", "no licence for this machine (raised in "),
    ("NoRenderMode", "ok", "pictures", "32x32"),
    ("BlindNoRenderMode", "problem", "made", "gives no pictures"),
    ("StepRaises", "problem", "made", "its step raised ZeroDivisionError"),
    ("NanReward", "problem", "made", "the reward nan at step 1"),
    ("NoModule", "problem", "made", "no module named"),
    ("OneColour", "problem", "pictures", "all of one colour"),
    ("Still", "problem", "pictures", "never change in 24 steps"),
    ("Still", "note", "control", "other actions change neither"),
    ("Still", "note", "seeds", "the same picture"),
    ("Nowhere", "problem", "made", "does not exist"),
]


@pytest.mark.parametrize(("env", "kind", "about", "says"), CASES)
def test_each_mistake_is_told(doctor: Doctor, env: str, kind: str, about: str, says: str) -> None:
    code, found = doctor("--env", named(env))
    assert says in found[kind, about]
    assert code == (2 if problems(found) else 0)


def write(path: str, frames: int = 40, actions: int = 2, **keys: Any) -> None:
    """A file of somebody else's."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    arrays = {
        "observations": np.full((frames, 64, 64, 3), 9, np.uint8),
        "actions": np.zeros((frames, actions), np.float32),
        "rewards": np.zeros(frames, np.float32),
        "terminals": np.zeros(frames, np.float32),
    }
    np.savez(path, **(arrays | keys))


def test_data_that_are_not_there_yet_are_a_note_with_the_command(doctor: Doctor) -> None:
    Path("empty").mkdir()
    for folder in ("empty", "nowhere/at/all"):
        code, found = doctor("--env", STEER, "--data_dir", folder)
        assert code == 0
        assert f"world-models collect --env {STEER} --data_dir {folder}" in found["note", "rollouts"]


def test_rollouts_are_counted_measured_and_held_against_the_environment(doctor: Doctor) -> None:
    make_rollouts(Path("data"), [40] * 3, 2)
    code, found = doctor("--env", STEER, "--data_dir", "data")
    assert code == 0, found
    assert found["ok", "rollouts"].startswith("3 files") and found["ok", "actions"] == "2 columns"
    code, found = doctor("--env", PICK, "--data_dir", "data")
    assert code == 2 and "2 action columns" in found["problem", "actions"]
    _, found = doctor("--data_dir", "data", "--seq_len", "40")
    assert "none has the 41 rows" in found["note", "lengths"]


def test_broken_and_mixed_files_are_problems(doctor: Doctor) -> None:
    write("data/a.npz", actions=2)
    write("data/b.npz", actions=3)
    Path("data/c.npz").write_bytes(b"PK no")
    code, found = doctor("--data_dir", "data")
    assert code == 2
    assert "1 of 3 files" in found["problem", "rollouts"] and "c.npz" in found["problem", "rollouts"]
    assert "2 in 1, 3 in 1" in found["problem", "actions"]


def test_a_folder_that_is_a_file_and_a_full_disk_are_problems(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("taken").write_text("")
    code, found = doctor("--logdir", "taken/run")
    assert code == 2 and "taken is a file" in found["problem", "writable"]
    monkeypatch.setattr(machine, "FRAME_BYTES", 10**15)
    code, found = doctor("--env", STEER, "--data_dir", "data")
    assert code == 2 and "are free" in found["problem", "disk"]


def test_a_run_names_its_environment_and_its_sizes_are_held_against_it(doctor: Doctor) -> None:
    save_run(Path("run"))
    save_controller(Path("run"), env_name=STEER)
    code, found = doctor("--logdir", "run")
    assert code == 0, found
    assert found["ok", "stages"] == "trained: V, M, C" and "environment" in found["ok", "sizes"]
    code, found = doctor("--logdir", "run", "--env", PICK)
    assert code == 2 and "the environment has 3" in found["problem", "sizes"]
    save_vae(Path("run"), latents=7)
    code, found = doctor("--logdir", "run")
    assert code == 2 and "V has 7" in found["problem", "sizes"]


def test_a_run_that_has_begun_and_a_damaged_one(doctor: Doctor) -> None:
    code, found = doctor("--logdir", "nowhere")
    assert code == 0 and "not there yet" in found["note", "stages"]
    save_mdrnn(Path("run"))
    _, found = doctor("--logdir", "run")
    assert found["note", "stages"] == "trained: M" and "starts.npz" in found["note", "starts"]
    Path("run/mdrnn/best.tar").write_bytes(b"no")
    code, found = doctor("--logdir", "run")
    assert code == 2 and "best.tar" in found["problem", "M"]


def test_for_people_there_is_a_line_each_and_a_summary(doctor: Doctor, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor", "--env", STEER, "--steps", "20", "--out", "sheet.png"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"Environment {STEER}" in lines and lines[-1].startswith("no problems, ")
    with Image.open("sheet.png") as picture:
        assert picture.size[0] > 500
    assert cli.main(["doctor", "--env", named("Raises")]) == 2
    assert capsys.readouterr().err == f"error: 1 problem to mend first: Environment {named('Raises')}.\n"


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ((), "nothing to look at"),
        (("--env", STEER, "--steps", "0"), "steps=0"),
        (("--env", STEER, "--out", "a.jpg"), "is no .png file"),
        (("--env", STEER, "--env_kwargs", "{"), "is no JSON"),
    ],
)
def test_flags_that_cannot_work_are_one_sentence(
    doctor: Doctor, capsys: pytest.CaptureFixture[str], flags: tuple[str, ...], says: str
) -> None:
    assert cli.main(["doctor", *flags]) == 2
    out, err = capsys.readouterr()
    assert not out and err.startswith("error: ") and says in err
