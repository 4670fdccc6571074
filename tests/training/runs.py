"""Small runs of V and M on synthetic rollouts, shared by the tests of training."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

from tests.doubles import make_rollouts
from world_models.configs.wm_config import WMMDNRNNConfig, WMVAEConfig
from world_models.utils.run_dir import load_checkpoint, log_path, read_jsonl

LATENTS, ACTIONS = 4, 3


def rollouts(folder: Path, lengths: tuple[int, ...] = (14, 12, 13)) -> Path:
    """A data folder of noise."""
    make_rollouts(folder, lengths, ACTIONS, seed=5)
    return folder


def vae_config(data: Path, logdir: Path, num_epochs: int = 2, **changes: Any) -> WMVAEConfig:
    """V in a few seconds: two files of training, one held out."""
    settings = {
        "device": "cpu",
        "data_dir": str(data),
        "logdir": str(logdir),
        "latent_size": LATENTS,
        "train_batch_size": 8,
        "num_epochs": num_epochs,
        "nosamples": True,
        "num_test_files": 1,
    }
    return WMVAEConfig({**settings, **changes})


def mdrnn_config(data: Path, logdir: Path, num_epochs: int = 2, **changes: Any) -> WMMDNRNNConfig:
    """M in a second: windows of four steps."""
    settings = {
        "device": "cpu",
        "data_dir": str(data),
        "logdir": str(logdir),
        "latent_size": LATENTS,
        "action_size": ACTIONS,
        "hidden_size": 8,
        "gmm_components": 2,
        "batch_size": 2,
        "seq_len": 4,
        "num_epochs": num_epochs,
        "num_test_files": 1,
    }
    return WMMDNRNNConfig({**settings, **changes})


def losses_of(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Log records without what depends on the clock."""
    return [{name: value for name, value in record.items() if name != "seconds"} for record in records]


def assert_same_run(one: Path, other: Path, stage: str) -> None:
    """Both folders hold the same losses, weights and optimizer states, to the bit."""
    assert losses_of(read_jsonl(log_path(one, stage))) == losses_of(read_jsonl(log_path(other, stage)))
    for name in ("best.tar", "checkpoint.tar"):
        assert_equal(load_checkpoint(one / stage / name), load_checkpoint(other / stage / name), name)


def assert_equal(one: Any, other: Any, where: str) -> None:
    """Equal nested values; tensors to the bit."""
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other), where
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            assert_equal(one[key], other[key], f"{where}[{key!r}]")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), where
        for index, (left, right) in enumerate(zip(one, other, strict=True)):
            assert_equal(left, right, f"{where}[{index}]")
    else:
        assert one == other, where


def interrupted_process(program: str, log: Path, epochs_before: int) -> int:
    """Runs a Python program, sends it SIGINT once its log has some epochs, and gives its exit code."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "WORLD_MODELS_QUIET": "1"}
    environment["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 120
        while len(read_jsonl(log)) < epochs_before and process.poll() is None:
            assert time.monotonic() < deadline, "the program trained nothing"
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert b"KeyboardInterrupt" in errors, errors.decode()
    return process.returncode
