"""Which device a setting means. The machine's devices are those of this machine; no test needs a GPU."""

import logging

import pytest
import torch

from world_models.errors import ConfigError
from world_models.utils import device as device_module
from world_models.utils.device import resolve_device


@pytest.fixture
def no_gpu(monkeypatch):
    device_module._say_once.cache_clear()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)


@pytest.fixture
def one_gpu(monkeypatch):
    device_module._say_once.cache_clear()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)


def test_cuda_without_a_gpu_is_the_cpu_and_the_log_says_so_once(no_gpu, caplog):
    with caplog.at_level(logging.WARNING):
        assert resolve_device("cuda") == resolve_device("cuda") == torch.device("cpu")
    assert len(caplog.records) == 1 and "'cuda'" in caplog.text


def test_auto_without_a_gpu_is_the_cpu_and_silent_even_where_strict(no_gpu, caplog):
    with caplog.at_level(logging.WARNING):
        assert resolve_device("auto") == resolve_device("auto", strict=True) == torch.device("cpu")
    assert not caplog.records


def test_with_a_gpu_cuda_and_auto_are_the_gpu(one_gpu, caplog):
    assert resolve_device("cuda", strict=True).type == resolve_device("auto").type == "cuda"
    assert resolve_device("cuda:0") == torch.device("cuda:0")
    assert not caplog.records


def test_a_gpu_index_that_is_not_there_is_the_cpu_or_an_error(one_gpu, caplog):
    assert resolve_device("cuda:1") == torch.device("cpu")
    with pytest.raises(ConfigError, match="cuda:1"):
        resolve_device("cuda:1", strict=True)


def test_a_missing_device_named_strictly_is_an_error_that_says_what_is_there(no_gpu):
    with pytest.raises(ConfigError, match=r"'cuda'.*auto, cpu"):
        resolve_device("cuda", strict=True)


@pytest.mark.parametrize("strict", [False, True])
def test_a_name_that_is_no_device_is_always_an_error(strict):
    with pytest.raises(ConfigError, match="'gpu'"):
        resolve_device("gpu", strict)


def test_the_cpu_is_always_there():
    assert resolve_device("cpu", strict=True) == torch.device("cpu")
