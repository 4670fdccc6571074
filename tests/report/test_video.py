"""Videos are H.264 of the frames given, written whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest

from world_models.errors import DataError, MissingDependencyError
from world_models.report.figures.panels import compose
from world_models.report.video import write_video
from world_models.types import UInt8Array


def moving(count: int, height: int = 96, width: int = 96) -> UInt8Array:
    frames = np.zeros((count, height, width, 3), np.uint8)
    for t in range(count):
        frames[t, :, : (t + 1) * width // count] = (20, 200, 40)
    return frames


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # imageio-ffmpeg's reader leaves its pipes to the collector
def test_a_video_has_every_frame_at_its_size_and_rate(tmp_path: Path) -> None:
    path = write_video(
        tmp_path / "car.mp4", (np.concatenate([a, b], 1) for a, b in zip(moving(12), moving(12), strict=True)), fps=25
    )

    meta, *frames = imageio_ffmpeg.read_frames(path)

    assert meta["codec"].startswith("h264") and meta["fps"] == 25
    assert meta["size"] == (192, 96) and len(frames) == 12
    last = np.frombuffer(frames[-1], np.uint8).reshape(96, 192, 3).astype(int)
    assert np.abs(last[48, [10, 180]] - (20, 200, 40)).max() < 25


def test_panels_take_the_first_ones_proportions_and_an_even_size() -> None:
    panels = [("native", moving(1, 84, 96)[0]), ("stored", moving(1, 64, 64)[0])]

    picture = compose(panels, height=63)

    assert picture.shape[0] % 2 == picture.shape[1] % 2 == 0
    assert picture.shape[1] == 10 + 72 + 10 + 72 + 10


def test_a_foot_adds_a_line_and_long_names_stay_in_their_panels() -> None:
    frame = moving(1)[0]

    plain, footed = compose([("a", frame)]), compose([("a" * 200, frame)], ["seed 1", "return 2"])

    assert footed.shape[0] > plain.shape[0] and footed.shape[1] == plain.shape[1]
    assert (footed[:, -10:] == footed[0, -1]).all(), "nothing is written beside the panel"


def test_no_picture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="at least one"):
        write_video(tmp_path / "car.mp4", [])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("picture", "says"),
    [
        (np.zeros((96, 96), np.uint8), r"uint8 of shape \(96, 96\)"),
        (np.zeros((96, 96, 1), np.uint8), r"\(96, 96, 1\)"),
        (np.zeros((96, 96, 4), np.uint8), r"\(96, 96, 4\)"),
        (np.zeros((3, 96, 96), np.uint8), r"\(3, 96, 96\)"),
        (np.zeros((95, 96, 3), np.uint8), r"\(95, 96, 3\)"),
        (np.zeros((96, 0, 3), np.uint8), r"\(96, 0, 3\)"),
        (np.zeros((96, 96, 3), np.float32), "float32"),
    ],
    ids=lambda value: str(getattr(value, "shape", "")),
)
def test_what_is_no_picture_is_refused_with_its_shape(tmp_path: Path, picture: np.ndarray, says: str) -> None:
    with pytest.raises(DataError, match=rf"car\.mp4: a picture is .*{says}.*, and a video takes uint8 \(H, W, 3\)"):
        write_video(tmp_path / "car.mp4", [picture])
    assert not list(tmp_path.iterdir())


def test_a_picture_of_another_size_than_the_first_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"shape \(64, 96, 3\), and the video's first had \(96, 96, 3\)"):
        write_video(tmp_path / "car.mp4", [moving(1)[0], moving(1, 64)[0]])
    assert not list(tmp_path.iterdir())


def test_a_video_that_breaks_off_leaves_the_old_one(tmp_path: Path) -> None:
    def breaking() -> Iterator[UInt8Array]:
        yield moving(1)[0]
        raise RuntimeError("no more")

    (tmp_path / "car.mp4").write_bytes(b"old")
    with pytest.raises(RuntimeError, match="no more"):
        write_video(tmp_path / "car.mp4", breaking())
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


def test_a_missing_ffmpeg_is_named_with_the_mend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> str:
        raise RuntimeError("No ffmpeg exe could be found")

    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", nowhere)
    with pytest.raises(MissingDependencyError, match="pip install"):
        write_video(tmp_path / "car.mp4", moving(2))
