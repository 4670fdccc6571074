"""What callers give and get: NumPy arrays or tensors, with any leading axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from world_models.errors import ConfigError, ObservationError

Array: TypeAlias = Any
"""A NumPy array or a tensor: whichever was given. What is given as lists and numbers counts as NumPy's."""
Kind: TypeAlias = Callable[[torch.Tensor], Array]


def as_array(tensor: torch.Tensor) -> Array:
    """A result as a NumPy array of its own memory."""
    return tensor.detach().cpu().numpy().copy()


def kind_of(*given: object) -> Kind:
    """How results are given back: as tensors on the device of the first tensor among `given`, else as arrays."""
    tensor = next((each for each in given if isinstance(each, torch.Tensor)), None)
    if tensor is None:
        return as_array
    device = tensor.device
    return lambda result: result.detach().to(device).clone()


def tensor_of(values: Array, device: torch.device) -> torch.Tensor:
    """Numbers as a float32 tensor on a device."""
    tensor = values if isinstance(values, torch.Tensor) else torch.from_numpy(np.asarray(values, np.float32))
    return tensor.to(device, torch.float32)


def number_array(values: Array) -> npt.NDArray[Any]:
    """Numbers as a NumPy array of their own dtype."""
    return np.asarray(values.detach().cpu() if isinstance(values, torch.Tensor) else values)


def pictures_of(frames: Array) -> torch.Tensor:
    """Pictures as a tensor.

    Raises:
        ObservationError: they are none.
    """
    tensor = frames if isinstance(frames, torch.Tensor) else torch.from_numpy(np.array(frames))
    if tensor.dtype != torch.uint8 or tensor.dim() < 3 or tensor.shape[-1] != 3:
        raise ObservationError(
            f"The frames are {tensor.dtype} of shape {tuple(tensor.shape)}: give uint8 pictures (..., H, W, 3)."
        )
    return tensor


def leading_axes(parts: Sequence[torch.Tensor]) -> torch.Size:
    """The axes before the last one of all of them, broadcast.

    Raises:
        ConfigError: they do not fit together.
    """
    try:
        return torch.Size(np.broadcast_shapes(*(part.shape[:-1] for part in parts)))
    except ValueError:
        told = ", ".join(str(tuple(part.shape)) for part in parts)
        raise ConfigError(f"The shapes {told} do not fit together: only their last axes may differ.") from None
