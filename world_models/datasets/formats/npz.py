"""Plain .npz files: written whole or not at all, read without pickle, with errors that name the mend."""

from __future__ import annotations

import io
import math
import os
import re
import struct
import threading
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from world_models.errors import DataError

# What zipfile, zlib and numpy's reading of headers raise on bytes that are not what they claim to be.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    tokenize.TokenError,
    AttributeError,
    EOFError,
    KeyError,
    MemoryError,  # a damaged header may claim any shape
    NotImplementedError,
    OSError,
    OverflowError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
)

AnyArray = npt.NDArray[Any]

_PARSING = threading.Lock()  # held while a header is parsed, not while data are read
# The header of an array of numbers, as numpy writes it.
_PLAIN = re.compile(
    rb"\{'descr': '(?P<descr>[<>|=][biufcSUV]\d{1,4})', 'fortran_order': (?P<fortran>True|False), "
    rb"'shape': \((?P<shape>(?:\d{1,18}(?:, \d{1,18})*,?)?)\), ?\} *\n?"
)
_PARSINGS = 5
_HEADERS = {  # version of the .npy format: bytes of the header's length, and numpy's reader of the rest
    (1, 0): (2, np.lib.format.read_array_header_1_0),
    (2, 0): (4, np.lib.format.read_array_header_2_0),
}
_BYTES_AT_ONCE = 1 << 20


def temporary_path(path: Path) -> Path:
    """A name beside `path` that no listing of .npz files takes for a finished one."""
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Opens a temporary file that becomes `path` when the block ends well, and vanishes when it does not."""
    temporary = temporary_path(path)
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_npz(path: Path, arrays: Mapping[str, AnyArray], compress: bool) -> None:
    """Writes `arrays` to `path` atomically, as `np.savez` would.

    zlib level 1 takes a third of the time of numpy's fixed level 6 on rollouts, for 1.4 times the bytes.

    Raises:
        DataError: the disk is full, or the folder cannot be written to.
    """
    method = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file, zipfile.ZipFile(file, "w", method, compresslevel=1) as archive:
            for key, array in arrays.items():
                with archive.open(f"{key}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error}); free some space or name another folder") from error


@dataclass(frozen=True)
class Archive:
    """An .npz file that is open for reading; `names` are those of its arrays."""

    path: Path
    mend: str
    members: zipfile.ZipFile
    names: tuple[str, ...]


@contextmanager
def open_npz(path: Path, mend: str) -> Iterator[Archive]:
    """Opens `path` for reading arrays; several threads may each have files of their own open.

    Raises:
        DataError: there is no such file, or it is no .npz file or a truncated one; the message ends in `mend`.
    """
    if not path.is_file():
        what = "it is a link to a file that is not there" if path.is_symlink() else "there is no such file"
        raise DataError(f"{path}: {what}; {mend}")
    try:
        opened = path.open("rb")
    except OSError as error:
        raise DataError(f"{path}: cannot be opened ({error}); {mend}") from error
    with opened as file:
        if file.read(len(np.lib.format.MAGIC_PREFIX)) == np.lib.format.MAGIC_PREFIX:
            raise DataError(f"{path}: holds a single array, not the named arrays of an .npz file; {mend}")
        try:
            members = zipfile.ZipFile(file)
        except _DAMAGE as error:
            raise DataError(f"{path}: not an .npz file, or a truncated one ({error}); {mend}") from error
        with members:
            names = tuple(name.removesuffix(".npy") for name in members.namelist())
            yield Archive(path, mend, members, names)


def read_array(archive: Archive, key: str) -> AnyArray:
    """The array `key` of an open archive.

    Raises:
        DataError: the key is not there, or its bytes are damaged or pickled objects.
    """
    with _member(archive, key) as (member, shape, fortran, dtype):
        flat = np.empty(math.prod(shape), dtype)
        _fill(member, flat)
    return flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)


def read_outline(archive: Archive, key: str) -> AnyArray:
    """Zeros of the shape and dtype of the array `key`, from its header alone; they take no memory.

    Raises:
        DataError: the key is not there, or its header is damaged, or that of pickled objects.
    """
    with _member(archive, key) as (_, shape, _, dtype):
        return np.broadcast_to(np.zeros((), dtype), shape)


def lacks(path: Path, missing: Sequence[str], present: Sequence[str]) -> str:
    """The sentence, without its mend, for a file in which some keys are missing."""
    named = ", ".join(map(repr, missing))
    return f"{path}: lacks the key{'s' * (len(missing) > 1)} {named} (it has {', '.join(present) or 'none'})"


@contextmanager
def _member(archive: Archive, key: str) -> Iterator[tuple[IO[bytes], tuple[int, ...], bool, np.dtype[Any]]]:
    """One array's open member behind its header, and what the header says: shape, Fortran's order, dtype."""
    if key not in archive.names:
        raise DataError(f"{lacks(archive.path, [key], archive.names)}; {archive.mend}")
    try:
        name = f"{key}.npy" if f"{key}.npy" in archive.members.namelist() else key
        size = archive.members.getinfo(name).file_size
        with archive.members.open(name) as member:
            shape, fortran, dtype = _read_header(member)
            if dtype.hasobject:
                raise ValueError("it holds Python objects, which are never unpickled")
            if min(shape, default=0) < 0 or member.tell() + math.prod(shape) * dtype.itemsize != size:
                raise ValueError(f"its {size:,} bytes are not those of {dtype} of shape {shape}")
            yield member, shape, fortran, dtype
    except _DAMAGE as error:
        raise DataError(f"{archive.path}: the array {key!r} cannot be read ({error}); {archive.mend}") from error


def _read_header(member: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, Fortran's order and dtype from the beginning of a .npy member."""
    version = np.lib.format.read_magic(member)
    if version not in _HEADERS:
        raise ValueError(f"version {version} of the .npy format is not known")
    length = member.read(_HEADERS[version][0])
    return _parsed(version, length + member.read(int.from_bytes(length, "little")))


@lru_cache(1024)  # the files of a folder have few headers that differ
def _parsed(version: tuple[int, int], content: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """What a header says.

    numpy parses it with `ast.literal_eval`. In CPython before 3.12 two threads that parse at once may get a SystemError
    ("AST constructor recursion depth mismatch", CPython's issue 106905). So the form that numpy writes for arrays of
    numbers is read here; any other, such as that of named fields, numpy reads, for one thread of ours at a time, and
    once more where a thread of the caller's came between.
    """
    plain = _PLAIN.fullmatch(content[_HEADERS[version][0] :])
    if plain is not None:
        shape = tuple(int(size) for size in plain["shape"].decode().split(",") if size.strip())
        return shape, plain["fortran"] == b"True", np.dtype(plain["descr"].decode())
    for _ in range(_PARSINGS):
        try:
            with _PARSING:
                return _HEADERS[version][1](io.BytesIO(content))
        except SystemError:
            continue
    raise ValueError("its header cannot be parsed")


def _fill(member: IO[bytes], flat: AnyArray) -> None:
    """Reads the bytes of an array out of its member, which also checks their sum."""
    target = flat.view(np.uint8) if flat.nbytes else np.empty(0, np.uint8)
    place = 0
    while place < len(target):
        part = member.read(min(_BYTES_AT_ONCE, len(target) - place))
        if not part:
            raise EOFError(f"it ends after {place:,} of {len(target):,} bytes")
        target[place : place + len(part)] = np.frombuffer(part, np.uint8)
        place += len(part)
