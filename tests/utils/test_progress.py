"""Progress: the same facts on a terminal and in a log file, and silence where asked for."""

import io

import pytest

from world_models.utils.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture(autouse=True)
def not_quiet(monkeypatch):
    monkeypatch.delenv("WORLD_MODELS_QUIET", raising=False)


def run(stream, clock, seconds, total=10, **given):
    with Progress("vae", total, "batch", stream=stream, clock=clock, **given) as progress:
        for number in range(10):
            clock.now += seconds
            progress.update(1, loss=0.123456, best=number)
    return stream.getvalue().splitlines()


def test_a_log_file_gets_a_line_about_every_15_seconds_and_one_at_the_end():
    lines = run(io.StringIO(), Clock(), seconds=5.0)
    assert [line.split(" ")[1] for line in lines] == ["3/10", "6/10", "9/10", "10/10"]


def test_a_log_file_of_a_night_has_some_dozens_of_lines_and_none_is_written_over():
    stream, clock = io.StringIO(), Clock()
    with Progress("C", 9_000, "generation", stream=stream, clock=clock) as progress:
        for _ in range(9_000):
            clock.now += 4.0
            progress.update(1, best=1.0)
    assert 50 < len(stream.getvalue().splitlines()) < 120
    assert "\r" not in stream.getvalue() and "\033" not in stream.getvalue()


def test_a_total_that_becomes_known_gives_the_time_left():
    stream, clock = io.StringIO(), Clock()
    with Progress("C", None, "generation", stream=stream, clock=clock) as progress:
        clock.now += 20.0
        progress.expect(4)
        progress.update(1)
    assert (
        stream.getvalue().splitlines()[0].startswith("C: 1/4 generation (25%), 0.05 generation/s, 0:20 gone, 1:00 left")
    )


def test_a_bar_takes_the_total_that_becomes_known():
    stream = Terminal()
    with Progress("C", None, "generation", stream=stream) as progress:
        progress.expect(2)
        progress.update(2)
    assert "2/2" in stream.getvalue()


def test_a_line_has_stage_share_rate_time_left_and_the_latest_values():
    line = run(io.StringIO(), Clock(), seconds=5.0)[0]
    assert line == "vae: 3/10 batch (30%), 0.2 batch/s, 0:15 gone, 0:35 left, loss=0.1235, best=2"


def test_hours_are_written_out():
    line = run(io.StringIO(), Clock(), seconds=3600.0)[0]
    assert "1:00:00 gone" in line and "9:00:00 left" in line


def test_an_unknown_total_leaves_out_share_and_time_left():
    line = run(io.StringIO(), Clock(), seconds=20.0, total=None)[0]
    assert "%" not in line and "left" not in line and line.startswith("vae: 1 batch, ")


def test_units_done_before_count_in_the_share_and_not_in_the_rate():
    line = run(io.StringIO(), Clock(), seconds=20.0, total=100, initial=50)[0]
    assert line.startswith("vae: 51/100 batch (51%), 0.05 batch/s")


def test_a_terminal_gets_a_bar_with_the_same_facts():
    stream = Terminal()
    with Progress("vae", 10, "batch", stream=stream) as progress:
        for _ in range(10):
            progress.update(1, loss=0.123456)
    text = stream.getvalue()
    assert "\r" in text and "vae" in text and "10/10" in text and "batch" in text and "loss=0.1235" in text


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()])
def test_nothing_is_written_where_it_is_not_wanted(stream, monkeypatch):
    assert run(stream, Clock(), 20.0, enabled=False) == []
    monkeypatch.setenv("WORLD_MODELS_QUIET", "1")
    assert run(stream, Clock(), 20.0) == []


def test_an_interruption_passes_through_and_is_named():
    stream = io.StringIO()
    with pytest.raises(KeyboardInterrupt), Progress("vae", 10, "batch", stream=stream):
        raise KeyboardInterrupt
    assert stream.getvalue().endswith("stopped by KeyboardInterrupt\n")


def test_no_work_at_all_is_no_error():
    stream = io.StringIO()
    with Progress("vae", 0, "batch", stream=stream, clock=Clock()):
        pass
    assert stream.getvalue().startswith("vae: 0 batch")
