"""Which number format "auto" means: by what /proc/cpuinfo says of the processor, or by the one setting."""

import builtins
import io
from typing import get_args

import pytest
import torch

from world_models.errors import ConfigError
from world_models.models.dream_rules import Precision
from world_models.utils import precision

_FILE = (
    "processor\t: 0\nvendor_id\t: {vendor}\nflags\t\t: fpu avx512f {flags}\n\nprocessor\t: 1\nvendor_id\t: {second}\n"
)


@pytest.fixture(autouse=True)
def not_forced(monkeypatch):
    monkeypatch.delenv(precision.VARIABLE, raising=False)


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


@pytest.mark.parametrize(
    ("asked", "format_"),
    [("float32", "fp32"), ("fp32", "fp32"), ("BFLOAT16", "bf16"), (" bf16 ", "bf16")],
)
def test_the_setting_decides_in_the_processors_place_and_says_so(monkeypatch, asked, format_):
    monkeypatch.setenv(precision.VARIABLE, asked)
    assert precision.fast_precision("cpu") == precision.fast_precision("cuda") == format_
    assert format_ in get_args(Precision)
    told = precision.arithmetic("cpu")
    assert (told["number_format"], told["number_format_by"]) == (format_, "WORLD_MODELS_PRECISION")


@pytest.mark.parametrize("asked", ["", "auto", "AUTO"])
def test_a_setting_that_asks_for_nothing_leaves_it_to_the_processor(monkeypatch, asked):
    natural = precision.fast_precision("cpu")
    monkeypatch.setenv(precision.VARIABLE, asked)
    assert precision.fast_precision("cpu") == natural
    assert precision.arithmetic("cpu")["number_format_by"] == "the processor"


@pytest.mark.parametrize("asked", ["float16", "double", "1"])
def test_a_setting_that_names_no_format_is_refused_by_its_name(monkeypatch, asked):
    monkeypatch.setenv(precision.VARIABLE, asked)
    with pytest.raises(ConfigError, match=rf"WORLD_MODELS_PRECISION='{asked}'.*float32, bfloat16 or auto"):
        precision.fast_precision(torch.device("cpu"))


def test_what_a_result_depends_on_names_the_processor(monkeypatch):
    text = "processor\t: 0\nmodel name\t: A Processor 9\nflags\t\t: fpu\n\nprocessor\t: 1\n"
    monkeypatch.setattr(builtins, "open", lambda *_, **__: io.StringIO(text))
    assert precision.arithmetic("cpu") == {
        "processor": "A Processor 9",
        "number_format": "fp32",
        "number_format_by": "the processor",
    }
