"""Every name, file and flag that the specification mentions is there, and every signature is as it says.

The names lie in `spec_blocks/names.py`; where the specification is beside this clone, they are held against its text.
"""

import importlib
import inspect
import re
from pathlib import Path

import pytest

from tests.small_envs import STEER
from tests.spec_blocks.blocks import BLOCKS
from tests.spec_blocks.names import FLAGS, MEMBERS, MODULES, OTHERS, RUN_FILES, SIGNATURES, TEST_FILES
from world_models.training import train_world_model

ROOT = Path(__file__).resolve().parents[1]
SPEC = ROOT.parent / "shared" / "spec"
NAMES = [(module, name) for module, names in MODULES.items() for name in names]


def found(name):
    """The thing of a documented name that is no method."""
    return getattr(importlib.import_module(next(module for module, other in NAMES if other == name)), name)


@pytest.fixture(scope="module")
def texts():
    """The specification's text, and SIGNATURES.md."""
    if not SPEC.is_dir():
        pytest.skip(f"the specification's text is not beside this clone (no {SPEC})")
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted(SPEC.glob("000*.txt")))
    return text, (SPEC / "SIGNATURES.md").read_text(encoding="utf-8")


# The package has them


@pytest.mark.parametrize(("module", "name"), NAMES)
def test_a_documented_name_is_imported_from_where_it_is_documented(module, name):
    names = {}
    exec(f"import {module}\nfrom {module} import {name}\nimport {module} as by_alias", names)
    assert callable(names[name])
    assert getattr(names["by_alias"], name) is names[name]


def test_a_name_is_one_thing_wherever_it_is_imported_from():
    losses = importlib.import_module("world_models.losses")
    for name in losses.__all__:
        assert getattr(losses, name) is found(name)
    package = importlib.import_module("world_models.training")
    for name in MODULES["world_models.training"]:
        assert inspect.signature(getattr(package, name)) == inspect.signature(found(name))


@pytest.mark.parametrize(("owner", "member"), [(owner, member) for owner, names in MEMBERS.items() for member in names])
def test_a_documented_member_is_there(owner, member, made):
    assert hasattr(made[owner], member)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """One of each documented class."""
    import torch

    from tests.doubles import latent_arrays, make_rollouts
    from world_models.envs.registry import make_gym

    data = tmp_path_factory.mktemp("data")
    make_rollouts(data, [8])
    layer = torch.nn.Linear(1, 1)
    arguments = {
        "ConvVAEEncoder": (3, 4),
        "ConvVAEDecoder": (4, 3),
        "ConvVAE": (3, 4),
        "Controller": (4, 6, 2),
        **dict.fromkeys(("_MDRNNBase", "MDRNN", "MDRNNCell"), (4, 2, 6, 2)),
        **dict.fromkeys(("RolloutDataset", "ObservationDataset", "SequenceDataset"), (data,)),
        "LatentSequenceDataset": (*latent_arrays([40]),),
        "ReduceLROnPlateau": (torch.optim.SGD(layer.parameters(), 0.1),),
        "GymImageEnv": (make_gym(STEER),),
    }
    classes = [name for _, name in NAMES if inspect.isclass(found(name))]
    return {name: found(name)(*arguments.get(name, ())) for name in classes}


@pytest.mark.parametrize("name", SIGNATURES)
def test_a_documented_signature_holds_by_place_and_by_keyword(name):
    parameters = [p for p in inspect.signature(found(name)).parameters.values() if p.kind is not p.VAR_KEYWORD]
    documented = SIGNATURES[name]
    by_place = [p for p in documented if p != "..."]
    if "..." in documented:  # further ones may stand between them
        assert set(by_place) <= {p.name for p in parameters}
    else:
        assert [p.name for p in parameters[: len(by_place)]] == by_place
        assert all(p.kind is p.POSITIONAL_OR_KEYWORD for p in parameters[: len(by_place)])
        assert all(p.default is not p.empty for p in parameters[len(by_place) :]), "more is wanted than documented"
    defaults = {p.name: p.default for p in parameters}
    assert all(defaults[p] == value for p, value in documented.items() if value is not None)


