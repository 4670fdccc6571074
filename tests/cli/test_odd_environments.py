"""Environments that show or do something unusual, at the command line: used and said, or one sentence and code 2."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.odd_envs import FLOATS, GRAY, LATE, NAN, OLD_RESET, OLD_STEP, TWO, WHOLE
from world_models import cli, notices
from world_models.datasets.rollout_files import read_rollout

REFUSED = {
    NAN: "OddNan-v0: its rendering is float64 with NaN or infinity in it; give finite numbers",
    TWO: "OddTwo-v0: its rendering is no picture, but uint8 of shape (40, 48, 2); give uint8 pictures (H, W, 3)",
    LATE: "with values in [9, 9] where [0, 1] is declared or was seen before",
    OLD_RESET: "OldReset-v0.reset() does not keep to Gymnasium's API (ndarray came, no tuple): reset(seed=None, ",
    OLD_STEP: "OldStep-v0.step() does not keep to Gymnasium's API (not enough values to unpack",
}
USED = {
    FLOATS: "OddFloats-v0: its rendering is float64 (40, 48, 3): values in [0, 1] are scaled to 0..255.",
    GRAY: "OddGray-v0: its rendering is uint8 (40, 48, 1): gray fills three channels.",
    WHOLE: "",
}


def collect(env_id: str) -> int:
    sizes = ["--num_rollouts", "2", "--rollout_len", "4", "--num_workers", "1"]
    return cli.main(["collect", "--env", env_id, "--data_dir", "data", *sizes])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("env_id", "says"), REFUSED.items())
def test_what_cannot_be_read_ends_with_one_sentence_code_2_and_no_file(
    env_id: str, says: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert collect(env_id) == 2
    out, err = capsys.readouterr()
    last = err.rstrip().splitlines()[-1]
    assert last.startswith("error: ") and says in last and "Traceback" not in out + err
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("env_id", "says"), USED.items())
def test_what_can_be_read_is_collected_and_said_once(
    env_id: str, says: str, caplog: pytest.LogCaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    notices.forget()
    assert collect(env_id) == 0
    assert [message for message in caplog.messages if "its rendering is" in message] == ([says] if says else [])
    for path in Path("data").glob("*.npz"):
        rollout = read_rollout(path)
        assert rollout.observations.std() > 30 and rollout.actions.dtype == np.float32
        if env_id == WHOLE:
            np.testing.assert_array_equal(rollout.actions, np.rint(rollout.actions))
            assert np.abs(rollout.actions).max() <= 3
