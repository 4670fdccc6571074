"""The literal way to drive: the specification's inference loop, one Gymnasium environment and one row a process."""

from __future__ import annotations

import multiprocessing
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import gymnasium
import torch
from torch.nn import functional

from benchmarks.networks import ACTIONS, HIDDENS, LATENTS, controllers
from world_models.models.controller import Controller, load_parameters
from world_models.models.load import load_cell, load_vae


def literal_rate(logdir: Path, processes: int, steps: int) -> float:
    """Environment steps a second of `processes` loops side by side, from when all of them are ready."""
    context = multiprocessing.get_context("spawn")
    ready, results = context.Barrier(processes), context.SimpleQueue()
    crew = [context.Process(target=_loop, args=(str(logdir), seed, steps, ready, results)) for seed in range(processes)]
    for process in crew:
        process.start()
    spans = [results.get() for _ in crew]
    for process in crew:
        process.join()
    return processes * steps / (max(end for _, end in spans) - min(start for start, _ in spans))


@torch.no_grad()
def _loop(logdir: str, seed: int, steps: int, ready: Barrier, results: Any) -> None:
    torch.set_num_threads(1)
    vae, cell = load_vae(logdir), load_cell(logdir)
    controller = Controller(LATENTS, HIDDENS, ACTIONS)
    load_parameters(controllers(1)[0], controller)
    env = gymnasium.make("CarRacing-v3")
    frame, _ = env.reset(seed=seed)
    hidden = cell.get_init_hidden(1)
    ready.wait()
    started = time.time()
    for _ in range(steps):
        image = torch.from_numpy(frame).permute(2, 0, 1)[None].float() / 255
        image = functional.interpolate(image, (64, 64), mode="bilinear", antialias=True)
        mu, logsigma = vae.encoder(image)
        z = mu + logsigma.exp() * torch.randn_like(mu)
        raw = controller(hidden[0], z)
        action = torch.stack([raw[:, 0].tanh(), raw[:, 1].sigmoid(), raw[:, 2].tanh().clamp_min(0)], -1)
        frame, _, terminal, truncated, _ = env.step(action[0].numpy())
        *_, hidden = cell(action, z, hidden)
        if terminal or truncated:
            frame, _ = env.reset()
            hidden = cell.get_init_hidden(1)
    results.put((started, time.time()))
