"""Which number format is the faster one, told by what /proc/cpuinfo says of the processor."""

import builtins
import io

import pytest

from world_models.utils import precision

_FILE = (
    "processor\t: 0\nvendor_id\t: {vendor}\nflags\t\t: fpu avx512f {flags}\n\nprocessor\t: 1\nvendor_id\t: {second}\n"
)


@pytest.mark.parametrize(
    ("vendor", "flags", "faster"),
    [
        ("AuthenticAMD", "avx512_bf16", "bf16"),
        ("GenuineIntel", "avx512_bf16 amx_bf16", "bf16"),
        ("GenuineIntel", "avx512_bf16", "fp32"),  # twice as slow there as float32
        ("AuthenticAMD", "avx512_vnni", "fp32"),
    ],
)
def test_a_processor_computes_in_the_format_that_it_is_faster_in(monkeypatch, vendor, flags, faster):
    text = _FILE.format(vendor=vendor, flags=flags, second="AuthenticAMD")
    monkeypatch.setattr(builtins, "open", lambda *_, **__: io.StringIO(text))
    assert precision.fast_precision("cpu") == faster


def test_without_the_file_it_is_float32(monkeypatch):
    def missing(*_, **__):
        raise FileNotFoundError("/proc/cpuinfo")

    monkeypatch.setattr(builtins, "open", missing)
    assert precision.fast_precision("cpu") == "fp32"
