"""Ctrl-C that waits."""

import os
import signal
import threading

import pytest
import torch

from world_models.utils.interrupts import held_back
from world_models.utils.run_dir import load_checkpoint, save_checkpoint


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


def test_what_is_held_back_ends_first_and_then_ctrl_c_is_heard():
    done = []
    with pytest.raises(KeyboardInterrupt), held_back():
        interrupt()
        done.append("the block")
    assert done == ["the block"]
    with pytest.raises(KeyboardInterrupt):
        interrupt()
        threading.Event().wait(1)


def test_no_ctrl_c_changes_nothing_and_the_old_handler_is_back():
    before = signal.getsignal(signal.SIGINT)
    with held_back():
        pass
    assert signal.getsignal(signal.SIGINT) is before


def test_another_thread_and_a_deaf_process_are_left_as_they_are():
    def run():
        with held_back():
            seen.append(signal.getsignal(signal.SIGINT))

    before, seen = signal.getsignal(signal.SIGINT), []
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with held_back():
            interrupt()
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == [before]


def test_a_checkpoint_that_ctrl_c_meets_half_written_is_whole(tmp_path, monkeypatch):
    real = torch.save

    def save(payload, stream):
        class Stream:
            def write(self, data):
                interrupt()
                return stream.write(data)

            def flush(self):
                stream.flush()

        real(payload, Stream())

    monkeypatch.setattr(torch, "save", save)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(tmp_path / "best.tar", {"state_dict": {"x": torch.arange(1000.0)}})
    assert torch.equal(load_checkpoint(tmp_path / "best.tar")["state_dict"]["x"], torch.arange(1000.0))
    assert [path.name for path in tmp_path.iterdir()] == ["best.tar"]
