"""Frames to images, and the hook for transforms: albumentations' form, `transform(image=...)["image"]`, or a function
from image to image, as torchvision's are."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import torch

from world_models.errors import DataError
from world_models.types import FRAME_SHAPE, UInt8Array


class Transform(Protocol):
    """Anything called like albumentations' `A.Compose`: image uint8 (H, W, 3) in, {"image": ...} out.

    A callable that takes no `image=` is called with the image alone, and what is no mapping is the image itself.
    """

    def __call__(self, *, image: UInt8Array) -> Mapping[str, Any]:
        """Gives {"image": ...}: an array (H, W, 3), or a tensor (3, H, W) as `ToTensorV2` makes it."""
        ...


def frames_to_images(frames: UInt8Array) -> torch.Tensor:
    """Frames (..., H, W, 3) uint8 -> images (..., 3, H, W) float32 in [0, 1]."""
    return torch.from_numpy(np.moveaxis(frames, -1, -3).astype(np.float32) / 255.0)


def transformed_image(transform: Transform | None, frame: UInt8Array) -> torch.Tensor:
    """One frame (H, W, 3) uint8 -> image (3, H', W') float32, through `transform` where there is one.

    What the transform gives as uint8 is divided by 255; floats are taken as they are, in [0, 1].

    Raises:
        DataError: the transform does not give {"image": an image of three channels}.
    """
    if transform is None:
        return frames_to_images(frame)
    image = _call(transform, frame)
    tensor = image if isinstance(image, torch.Tensor) else torch.from_numpy(_channels_first(image))
    if tensor.ndim != 3 or tensor.shape[0] != 3:
        raise DataError(f"the transform gave an image of shape {tuple(image.shape)}; give 64x64 RGB")
    scale = 255.0 if tensor.dtype == torch.uint8 else 1.0
    return tensor.to(torch.float32) / scale


def transformed_frame(transform: Transform, frame: UInt8Array) -> UInt8Array:
    """One frame (64, 64, 3) uint8 -> the same form, through `transform`; floats in [0, 1] are rounded.

    Raises:
        DataError: the transform gives another size, or another range than [0, 1] in floats.
    """
    image = transformed_image(transform, frame)
    if tuple(image.shape[1:]) != FRAME_SHAPE[:2]:
        raise DataError(
            f"the transform gave an image of {image.shape[1]}x{image.shape[2]} pixels; V needs 64x64, "
            "so let it end in a resize to 64x64"
        )
    low, high = float(image.min()), float(image.max())
    if low < 0 or high > 1 or not np.isfinite(low + high):
        raise DataError(
            f"the transform gave floats from {low:.3g} to {high:.3g}; V reconstructs images in [0, 1], "
            "so let it give uint8, or floats in [0, 1], without normalisation"
        )
    frame_again: UInt8Array = (image * 255.0).round().to(torch.uint8).permute(1, 2, 0).numpy()
    return frame_again


def _call(transform: Any, frame: UInt8Array) -> Any:
    # A copy: transforms may write into their argument, and the frame may be a read-only map.
    frame = np.array(frame)
    given = transform(image=frame) if _takes_image(transform) else transform(frame)
    if isinstance(given, Mapping) and "image" not in given:
        raise DataError(
            f"the transform gave a mapping of {', '.join(map(repr, given)) or 'nothing'}, without the key 'image'; "
            "it is called as transform(image=frame)['image'], like albumentations' Compose"
        )
    image = given["image"] if isinstance(given, Mapping) else given
    if hasattr(image, "__array_interface__"):  # a PIL image
        image = np.asarray(image)
    if not isinstance(image, np.ndarray | torch.Tensor):
        raise DataError(f"the transform gave an image of type {type(image).__name__}; give an array or a tensor")
    return image


def _takes_image(transform: Any) -> bool:
    """Whether the transform is called by keyword; a module of PyTorch is asked by its `forward`."""
    try:
        inspect.signature(getattr(transform, "forward", transform)).bind(image=None)
    except TypeError:
        return False
    except ValueError:  # no signature: built in
        return True
    return True


def _channels_first(image: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.ascontiguousarray(np.moveaxis(image, -1, 0)) if image.ndim == 3 else image
