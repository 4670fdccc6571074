"""Videos as H.264 in MP4, which every browser plays."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from PIL import Image

from world_models.errors import DataError, MissingDependencyError
from world_models.types import UInt8Array

_GAP = 8
_GROUND = 24  # a dark grey between the pictures, which suits light and dark pages


def side_by_side(tracks: Sequence[UInt8Array], height: int = 336) -> Iterator[UInt8Array]:
    """One picture a frame: the tracks' frames of a moment side by side, in the first track's proportions.

    Args:
        tracks: Frames (T, H, W, 3) uint8 of each track, of equal T; H and W may differ: a stored frame is
            stretched back to the native frame's proportions.
        height: Of the pictures, in pixels.

    Raises:
        DataError: The tracks are of different lengths, or are not uint8 frames.
    """
    for frames in tracks:
        if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3:
            raise DataError(
                f"a video takes uint8 frames of shape (T, H, W, 3), got {frames.dtype} {frames.shape}: "
                "give the frames as recorded."
            )
    if len({len(frames) for frames in tracks}) != 1:
        raise DataError(
            f"tracks of {[len(frames) for frames in tracks]} frames cannot stand side by side: "
            "give a frame of each for every moment."
        )
    size = (round(tracks[0].shape[2] * height / tracks[0].shape[1]), height)
    return (_join([_enlarge(frame, size) for frame in moment]) for moment in zip(*tracks, strict=True))


def _enlarge(frame: UInt8Array, size: tuple[int, int]) -> UInt8Array:
    return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.NEAREST))


def _join(pictures: Sequence[UInt8Array]) -> UInt8Array:
    gap = np.full((pictures[0].shape[0], _GAP, 3), _GROUND, np.uint8)
    parts = [part for picture in pictures for part in (gap, picture)][1:]
    row = np.concatenate(parts, axis=1)
    odd_height, odd_width = row.shape[0] % 2, row.shape[1] % 2  # H.264 halves the colour planes
    return np.pad(row, ((0, odd_height), (0, odd_width), (0, 0)), mode="edge")


def write_video(path: str | os.PathLike[str], pictures: Iterable[UInt8Array], fps: float = 50) -> Path:
    """Writes pictures (H, W, 3) uint8 of equal even size as they come, at once or not at all.

    Args:
        path: The .mp4 file; its folder must exist.
        pictures: At least one picture; each is dropped once written.
        fps: Frames a second; CarRacing's is 50.

    Raises:
        DataError: There is no picture.
        MissingDependencyError: No ffmpeg binary is found.
    """
    target = Path(path)
    coming = iter(pictures)
    first = next(coming, None)
    if first is None:
        raise DataError(f"{target}: a video needs at least one picture; record the episode's frames.")
    _ffmpeg()
    temporary = target.with_name(f".{target.stem}.part.mp4")
    try:
        _encode(temporary, first, coming, fps)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    return target


def _ffmpeg() -> str:
    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        raise MissingDependencyError(
            "videos need ffmpeg, and none is found: pip install --force-reinstall imageio-ffmpeg, "
            "or name one in the environment variable IMAGEIO_FFMPEG_EXE."
        ) from error


def _encode(path: Path, first: UInt8Array, rest: Iterable[UInt8Array], fps: float) -> None:
    writer = imageio_ffmpeg.write_frames(
        os.fspath(path),
        (first.shape[1], first.shape[0]),
        fps=fps,
        codec="libx264",
        pix_fmt_out="yuv420p",  # the only one that every player knows
        macro_block_size=2,
        output_params=["-crf", "26", "-preset", "veryfast", "-movflags", "+faststart"],
        ffmpeg_log_level="error",
    )
    writer.send(None)
    try:
        writer.send(np.ascontiguousarray(first))
        for picture in rest:
            writer.send(np.ascontiguousarray(picture))
    finally:
        writer.close()
