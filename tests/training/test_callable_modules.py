"""The stages by `from world_models.training import ...`: called as functions, and modules still, in every order."""

import copy
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from world_models.training import train_controller, train_convae, train_convvae, train_mdn_rnn

ROOT = Path(__file__).parents[2]
# Each way of importing, and what must hold after it, whatever was imported before.
WAYS = {
    "functions": "from world_models.training import train_convae, train_mdn_rnn, train_controller",
    "attributes": "import world_models.training as t; t.train_mdn_rnn; t.train_convae; t.train_controller",
    "modules": (
        "import world_models.training.train_mdn_rnn as m, world_models.training.train_controller, "
        "world_models.training.train_convae; assert m.get_loss and m.train_mdn_rnn"
    ),
    "names": (
        "from world_models.training.train_convvae import train_convae; "
        "from world_models.training.train_mdn_rnn import get_loss, train_mdn_rnn; "
        "from world_models.training.train_controller import train_controller, slave_routine"
    ),
}
HOLDS = """
import importlib, world_models.training
for module, function in (("train_convae", "train_convae"), ("train_convvae", "train_convae"),
                         ("train_mdn_rnn", "train_mdn_rnn"), ("train_controller", "train_controller")):
    found = importlib.import_module(f"world_models.training.{module}")
    assert getattr(world_models.training, module) is found, module
    assert callable(getattr(found, function)), module
    if module == function:
        try:
            found(not_a_setting=1)
        except TypeError as error:
            assert f"{function}()" in str(error) and "not_a_setting" in str(error), error
        else:
            raise AssertionError(module)
"""


# PyTorch is imported once; the package anew for each order.
EVERY_ORDER = f"""
import itertools, sys, gymnasium, torch
for order in itertools.permutations({list(WAYS.values())!r}):
    for name in [name for name in sys.modules if name.partition(".")[0] == "world_models"]:
        del sys.modules[name]
    for way in (*order, {HOLDS!r}):
        exec(way, {{}})
"""


def fresh(program: str) -> None:
    """Runs a program in a new process, which must end well."""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.long
def test_the_stages_are_functions_and_modules_in_every_order_of_imports():
    fresh(EVERY_ORDER)


@pytest.mark.parametrize("way", ["functions", "modules"])
def test_the_stages_are_functions_and_modules_in_a_new_process(way):
    fresh(WAYS[way] + HOLDS)


def test_the_package_imports_no_torch_until_a_stage_is_asked_for():
    fresh(
        "import sys, world_models, world_models.training as t; assert 'torch' not in sys.modules; "
        "assert 'train_mdn_rnn' in t.__all__; from world_models.training import train_mdn_rnn; "
        "assert 'torch' in sys.modules and callable(train_mdn_rnn)"
    )
    with pytest.raises(ImportError, match="train_nothing"):
        from world_models.training import train_nothing  # noqa: F401


@pytest.mark.parametrize("stage", [train_convae, train_mdn_rnn, train_controller])
def test_a_stage_is_called_as_its_function_with_its_signature_and_can_be_sent_to_a_process(stage, monkeypatch):
    name = stage.__name__.rpartition(".")[2]
    assert inspect.signature(stage) == inspect.signature(getattr(stage, name))
    assert copy.copy(stage) is stage  # by what a pickle of it holds, too
    monkeypatch.setattr(stage, name, lambda *given, **named: (given, named))
    assert stage(1, two=2) == ((1,), {"two": 2})


def test_both_names_of_stage_v_are_one_function():
    assert train_convae.train_convae is train_convvae.train_convae
    assert all(getattr(train_convvae, name) is getattr(train_convae, name) for name in train_convae.__all__)
