"""Videos as H.264 in MP4, which every browser plays."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Generator, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import imageio_ffmpeg
import numpy as np

from world_models.errors import ConfigError, DataError, MissingDependencyError
from world_models.types import UInt8Array


class VideoWriter:
    """An .mp4 file that grows picture by picture and is there whole, under its name, at the end or not at all.

    Args:
        path: The file; its folder must exist.
        fps: Pictures a second; CarRacing's is 50.

    Raises:
        MissingDependencyError: No ffmpeg binary is found (when the first picture comes).
    """

    def __init__(self, path: str | os.PathLike[str], fps: float = 50) -> None:
        self.path = Path(path)
        self.fps = fps
        self._temporary = self.path.with_name(f".{self.path.stem}.part.mp4")
        self._ffmpeg: Generator[None, Any, None] | None = None
        self._shape: tuple[int, ...] | None = None  # of the first picture

    def write(self, picture: UInt8Array) -> None:
        """Adds a picture (H, W, 3) uint8 of even size, the same as the first one's.

        Raises:
            DataError: It is none.
        """
        self._check(picture)
        if self._ffmpeg is None:
            self._shape = picture.shape
            find_ffmpeg()
            self._ffmpeg = _encoder(self._temporary, (picture.shape[1], picture.shape[0]), self.fps)
            self._ffmpeg.send(None)
        self._ffmpeg.send(np.ascontiguousarray(picture))

    def _check(self, picture: UInt8Array) -> None:
        shape = picture.shape
        if picture.dtype != np.uint8 or len(shape) != 3 or shape[2] != 3 or 0 in shape or any(n % 2 for n in shape[:2]):
            raise DataError(
                f"{self.path}: a picture is {picture.dtype} of shape {shape}, and a video takes uint8 (H, W, 3) with "
                "even H and W."
            )
        if self._shape is not None and shape != self._shape:
            raise DataError(f"{self.path}: a picture has shape {shape}, and the video's first had {self._shape}.")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._ffmpeg is None:
            return
        try:
            self._ffmpeg.close()
            if error is None:
                os.replace(self._temporary, self.path)
        finally:
            self._temporary.unlink(missing_ok=True)


def write_video(path: str | os.PathLike[str], pictures: Iterable[UInt8Array], fps: float = 50) -> Path:
    """Writes pictures (H, W, 3) uint8 of equal even size as they come, at once or not at all.

    Args:
        path: The .mp4 file; its folder must exist.
        pictures: At least one picture; each is dropped once written.
        fps: Frames a second.

    Raises:
        DataError: There is no picture.
        MissingDependencyError: No ffmpeg binary is found.
    """
    target = Path(path)
    count = 0
    with VideoWriter(target, fps) as video:
        for picture in pictures:
            video.write(picture)
            count += 1
    if not count:
        raise DataError(f"{target}: a video needs at least one picture; record the episode's frames.")
    return target


def check_target(path: Path) -> None:
    """Makes the folder of a video that is to be, before anything is driven for it.

    Raises:
        ConfigError: A file cannot be written there.
    """
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, f"{path.name} is a folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise ConfigError(
            f"{path.absolute()} cannot be written ({error.strerror}): name a file elsewhere (--out FILE.mp4)."
        ) from error


def find_ffmpeg() -> str:
    """The ffmpeg binary. Raises MissingDependencyError where there is none."""
    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        raise MissingDependencyError(
            "videos need ffmpeg, and none is found: pip install --force-reinstall imageio-ffmpeg, "
            "or name one in the environment variable IMAGEIO_FFMPEG_EXE."
        ) from error


def _encoder(path: Path, size: tuple[int, int], fps: float) -> Generator[None, Any, None]:
    writer: Generator[None, Any, None] = imageio_ffmpeg.write_frames(
        os.fspath(path),
        size,
        fps=fps,
        codec="libx264",
        pix_fmt_out="yuv420p",  # the only one that every player knows
        macro_block_size=2,
        output_params=["-crf", "26", "-preset", "veryfast", "-movflags", "+faststart"],
        ffmpeg_log_level="error",
    )
    return writer
