"""Sheets: rows of frames, each where it belongs."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.doubles import counting_frame
from world_models.errors import DataError
from world_models.report.figures.dream import Dream
from world_models.report.figures.pictures import dream_sheet, evenly, png, sheet

FRAMES = np.stack([counting_frame(t) for t in range(20)])


def times_of_last_row(picture: Image.Image, count: int) -> list[int]:
    """The times of the last row's counting frames, read from their red value."""
    pixels = np.asarray(picture.convert("RGB"))
    width = (picture.width + 6) // count
    return [int(pixels[-10, column * width + 30, 0]) for column in range(count)]


@given(st.integers(1, 500), st.integers(1, 30))
def test_rows_are_spread_evenly_with_both_ends(length: int, count: int) -> None:
    rows = evenly(length, count)

    assert len(rows) == len(set(rows)) == min(length, count)
    assert rows == sorted(rows) and rows[0] == 0
    assert rows[-1] == (length - 1 if count > 1 else 0)


def test_a_sheet_has_each_frame_in_its_column_at_the_scale_asked_for() -> None:
    picture = sheet([("a", FRAMES[:4]), ("b", FRAMES[4:8])], scale=1.5)

    assert picture.width == 4 * 96 + 3 * 6
    assert times_of_last_row(picture, 4) == [4, 5, 6, 7]


def test_a_dream_is_shown_from_the_last_frame_that_m_saw() -> None:
    dreams = [Dream(FRAMES, FRAMES, FRAMES, warm_up=8, temperature=heat) for heat in (0.5, 1.0)]

    one, two = dream_sheet(dreams[:1], count=5), dream_sheet(dreams, count=5)

    assert times_of_last_row(one, 5) == times_of_last_row(two, 5) == [7, 10, 13, 16, 19]
    assert two.height > one.height


def test_rows_of_other_lengths_are_refused() -> None:
    with pytest.raises(DataError, match="one shape"):
        sheet([("a", FRAMES[:2]), ("b", FRAMES[:3])])
    with pytest.raises(DataError, match="one shape"):
        sheet([("a", FRAMES[:0])])


def test_a_sheet_is_written_as_png() -> None:
    assert Image.open(io.BytesIO(png(sheet([("a", FRAMES[:1])])))).format == "PNG"
