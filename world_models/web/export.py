"""`export_onnx`: a run's folder to the graphs that it has, as .onnx files and a manifest."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from world_models.envs.actions import ActionAdapter
from world_models.envs.known.of_run import environment_of_controller
from world_models.envs.registry import canonical_id
from world_models.errors import CheckpointError
from world_models.models.agent import Agent
from world_models.models.controller import Controller
from world_models.models.load import load_cell, load_controller, load_vae
from world_models.models.mdrnn import MDRNNCell
from world_models.rollout.driver import Recipe, make_lanes
from world_models.utils.run_dir import STAGES, best_path
from world_models.web.folder import FORMAT, file_facts, fresh_folder, write_json
from world_models.web.graphs import Graph, controller_graph, memory_graph, vae_graphs
from world_models.web.onnx_files import onnx_bytes, require_onnx

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class OnnxExport:
    """What was written: the folder, each graph's size in bytes, and the stages that the run has not."""

    folder: Path
    sizes: dict[str, int]
    missing: tuple[str, ...]


def export_onnx(
    logdir: str | os.PathLike[str],
    out: str | os.PathLike[str],
    env_name: str | None = None,
    env_kwargs: Mapping[str, Any] | str | None = None,
) -> OnnxExport:
    """Writes the graphs of the stages that a run has: encoder and decoder, memory, controller; float32, batch 1.

    Args:
        logdir: The run's folder.
        out: The folder to write; a former export there is replaced.
        env_name, env_kwargs: Whose actions C gives, and what it is made with; by default what C's checkpoint says.

    Raises:
        CheckpointError: No stage is trained, or a checkpoint cannot be used, or their sizes do not fit.
        ConfigError: `out` is something else's folder, or C does not say its environment.
        MissingDependencyError: The extra `web` is not installed.
    """
    require_onnx()
    missing = tuple(stage for stage in STAGES if not best_path(logdir, stage).is_file())
    if len(missing) == len(STAGES):
        raise CheckpointError(
            f"{logdir}: there is nothing to export, none of {', '.join(STAGES)} has a best.tar there; train first, "
            "or name the logdir of a run."
        )
    with fresh_folder(out, MANIFEST) as folder:
        graphs, sizes = _graphs(Path(logdir), missing, env_name, env_kwargs)
        for graph in graphs:
            (folder / f"{graph.name}.onnx").write_bytes(onnx_bytes(graph))
        written = file_facts(folder / f"{graph.name}.onnx" for graph in graphs)
        write_json(folder / MANIFEST, {"format": FORMAT, **sizes, "graphs": _shapes(graphs), "files": written})
    return OnnxExport(Path(out), {name: facts["bytes"] for name, facts in written.items()}, missing)


def _graphs(
    logdir: Path, missing: tuple[str, ...], env_name: str | None, env_kwargs: Mapping[str, Any] | str | None
) -> tuple[list[Graph], dict[str, Any]]:
    vae = None if "vae" in missing else load_vae(logdir)
    cell = None if "mdrnn" in missing else load_cell(logdir)
    graphs = vae_graphs(vae) if vae else []
    sizes: dict[str, Any] = {"latent_size": vae.latent_size} if vae else {}
    if cell:
        graphs.append(memory_graph(cell))
        sizes |= memory_sizes(cell)
    if "ctrl" not in missing:
        controller, env_id, actions = _controller(logdir, env_name, env_kwargs)
        if vae and cell:
            Agent(vae, cell, controller, actions.from_raw)  # refuses sizes that do not fit
        graphs.append(controller_graph(controller, actions.from_raw, cell.hiddens if cell else None))
        sizes |= {"env_id": env_id, "action_size": controller.action_size}
    return graphs, sizes


def memory_sizes(cell: MDRNNCell) -> dict[str, int]:
    """M's sizes by the manifest's names."""
    return {
        "latent_size": cell.latents,
        "hidden_size": cell.hiddens,
        "action_size": cell.actions,
        "gaussians": cell.gaussians,
    }


def _controller(
    logdir: Path, env_name: str | None, env_kwargs: Mapping[str, Any] | str | None
) -> tuple[Controller, str, ActionAdapter]:
    controller, facts = load_controller(logdir)
    name, made_with = environment_of_controller(logdir, facts, env_name, env_kwargs)
    env_id = canonical_id(name)
    lanes = make_lanes(Recipe(env_id, backend="gymnasium", num_lanes=1, draw=False, env_kwargs=made_with))
    actions = lanes.actions
    lanes.close()
    if actions.size != controller.action_size:
        raise CheckpointError(
            f"C in {logdir} gives {controller.action_size} actions, {env_id} takes {actions.size}: name the "
            "environment that it was trained on (--env)."
        )
    return controller, env_id, actions


def _shapes(graphs: list[Graph]) -> dict[str, Any]:
    return {
        graph.name: {"inputs": {name: list(shape) for name, shape in graph.inputs.items()}, "outputs": graph.outputs}
        for graph in graphs
    }
