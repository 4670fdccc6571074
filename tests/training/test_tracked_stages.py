"""What TensorBoard shows of the stages is what their logs say, also after a stop and a resume."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.doubles import make_rollouts
from tests.small_envs import STEER
from tests.small_runs import HIDDENS, LATENTS, inline_executors, save_run
from world_models.configs.wm_config import WMControllerConfig, WMMDNRNNConfig, WMVAEConfig
from world_models.training.train_controller import train_controller
from world_models.training.train_convvae import train_convae
from world_models.training.train_mdn_rnn import train_mdn_rnn
from world_models.utils.run_dir import log_path, read_jsonl
from world_models.utils.run_settings import read_settings

torch.set_num_threads(1)


def shown(logdir: Path, stage: str) -> EventAccumulator:
    accumulator = EventAccumulator(str(logdir / stage))
    accumulator.Reload()
    return accumulator


def check_same(logdir: Path, stage: str, axis: str) -> None:
    """Every number of log.jsonl stands once in the event files, under its name and step."""
    events = shown(logdir, stage)
    logged: dict[str, dict[int, float]] = {}
    for record in read_jsonl(log_path(logdir, stage)):
        for name, value in record.items():
            if isinstance(value, int | float):
                logged.setdefault(name, {})[record[axis]] = value
    assert set(events.Tags()["scalars"]) == set(logged)
    for name, values in logged.items():
        read = [(event.step, event.value) for event in events.Scalars(name)]
        assert [step for step, _ in read] == list(values)
        assert [value for _, value in read] == pytest.approx(list(values.values()), rel=1e-6)


def vae_config(tmp_path: Path, epochs: int, **extra: Any) -> WMVAEConfig:
    folders = {"data_dir": str(tmp_path / "data"), "logdir": str(tmp_path / "run"), "device": "cpu"}
    more = {"num_test_files": 1, "sample_count": 3, "precision": "fp32", **extra}
    return WMVAEConfig({"height": 64, "width": 64, "latent_size": 4, "num_epochs": epochs, **folders, **more})


def test_v_goes_on_in_tensorboard_where_it_was_stopped_and_shows_its_samples(tmp_path: Path) -> None:
    make_rollouts(tmp_path / "data", [6, 6])
    train_convae(vae_config(tmp_path, 2, sample_interval=1))
    train_convae(vae_config(tmp_path, 3, sample_interval=2))

    check_same(tmp_path / "run", "vae", "epoch")
    images = shown(tmp_path / "run", "vae").Images("samples")
    assert [image.step for image in images] == [1, 2, 3]
    sheet = Image.open(io.BytesIO(images[-1].encoded_image_string))
    with Image.open(tmp_path / "run/vae/samples/epoch_0003.png") as saved:
        assert sheet.size == saved.size
    assert read_settings(tmp_path / "run")["vae"]["num_epochs"] == 3


def test_m_shows_its_three_parts(tmp_path: Path) -> None:
    make_rollouts(tmp_path / "data", [12, 12])
    save_run(tmp_path / "run")
    folders = {"data_dir": str(tmp_path / "data"), "logdir": str(tmp_path / "run"), "device": "cpu"}
    sizes = {"latent_size": LATENTS, "action_size": 3, "hidden_size": HIDDENS, "gmm_components": 2, "seq_len": 4}
    config = WMMDNRNNConfig({**folders, **sizes, "num_epochs": 2, "num_test_files": 1, "noreload": True})
    train_mdn_rnn(WMVAEConfig({"latent_size": LATENTS, **folders}), config)

    check_same(tmp_path / "run", "mdrnn", "epoch")
    assert {"gmm", "bce", "mse"} <= set(shown(tmp_path / "run", "mdrnn").Tags()["scalars"])
    assert read_settings(tmp_path / "run")["mdrnn"]["seq_len"] == 4


def ctrl_config(logdir: Path, generations: int, **extra: Any) -> WMControllerConfig:
    sizes = {"latent_size": LATENTS, "hidden_size": HIDDENS, "action_size": 2, "env_name": STEER}
    search = {"pop_size": 4, "n_samples": 1, "time_limit": 20, "display": False, "eval_every": 2, "eval_episodes": 2}
    return WMControllerConfig({**sizes, **search, "logdir": str(logdir), "max_generations": generations, **extra})


def test_c_goes_on_in_tensorboard_and_is_filmed_only_if_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inline_executors(monkeypatch)
    save_run(tmp_path)
    train_controller(ctrl_config(tmp_path, 3))
    assert shown(tmp_path, "ctrl").Tags()["images"] == []
    train_controller(ctrl_config(tmp_path, 8, film_every=2))

    check_same(tmp_path, "ctrl", "generation")
    assert [film.step for film in shown(tmp_path, "ctrl").Images("driving")] == [4, 8]
    assert read_settings(tmp_path)["ctrl"]["pop_size"] == 4


def test_a_film_changes_nothing_of_the_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inline_executors(monkeypatch)
    histories = []
    for film_every in (0, 1):
        folder = save_run(tmp_path / str(film_every))
        result = train_controller(ctrl_config(folder, 4, film_every=film_every))
        histories.append([{k: v for k, v in each.items() if k != "seconds"} for each in result.history])
    assert histories[0] == histories[1]


def test_tensorboard_can_be_left_out(tmp_path: Path) -> None:
    make_rollouts(tmp_path / "data", [6, 6])
    train_convae(vae_config(tmp_path, 1, tensorboard=False))
    assert not list((tmp_path / "run" / "vae").glob("events*"))
