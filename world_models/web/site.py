"""`export_site`: a trained run to a static page on which one drives inside its dream."""

from __future__ import annotations

import gzip
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import numpy as np

from world_models import budgets
from world_models.envs.actions import ActionAdapter
from world_models.errors import ConfigError
from world_models.models.agent import Agent
from world_models.models.load import load_vae
from world_models.rollout.driver import Driver, Recipe
from world_models.vision.VAE.ConvVAE import ConvVAE
from world_models.web.export import memory_sizes
from world_models.web.folder import FORMAT, file_facts, fresh_folder, write_json
from world_models.web.graphs import controller_graph, memory_graph, vae_graphs
from world_models.web.latent_effects import latent_effects
from world_models.web.onnx_files import onnx_bytes, require_onnx
from world_models.web.recordings import (
    Recording,
    drive_well,
    make_recording,
    plain_numbers,
    recording_json,
    sprite_sheet,
    start_json,
)
from world_models.web.run_facts import controls, episode_label, knows_terminals, pace, score, title
from world_models.web.runtime import copy_page, page_files, unpack_runtime
from world_models.web.starts import choose_moments, namer, start_labels

MANIFEST = "model/manifest.json"
_LANES = 16


@dataclass(frozen=True)
class Site:
    """What was written: the folder, its bytes, and how many of them travel where the host compresses (gzip)."""

    folder: Path
    total: int
    compressed: int


def export_site(
    recipe: Recipe,
    out: str | os.PathLike[str],
    *,
    starts: int = 4,
    seed: int = 10_000,
    steps: int = 350,
    warm_up: int = 50,
    page: Traversable | None = None,
) -> Site:
    """Writes the page, the graphs and recordings of a trained run; any static host serves it.

    V's weights are stored as float16, those of M and C as float32. The same run and arguments give the same
    bytes on the same machine.

    Args:
        recipe: How the trained run drives, see `run_recipe`; its `logdir` has all three stages.
        out: The folder to write; a former export there is replaced.
        starts: How many episodes the dream can begin in; the best of three times as many are taken.
        seed: Of the first episode that is driven.
        steps: Of a recording at most.
        warm_up: Real steps that M takes in before the dream begins; at later starts it takes in more.
        page: The page's own files; by default the package's.

    Raises:
        CheckpointError: A stage is missing, or sizes do not fit.
        ConfigError: `out` is something else's folder, or an argument cannot work.
        MissingDependencyError: The extra `web`, or a file of the package, is not installed.
    """
    require_onnx()
    _check(recipe, starts, seed, steps, warm_up)
    starts, steps = budgets.at_most("starts", starts), budgets.at_most("film_steps", steps)
    with fresh_folder(out, MANIFEST) as folder:
        copy_page(page or page_files(), folder)
        unpack_runtime(folder / "vendor" / "ort")
        model = folder / "model"
        model.mkdir()
        _write_model(recipe, model, starts, seed, steps, warm_up)
        total, compressed = _sizes(folder)
    return Site(Path(out), total, compressed)


def _check(recipe: Recipe, starts: int, seed: int, steps: int, warm_up: int) -> None:
    if recipe.logdir is None:
        raise ConfigError("A page needs the run's folder: give logdir.")
    smallest = {"starts": (starts, 1), "seed": (seed, 0), "steps": (steps, 2), "warm_up": (warm_up, 0)}
    for name, (value, least) in smallest.items():
        if value < least:
            raise ConfigError(f"{name}={value!r} cannot work: give a whole number of at least {least}.")


def _write_model(recipe: Recipe, model: Path, starts: int, seed: int, steps: int, warm_up: int) -> None:
    driver = Driver(replace(recipe, num_lanes=min(_LANES, 3 * starts)))
    try:
        assert driver.agent is not None and recipe.logdir is not None
        vae, agent, actions = load_vae(recipe.logdir), driver.agent, driver.lanes.actions
        driven = drive_well(driver, seed, starts, steps)
    finally:
        driver.close()
    moments = choose_moments([rollout for _, rollout in driven], warm_up, namer(recipe.env_name))
    recordings = [
        make_recording(vae, agent.cell, number, rollout, moment)
        for (number, rollout), moment in zip(driven, moments, strict=True)
    ]
    _write_graphs(model, vae, agent, actions)
    for index, recording in enumerate(recordings):
        write_json(model / f"recording_{index}.json", recording_json(recording))
        (model / f"recording_{index}.jpg").write_bytes(sprite_sheet(recording.frames))
    facts = _facts(recipe, agent, actions, recordings) | _latent_facts(vae, recordings)
    write_json(model / Path(MANIFEST).name, facts | {"files": file_facts(sorted(model.iterdir()))})


def _write_graphs(model: Path, vae: ConvVAE, agent: Agent, actions: ActionAdapter) -> None:
    sight = [(graph, True) for graph in vae_graphs(vae)]
    memory, control = memory_graph(agent.cell), controller_graph(agent.controller, actions.from_raw, agent.cell.hiddens)
    # M's errors would add up over a dream's steps: its weights, and C's few, stay as they are.
    for graph, half in [*sight, (memory, False), (control, False)]:
        (model / f"{graph.name}.onnx").write_bytes(onnx_bytes(graph, half_weights=half))


def _facts(recipe: Recipe, agent: Agent, actions: ActionAdapter, recordings: Sequence[Recording]) -> dict[str, Any]:
    assert recipe.logdir is not None
    frames, seeds = [each.frames[each.warm_up] for each in recordings], [each.seed for each in recordings]
    labels = start_labels(recipe.env_name, frames, seeds)
    return {
        "format": FORMAT,
        "env_id": recipe.env_name,
        "title": title(recipe.env_name),
        **pace(recipe.env_name, recipe.time_limit, recipe.env_kwargs),
        **memory_sizes(agent.cell),
        "has_terminal": knows_terminals(recipe.logdir),
        "temperature": 1.0,
        "score": score(recipe.logdir),
        "controls": controls(recipe.env_name, actions),
        "starts": [
            {
                "label": labels[index],
                "about": f"{episode_label(recipe.env_name, recording.seed)}, from step {recording.warm_up}",
                "recording": f"recording_{index}.json",
                "sprite": f"recording_{index}.jpg",
                **start_json(recording),
            }
            for index, recording in enumerate(recordings)
        ],
    }


def _latent_facts(vae: ConvVAE, recordings: Sequence[Recording]) -> dict[str, Any]:
    """How far the latents go in the recordings, and what each draws."""
    latents = np.concatenate([recording.latents for recording in recordings])
    mean, std = latents.mean(0), latents.std(0)
    return {
        "latent_mean": plain_numbers(mean),
        "latent_std": plain_numbers(std),
        "latent_effects": latent_effects(vae, mean, std),
    }


def _sizes(folder: Path) -> tuple[int, int]:
    contents = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    # Level 6 is what servers commonly use.
    return sum(map(len, contents)), sum(len(gzip.compress(content, 6, mtime=0)) for content in contents)
