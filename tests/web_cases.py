"""What the tests of the exports share: graphs under ONNX Runtime, random inputs, the smallest page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch

from world_models.web.graphs import Graph
from world_models.web.onnx_files import onnx_bytes

Tensors = dict[str, torch.Tensor]


class Session:
    """A graph under ONNX Runtime, on one thread as in the page: tensors in and out by name."""

    def __init__(self, model: bytes) -> None:
        self.model = model
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def __call__(self, inputs: Mapping[str, torch.Tensor]) -> Tensors:
        names = [output.name for output in self.session.get_outputs()]
        values = self.session.run(names, {name: value.numpy() for name, value in inputs.items()})
        return {name: torch.from_numpy(np.asarray(value)) for name, value in zip(names, values, strict=True)}

    def shapes(self) -> dict[str, tuple[tuple[int, ...], str]]:
        """Shape and type of every input and output."""
        both = [*self.session.get_inputs(), *self.session.get_outputs()]
        return {each.name: (tuple(each.shape), each.type) for each in both}


def session_of(graph: Graph, **changes: Any) -> Session:
    return Session(onnx_bytes(graph, **changes))


def random_inputs(graph: Graph, seed: int, temperature: float = 1.0) -> Tensors:
    """Inputs of the kinds that the names promise: pictures and picks in [0, 1), everything else normal."""
    generator = torch.Generator().manual_seed(seed)
    inputs = {}
    for name, shape in graph.inputs.items():
        uniform = name in ("image", "pick")
        inputs[name] = (torch.rand if uniform else torch.randn)(shape, generator=generator)
    if "temperature" in inputs:
        inputs["temperature"] = torch.full((1, 1), temperature)
    return inputs


def assert_near(got: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor], tolerance: float = 1e-5) -> None:
    """Same names, shapes and types; numbers within the tolerance, absolute, and relative for those above 1."""
    assert list(got) == list(wanted)
    for name, value in wanted.items():
        assert got[name].shape == value.shape and got[name].dtype == value.dtype, name
        assert torch.isfinite(got[name]).all(), name
        far = (got[name] - value).abs() / value.abs().clamp_min(1)
        assert far.max() <= tolerance, f"{name} is off by {far.max():.2e}"


def placeholder_page(folder: Path) -> Path:
    """The smallest page, with a script in a folder of its own."""
    (folder / "js").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>Dream</title>", "utf-8")
    (folder / "js" / "main.js").write_text("export const here = true;\n", "utf-8")
    return folder