def test_the_documented_test_files_are_there():
    for name in TEST_FILES:
        assert "def test_" in (ROOT / name).read_text(encoding="utf-8"), name


def test_the_documented_flags_are_taken(monkeypatch):
    seen = []
    monkeypatch.setattr("world_models.commands.train.train_world_model", seen.append)
    for flag in FLAGS:
        value = {"--generate_only": [], "--test": [], "--stage": ["vae"]}.get(flag, ["7"])
        assert train_world_model.main([flag, *value]) == 0
    assert len(seen) == len(FLAGS)


# They are all that the specification names


def test_every_dotted_name_of_the_specification_stands_in_our_list(texts):
    known = {*MODULES, *(f"{module}.{name}" for module, name in NAMES)}
    for text in texts:
        dotted = set(re.findall(r"\bworld_models(?:\.\w+)+", text))
        assert dotted and dotted <= known, dotted - known


def test_every_row_of_the_signatures_stands_in_our_list(texts):
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in texts[1].splitlines() if row.startswith("| ")]
    names, module = 0, ""
    for where, name, call, *_ in rows[1:]:
        module = where or module
        if name in ("both", "attributes"):
            continue
        without_shapes = re.sub(r"[ =]\([^()]*\)", "", call)
        parameters = re.match(r"\(([^()]*)\)(?! /)", without_shapes)
        for each in name.split(", "):
            assert each in MODULES[module], (module, each)
            names += 1
            if parameters:
                given = [re.sub("=.*", "", parameter.strip()) for parameter in parameters[1].split(",")]
                assert list(SIGNATURES[each]) == given, each
    assert names > 30


def test_every_word_of_the_specification_that_looks_like_a_name_is_one_of_ours_or_known_to_be_none(texts):
    text = "\n".join(texts)
    called = set(re.findall(r"\b_?[a-z]\w*(?=\()", text))
    camel = set(re.findall(r"\b_?(?:[A-Z]+[a-z]+\w*[A-Z]|[A-Z]{2,}[a-z])\w*\b", text))
    snake = set(re.findall(r"\b_?[a-z]+(?:_[a-z0-9]+)+\b", text))
    ours = {name for _, name in NAMES} | {part for module in MODULES for part in module.split(".")}
    ours |= {member for members in MEMBERS.values() for member in members} | {flag[2:] for flag in FLAGS}
    ours |= {parameter for _, name in NAMES for parameter in inspect.signature(found(name)).parameters}
    ours |= {field for name in MODULES["world_models.configs.wm_config"] for field in found(name)().to_dict()}
    ours |= {Path(file).stem for file in TEST_FILES}
    formulas = set(re.findall(r"\w+", "".join(re.findall(r"\\\[.*?\\\]", text, re.DOTALL))))
    code = set(re.findall(r"\w+", "".join(BLOCKS.values())))  # run, each block, by test_spec_blocks.py
    assert (called | camel | snake) - ours - OTHERS - formulas - code == set()


def test_every_file_and_flag_of_the_specification_stands_in_our_lists(texts):
    text, _ = texts
    files = set(re.findall(r"[\w/]+\.(?:py|tar|npz)\b", text))
    scripts = {f"{module.rpartition('.')[2]}.py" for module in MODULES if ".training.train_" in module}
    example = {"mdrnn_best.tar", "data/carracing/latents/latents_32.npz"}  # written and read by test_spec_blocks.py
    assert files <= {*TEST_FILES, *RUN_FILES, *scripts, *example}
    assert all((ROOT / "world_models" / "training" / name).is_file() for name in scripts)
    assert set(re.findall(r"--\w+", text)) == set(FLAGS)
