"""Reading .npz files: in many threads at once, and never more memory than the file has bytes for."""

from __future__ import annotations

import ast
import gc
import io
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.doubles import make_rollouts
from world_models.datasets.formats import npz
from world_models.datasets.formats.npz import open_npz, read_array, read_outline
from world_models.datasets.rollout_files import inspect_rollout, read_rollout
from world_models.errors import DataError


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads take turns within numpy's parsing of headers, too: CPython 3.11 then fails with np.load."""
    interval, thresholds = sys.getswitchinterval(), gc.get_threshold()

    def turn(phase: str, info: dict[str, int]) -> None:
        for _ in range(50):
            pass

    sys.setswitchinterval(1e-6)
    gc.set_threshold(7)
    gc.callbacks.append(turn)
    yield
    gc.callbacks.remove(turn)
    gc.set_threshold(*thresholds)
    sys.setswitchinterval(interval)


def test_many_threads_read_many_small_files(tmp_path: Path, restless: None) -> None:
    files = make_rollouts(tmp_path, [2] * 8)
    with ThreadPoolExecutor(16) as threads:
        end = time.monotonic() + 1
        while time.monotonic() < end:
            npz._parsed.cache_clear()
            assert {len(each) for each in threads.map(read_rollout, files * 4)} == {2}
            assert {len(each) for each in threads.map(inspect_rollout, files * 4)} == {2}


def test_a_file_is_read_although_another_thread_parses_at_the_same_time(tmp_path: Path, restless: None) -> None:
    (path,) = make_rollouts(tmp_path, [2])
    stopped = threading.Event()

    def others() -> None:
        while not stopped.is_set():
            try:
                ast.parse("{'a': (1, 2, [3, 4])}", mode="eval")
            except SystemError:
                continue  # CPython 3.11's own fault

    thread = threading.Thread(target=others)
    thread.start()
    try:
        end = time.monotonic() + 1
        while time.monotonic() < end:
            npz._parsed.cache_clear()
            assert len(read_rollout(path)) == 2
    finally:
        stopped.set()
        thread.join()


def test_a_header_that_is_never_parsed_is_an_error_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rollout_00000.npz"
    fields = np.zeros(2, [("value", np.float32)])  # numpy alone reads such headers
    np.savez(path, observations=np.zeros((2, 64, 64, 3), np.uint8), actions=fields, rewards=fields, terminals=fields)

    def fails(file: object) -> object:
        raise SystemError("AST constructor recursion depth mismatch")

    npz._parsed.cache_clear()
    monkeypatch.setitem(npz._HEADERS, (1, 0), (2, fails))
    with pytest.raises(DataError, match=r"rollout_00000\.npz: the array .* header cannot be parsed"):
        read_rollout(path)


def test_a_header_that_claims_more_than_there_is_takes_no_memory(tmp_path: Path) -> None:
    for shape in ((10**14,), (2**62, 4), (3,), (-2, -2)):
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": shape})
        with zipfile.ZipFile(tmp_path / "big.npz", "w") as archive:
            archive.writestr("rewards.npy", header.getvalue() + bytes(32))
        with open_npz(tmp_path / "big.npz", "mend it") as opened:
            for read in (read_array, read_outline):
                with pytest.raises(DataError, match=r"big\.npz: the array 'rewards' cannot be read .*; mend it"):
                    read(opened, "rewards")


@pytest.mark.parametrize("compress", [False, True])
def test_every_array_is_read_as_numpy_reads_it(tmp_path: Path, compress: bool) -> None:
    arrays = {
        "zero_d": np.array(3.5),
        "text": np.array("CarRacing-v3"),
        "empty": np.zeros((0, 3), np.float32),
        "fortran": np.asfortranarray(np.arange(12).reshape(3, 4)),
        "big_endian": np.arange(5, dtype=">i2"),
        "strided": np.arange(20)[::3],
        "large": np.arange(300_000),
    }
    (np.savez_compressed if compress else np.savez)(tmp_path / "a.npz", **arrays)  # type: ignore[operator]
    with open_npz(tmp_path / "a.npz", "") as archive:
        assert set(archive.names) == set(arrays)
        for key, array in arrays.items():
            got = read_array(archive, key)
            np.testing.assert_array_equal(got, array)
            assert got.dtype == array.dtype and got.flags.writeable
            assert read_outline(archive, key).shape == array.shape
