"""Other people's rollouts at the command line: each is used as what it means, or refused before anything is done."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli_cases import ACTIONS, LATENTS, Refused, put_vae, rollouts, snapshot, train
from tests.datasets.foreign_files import REFUSED, SAME, STEPS, arrays, whole_rollout, write
from tests.training.runs import mdrnn_config, vae_config
from world_models import cli, notices
from world_models.datasets.frame_cache import FrameCache
from world_models.datasets.rollout_files import list_rollouts, read_rollout
from world_models.errors import DataError
from world_models.runs.collection import generate_rollouts
from world_models.runs.preflight import check_data
from world_models.training import train_convae as vae_stage
from world_models.training import train_mdn_rnn as rnn_stage

COMMANDS = {
    "run": ["run", *train()[1:], "--num_rollouts", "5", "--episodes", "1"],
    "collect": ["collect", *train()[1:], "--num_rollouts", "5"],
    "V": train("--stage", "vae"),
    "M": train("--stage", "rnn"),
}


@pytest.fixture
def worked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was driven or trained: nothing may be."""
    done: list[str] = []

    def noted(what: str) -> Callable[..., Any]:
        def work(*args: object, **kwargs: object) -> None:
            done.append(what)
            raise AssertionError(what)

        return work

    # Not the steps: an environment is tried for three of them before anything else.
    monkeypatch.setattr("world_models.rollout.driver.drive", noted("an episode"))
    monkeypatch.setattr("world_models.training.fit.loop.train_pass", noted("an epoch"))
    return done


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("fault", REFUSED)
def test_a_fault_is_refused_before_anything_is_driven_trained_or_written(
    refused: Refused, worked: list[str], command: str, fault: str
) -> None:
    put_vae()
    rollouts()
    changes, says = REFUSED[fault]
    path = write(Path("data/sub/theirs.npz"), **changes)
    refused(*COMMANDS[command], says=(f"error: {path}: ", says))
    assert worked == []


def put_files_of_other_names() -> None:
    Path("data").mkdir()
    theirs = {"obs": arrays()["observations"], "action": np.arange(STEPS) % 2, "reward": np.ones(STEPS)}
    for i in range(3):
        np.savez(f"data/{i}.npz", done=np.arange(STEPS) == STEPS - 1, **theirs)  # type: ignore[arg-type]


@pytest.mark.parametrize("command", COMMANDS)
def test_files_of_other_names_are_named_with_all_that_is_to_be_done(
    worked: list[str], capsys: pytest.CaptureFixture[str], command: str
) -> None:
    put_vae()
    put_files_of_other_names()
    before = snapshot()
    assert cli.main(COMMANDS[command]) == 2
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err and snapshot() == before and worked == []
    for words in ("3 of 3", "obs to observations, action to actions, reward to rewards, done to terminals", "one-hot"):
        assert words in err


def test_the_lines_that_a_refusal_prints_make_a_folder_that_trains(capsys: pytest.CaptureFixture[str]) -> None:
    put_files_of_other_names()
    assert cli.main(train("--stage", "vae")) == 2
    lines = capsys.readouterr().err.partition("data_dir:\n\n")[2]
    exec(compile(lines, "convert.py", "exec"), {"__name__": "__main__"})
    for stage in ("vae", "rnn"):
        assert cli.main(train("--stage", stage, "--data_dir", "data_converted")) == 0


def test_all_forms_that_mean_the_same_are_trained_on_as_the_same(caplog: pytest.LogCaptureFixture) -> None:
    notices.forget()
    for i, (changes, _) in enumerate(SAME.values()):
        write(Path(f"data/{i:02d}.npz"), **changes)
    before = {path: path.read_bytes() for path in list_rollouts("data")}
    assert cli.main(train("--stage", "vae")) == 0
    for words, times in (("frames are scaled from [0, 1]", 3), ("terminals are stored as bool", 1)):
        assert caplog.text.count(words) == times
    cache, wanted = FrameCache.open("data"), whole_rollout()
    for i in range(len(SAME)):
        for key in ("observations", "actions", "rewards", "terminals"):
            np.testing.assert_array_equal(getattr(cache.rollout(i), key), getattr(wanted, key))
    assert {path: path.read_bytes() for path in list_rollouts("data")} == before


def _library() -> dict[str, Callable[[], object]]:
    data, run = Path("data"), Path("run")
    vae, rnn = vae_config(data, run, latent_size=LATENTS), mdrnn_config(data, run, latent_size=LATENTS)
    return {
        "train_convae": lambda: vae_stage.train_convae(vae),
        "train_mdn_rnn": lambda: rnn_stage.train_mdn_rnn(vae, rnn),
        "train_mdn_rnn, without latents": lambda: rnn_stage.train_mdn_rnn(vae, rnn, use_precomputed_latents=False),
        "precompute_latents": lambda: rnn_stage.precompute_latents(vae, rnn),
        "generate_rollouts": lambda: generate_rollouts(data, "CartPole-v1", 9, 5, 1, display=False),
    }


@pytest.mark.parametrize("call", _library())
def test_the_library_too_refuses_before_anything_is_done(worked: list[str], call: str) -> None:
    put_vae()
    rollouts()
    write(Path("data/sub/a.npz"), rewards=lambda a: a * np.nan)
    write(Path("data/sub/b.npz"), observations=lambda a: a[..., :2])
    before = snapshot()
    with pytest.raises(DataError, match=r"(?s)data: 2 of 5 rollout files .*a\.npz: rewards.*b\.npz: observations"):
        _library()[call]()
    assert snapshot() == before and worked == []


def test_collecting_counts_what_training_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    write(Path("data/sub/rollout_00000.npz"))
    write(Path("data/theirs.NPZ"))
    Path("data/theirs.NPZ.npz").rename("data/theirs.NPZ")
    for other in ("data/._a.npz", "data/__MACOSX/a.npz", "data/latents/latents_4.npz", "data/latents_4.npz"):
        Path(other).parent.mkdir(exist_ok=True)
        Path(other).write_bytes(b"no rollout")
    Path("data/folder.npz").mkdir()
    assert cli.main(["collect", *train()[1:], "--num_rollouts", "4", "--rollout_len", "3"]) == 0
    assert [path.name for path in sorted(Path("data").glob("rollout_*"))] == ["rollout_00000.npz", "rollout_00001.npz"]
    assert len(list_rollouts("data")) == 4
    assert all(read_rollout(path).actions.shape[1] == ACTIONS for path in list_rollouts("data"))
    assert cli.main(["collect", *train()[1:], "--num_rollouts", "3"]) == 2


def test_data_of_another_environment_or_another_view_are_named(caplog: pytest.LogCaptureFixture) -> None:
    notices.forget()
    rollouts()  # of Counting-v0
    assert cli.main(train("--stage", "vae")) == 0
    assert "3 of 3 rollouts were recorded in another environment than CartPole-v1 (Counting-v0)" in caplog.text


def test_whole_frames_of_an_environment_that_is_seen_in_part_are_named(caplog: pytest.LogCaptureFixture) -> None:
    notices.forget()
    native = np.random.default_rng(0).integers(0, 256, (STEPS, 96, 96, 3), dtype=np.uint8)
    write(Path("data/a.npz"), observations=lambda _: native, actions=lambda a: np.concatenate([a, a[:, :1]], 1))
    check_data("data", "CarRacing-v3", 3, None)
    assert "first 84 rows of CarRacing-v3's frames; store observations[:, :84]" in caplog.text
