"""A graph as the bytes of an .onnx file: the only place that knows `onnx` and PyTorch's exporter."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from world_models.errors import MissingDependencyError
from world_models.web.graphs import Graph

OPSET = 18  # what PyTorch's exporter writes without a conversion; ONNX Runtime reads it since 1.14
_LARGEST_HALF = float(np.finfo(np.float16).max)


def require_onnx() -> Any:
    """The package `onnx`, where all that exporting needs is installed.

    Raises:
        MissingDependencyError: `onnx` or `onnxscript` is not.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401  (PyTorch's exporter is written in it)
    except ImportError as error:
        raise MissingDependencyError(
            f"Exporting needs a package that is not installed ({error.name}): pip install 'world-models-torch[web]'"
        ) from error
    return onnx


def onnx_bytes(graph: Graph, half_weights: bool = False) -> bytes:
    """The graph as an .onnx file, checked; the same module gives the same bytes.

    Args:
        graph: What to export; on the CPU.
        half_weights: Store weights of two and more dimensions as float16, and cast them to float32 in the
            graph: half the bytes, and ONNX Runtime folds the casts when it loads them.

    Raises:
        MissingDependencyError: `onnx` or `onnxscript` is not installed.
    """
    onnx = require_onnx()
    # Not zeros: a value that the exporter might take for a constant should at least not be a special one.
    example = tuple(torch.full(shape, 0.5) for shape in graph.inputs.values())
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            graph.module.eval(),
            example,
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    _strip(model, graph.name)
    if half_weights:
        _halve(onnx, model)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


# The exporter and its helpers report every rewriting, and that torchvision, which nothing here uses, is missing.
_TALKATIVE = ("torch.onnx", "torch.onnx._internal.exporter._registration", "onnxscript", "onnx_ir")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in _TALKATIVE]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _strip(model: Any, name: str) -> None:
    """Takes out where it came from: source lines and paths of the machine that exported it."""
    model.graph.name = name
    model.graph.doc_string = ""
    del model.metadata_props[:], model.graph.metadata_props[:], model.graph.value_info[:]
    parts = (model.graph.node, model.graph.initializer, model.graph.input, model.graph.output)
    for each in (item for part in parts for item in part):
        each.doc_string = ""
        del each.metadata_props[:]


def _halve(onnx: Any, model: Any) -> None:
    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT or len(tensor.dims) < 2:
            continue
        values = onnx.numpy_helper.to_array(tensor)
        if np.abs(values).max() > _LARGEST_HALF:
            continue
        name = tensor.name
        tensor.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
        casts.append(onnx.helper.make_node("Cast", [f"{name}.half"], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
