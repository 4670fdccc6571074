"""What the tests of the command line share: tiny commands, the folders they work on, and how they may refuse."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.doubles import make_rollouts
from tests.small_runs import LATENTS, save_controller, save_mdrnn, save_vae
from world_models import cli

HIDDEN, ACTIONS = 8, 2  # CartPole has two actions
RUN = Path("run")


def snapshot(folder: Path = Path(".")) -> dict[str, str]:
    """Every file below and its content; folders too."""
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        for path in sorted(folder.rglob("*"))
    }


class Refused:
    """Calls the command line, and asserts that it refuses as promised."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, *argv: str, says: tuple[str, ...]) -> str:
        before = snapshot()
        self.capsys.readouterr()
        assert cli.main(argv) == 2
        out, err = self.capsys.readouterr()
        message = next(line for line in err.splitlines() if line.startswith("error: "))
        assert err.rstrip().endswith(message), "the message is the last line, and one line"
        for words in says:
            assert words in message, message
        assert "Traceback" not in out + err
        assert snapshot() == before, "nothing is written and nothing is lost"
        return message


def train(*argv: str, env: str = "CartPole-v1") -> list[str]:
    """A tiny training command."""
    sizes = ["--latent_size", str(LATENTS), "--rnn_hidden", str(HIDDEN), "--gmm_components", "2", "--seq_len", "4"]
    folders = ["--data_dir", "data", "--logdir", str(RUN), "--device", "cpu", "--nosamples"]
    return ["train", "--env", env, "--preset", "tiny", *folders, *sizes, *argv]


def rollouts(actions: int = ACTIONS) -> list[Path]:
    """Three rollouts of noise in the data folder."""
    return make_rollouts(Path("data"), (9, 8, 7), actions, seed=3)


def put_vae(latents: int = LATENTS) -> None:
    """V as training would leave it."""
    save_vae(RUN, latents)


def put_mdrnn() -> None:
    """M as training would leave it."""
    save_mdrnn(RUN, ACTIONS, hiddens=HIDDEN)


def put_controller(hiddens: int = HIDDEN) -> None:
    """C as training would leave it."""
    save_controller(RUN, ACTIONS, "CartPole-v1", hidden_size=hiddens)


def put_run() -> None:
    """V, M and C as training would leave them."""
    put_vae()
    put_mdrnn()
    put_controller()
