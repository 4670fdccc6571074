"""What the tests of the report's page share: small stages of a run, and a look at the page."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import torch

from tests.doubles import noise_rollout
from world_models.models.mdrnn import MDRNN
from world_models.report.episode import FilmedEpisode
from world_models.types import Episode, EpisodeResult
from world_models.utils.run_dir import JsonlLog, best_path, log_path, save_checkpoint
from world_models.vision.VAE.ConvVAE import ConvVAE

Z = 4


def add_vae(logdir: Path) -> None:
    torch.manual_seed(0)
    save_checkpoint(best_path(logdir, "vae"), {"state_dict": ConvVAE(3, Z).state_dict(), "latent_size": Z})
    for epoch in (1, 2):
        line = {"epoch": epoch, "train_loss": 9.0 / epoch, "test_loss": 8.5 / epoch, "active_latents": 3}
        JsonlLog(log_path(logdir, "vae")).write(line)


def add_mdrnn(logdir: Path) -> None:
    mdrnn = MDRNN(Z, 3, 8, 2)
    save_checkpoint(best_path(logdir, "mdrnn"), {"state_dict": mdrnn.state_dict(), **mdrnn.sizes})
    JsonlLog(log_path(logdir, "mdrnn")).write({"epoch": 1, "train_loss": 2.0, "gmm": 3.0, "bce": 0.1})


def add_ctrl(logdir: Path, env_name: str = "CarRacing-v3", **facts: object) -> None:
    weights = {"state_dict": {"fc.weight": torch.zeros(3, Z + 8)}, "env_name": env_name}
    save_checkpoint(best_path(logdir, "ctrl"), weights | facts)
    line = {"generation": 1, "episodes": 64, "env_steps": 5000, "seconds": 83.0, "mean": -3.0, "best": 5.0}
    JsonlLog(log_path(logdir, "ctrl")).write(line)


def filmed(steps: int) -> FilmedEpisode:
    pictures = np.zeros((steps, 84, 96, 3), np.uint8)
    return FilmedEpisode(pictures, noise_rollout(steps), EpisodeResult(Episode(0, 3), 7.0, steps, "terminal"), 50.0)


class _Sources(HTMLParser):
    """Every address that the page would fetch, and every tag that is not closed."""

    def __init__(self) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.sources += [value or "" for name, value in attrs if name in ("src", "srcset", "poster")]
        assert tag not in ("link", "script")
        if tag not in ("meta", "img", "source"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def check_page(path: Path) -> tuple[str, list[str]]:
    """The page's text without its data, and its sources: it must be well formed and need nothing else."""
    html = path.read_text("utf-8")
    parser = _Sources()
    parser.feed(html)
    assert not parser.open
    assert all(source.startswith("data:") for source in parser.sources)
    return re.sub(r'"data:[^"]*"', '""', html), parser.sources
