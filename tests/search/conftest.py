"""Run folders with the same small V and M."""

import pytest

from tests.small_runs import copy_of_run, save_run


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return save_run(tmp_path_factory.mktemp("run"))


@pytest.fixture
def new_run(source, tmp_path):
    """Makes run folders with the same V and M."""
    return lambda name="run": copy_of_run(source, tmp_path / name)
