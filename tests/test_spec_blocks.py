"""Every Python block of the specification, run against this package.

A block that is no whole program is completed by
its context, the names that are given to `run`, and each line that has to differ (an out-of-date API, sizes
that would train for hours) stands in the test as `instead={"line there": "line here"}`, with the reason.
"""

import re
import textwrap
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch.distributions import Normal

from tests.doubles import make_rollouts
from tests.spec_blocks.blocks import BLOCKS, Noted, run
from world_models.configs.wm_config import WMMDNRNNConfig, WMVAEConfig
from world_models.datasets.wm_dataset import ObservationDataset, RolloutDataset
from world_models.losses.gmm_loss import gmm_loss
from world_models.models.mdrnn import MDRNN, MDRNNCell
from world_models.utils.run_dir import save_checkpoint
from world_models.vision.VAE.ConvVAE import ConvVAE

torch.set_num_threads(1)
HERE = Path(__file__).resolve().parent
SPEC = HERE.parents[1] / "shared" / "spec"
BS, STEPS = 2, 5


@pytest.fixture
def model():
    torch.manual_seed(0)
    return MDRNN(latents=32, actions=3, hiddens=256, gaussians=5)


@pytest.fixture
def sequences():
    """Actions (T, B, 3) and latents (T, B, 32)."""
    torch.manual_seed(1)
    return torch.randn(STEPS, BS, 3), torch.randn(STEPS, BS, 32)


@pytest.fixture
def in_tmp_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORLD_MODELS_QUIET", "1")
    return tmp_path


# The blocks are the specification's


def test_the_committed_blocks_are_those_of_the_specification_and_no_line_of_python_is_left_out():
    if not SPEC.is_dir():
        pytest.skip(f"the specification's text is not beside this clone (no {SPEC})")
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted(SPEC.glob("000*.txt")))
    for name, block in BLOCKS.items():
        assert block in text or textwrap.indent(block, "    ") in text, f"{name} differs from the specification"
    python = re.compile(r"^\s*(from \S+ import |class |def |for .*:$|return |assert |[\w.]+\($|[\w., ()]+ = \S).*")
    lines = {line.strip() for block in BLOCKS.values() for line in block.splitlines()}
    left_out = [line for line in text.splitlines() if python.match(line) and line.strip() not in lines]
    assert left_out == []


def test_every_block_is_run_by_a_test():
    source = "".join(path.read_text(encoding="utf-8") for path in HERE.glob("test_spec_*.py"))
    assert [name for name in BLOCKS if f'"{name}"' not in source] == []


# Data


def test_generating_rollouts_as_documented_writes_the_documented_files(in_tmp_path):
    small = {
        "num_rollouts=1000": "num_rollouts=2",
        "seq_len=1000": "seq_len=3",
        "num_workers=8": "num_workers=1",
    }
    run("generate rollouts", instead=small)
    files = sorted((in_tmp_path / "data" / "carracing").glob("*.npz"))
    assert len(files) == 2
    with np.load(files[0]) as rollout:
        found = {key: (rollout[key].shape, str(rollout[key].dtype)) for key in ("observations", "actions")}
        assert found == {"observations": ((3, 64, 64, 3), "uint8"), "actions": ((3, 3), "float32")}
        assert all(rollout[key].shape == (3,) and rollout[key].dtype == "float32" for key in ("rewards", "terminals"))


def test_files_are_held_out_as_documented(in_tmp_path):
    paths = make_rollouts(Path("data"), [2, 2, 2])
    dataset = run("hold files out", ObservationDataset=ObservationDataset)["dataset"]
    assert [Path(file).name for file in dataset.files] == [path.name for path in paths]  # not enough for 600: all train
    enough = {"num_test_files=600,   # last 600": "num_test_files=1,   # last 1"}
    dataset = run("hold files out", instead=enough, ObservationDataset=ObservationDataset)["dataset"]
    assert [Path(file).name for file in dataset.files] == [path.name for path in paths[:-1]]
    assert dataset[0].shape == (3, 64, 64)


def test_the_slice_marked_wrong_loses_all_files_and_our_datasets_do_not(in_tmp_path):
    names = run("pitfall: slice", self=SimpleNamespace(files=["a", "b"]), num_test_files=0)
    assert names["self"].files == []
    make_rollouts(Path("data"), [2, 2])
    assert len(RolloutDataset("data", num_test_files=0).files) == 2


def test_latents_are_read_as_documented(in_tmp_path):
    from world_models.training.train_mdn_rnn import precompute_latents

    make_rollouts(Path("data/carracing"), [2, 3], seed=0)
    vae = ConvVAE(3, 32)
    save_checkpoint("results/vae/best.tar", {
        "state_dict": vae.state_dict(), "latent_size": 32, "img_channels": 3, "epoch": 1, "test_loss": 1.0,
        "active_latents": 32, "data_backend": "gymnasium",
    })  # fmt: skip
    precompute_latents(WMVAEConfig(device="cpu"), WMMDNRNNConfig(device="cpu", data_dir="data/carracing"))
    latent_data = run("read latents")["latent_data"]
    shapes = {key: latent_data[key].shape for key in ("latents", "actions", "rewards", "terminals")}
    assert shapes == {"latents": (5, 32), "actions": (5, 3), "rewards": (5,), "terminals": (5,)}


# M and its loss


def test_the_documented_head_has_the_size_of_ours(model):
    names = run("head of M", self=SimpleNamespace(), latents=32, hiddens=256, gaussians=5)
    assert names["self"].gmm_linear.weight.shape == model.gmm_linear.weight.shape


def test_the_documented_weight_transfer_gives_the_cell_of_from_mdrnn(model, in_tmp_path):
    save_checkpoint("mdrnn_best.tar", {"state_dict": model.state_dict()})
    cell = run("weight transfer", MDRNN=MDRNN, MDRNNCell=MDRNNCell)["cell_rnn"]
    ours = MDRNNCell.from_mdrnn(model).state_dict()
    assert cell.state_dict().keys() == ours.keys()
    assert all(torch.equal(tensor, ours[name]) for name, tensor in cell.state_dict().items())


def test_the_documented_body_of_gmm_loss_computes_ours():
    torch.manual_seed(2)
    latent, mus, sigmas = torch.randn(4, 6), torch.randn(4, 5, 6), torch.rand(4, 5, 6) + 0.1
    logpi = torch.randn(4, 5).log_softmax(-1)
    # A body: `return` needs its `def`, and the latent its gaussian axis, which the text leaves out.
    body = textwrap.indent(BLOCKS["gmm_loss body"], "    ")
    names: dict[str, Any] = {"torch": torch, "Normal": Normal}
    exec(f"def documented(latent_next_obs, mus, sigmas, logpi):\n{body}", names)
    theirs = names["documented"](latent.unsqueeze(-2), mus, sigmas, logpi)
    torch.testing.assert_close(theirs, gmm_loss(latent, mus, sigmas, logpi))


def test_the_documented_test_of_gradients_of_m_passes(model):
    names = run("test of gradients of M", seq_len=STEPS, bs=BS)
    names["test_differentiable"](None, model)


def test_the_documented_test_of_weight_transfer_passes(sequences):
    actions, latents = sequences
    # `mus_batch` is used and never made in the text.
    made = {"    # Compare": "    mus_batch, *_ = batch_rnn(actions, latents)\n    # Compare"}
    context = {"MDRNN": MDRNN, "MDRNNCell": MDRNNCell, "actions": actions, "latents": latents}
    names = run("test of weight transfer", instead=made, bs=BS, seq_len=STEPS, **context)
    names["test_weight_transfer_from_mdrnn"](None)


def test_the_documented_test_of_gradients_of_gmm_loss_passes():
    mixture = {
        "batch": torch.randn(2, 5, 8),
        "mus": torch.randn(2, 5, 5, 8),
        "sigmas": torch.ones(2, 5, 5, 8),
    }
    run("test of gradients of gmm_loss", gmm_loss=gmm_loss, **mixture)["test_differentiable"](None)


# The hidden state, right and wrong


@torch.no_grad()
def loop_of(name, model):
    """Runs a loop: its names, the h and action of each step, and what M makes of those actions in one go."""
    torch.manual_seed(3)
    cell, ctrl, z = MDRNNCell.from_mdrnn(model), Noted(32, 256, 3), torch.randn(BS, 32)
    h, c = cell.get_init_hidden(BS)
    names = run(name, steps=STEPS, ctrl=ctrl, cell_rnn=cell, z=z, h=h, c=c)
    hiddens, actions = (torch.stack(column) for column in list(zip(*ctrl.seen, strict=True))[::2])
    outputs, _ = model.rnn(torch.cat([actions, z.expand(STEPS, -1, -1)], dim=-1))
    return names, hiddens, actions, outputs


def test_the_loop_marked_correct_carries_the_state(model):
    names, hiddens, _, outputs = loop_of("state carried", model)
    assert not hiddens[0].any()
    torch.testing.assert_close(hiddens[1:], outputs[:-1], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(names["h"], outputs[-1], atol=1e-5, rtol=1e-4)


def test_the_loop_marked_wrong_never_leaves_the_initial_state(model):
    names, hiddens, actions, _ = loop_of("state not rebound", model)
    assert not hiddens.any() and not names["h"].any() and not names["c"].any()
    assert all(torch.equal(action, actions[0]) for action in actions)


@pytest.mark.parametrize(("name", "plural"), [("state in a comprehension", ""), ("pitfall: comprehension", "s")])
@torch.no_grad()
def test_the_comprehensions_marked_wrong_restart_from_zeros_at_every_step(name, plural, model, sequences):
    actions, latents = sequences
    cell, whole = MDRNNCell.from_mdrnn(model), model(actions, latents)[0]
    given = {
        f"action{plural}": actions,
        f"latent{plural}": latents,
        "cell_rnn": cell,
        "bs": BS,
        "seq_len": STEPS,
    }
    names = run(name, **given)
    assert not names["h"].any() and not names["c"].any()
    fresh = [cell(actions[t], latents[t], cell.get_init_hidden(BS)) for t in range(STEPS)]
    assert all(torch.equal(out[0], other[0]) for out, other in zip(names["outs"], fresh, strict=True))
    assert [torch.allclose(names["outs"][t][0], whole[t], atol=1e-4) for t in range(STEPS)] == [True] + [False] * 4
    still = {
        f"action{plural}": actions[:1].expand(STEPS, -1, -1),
        f"latent{plural}": latents[:1].expand(STEPS, -1, -1),
    }
    states = [out[-1][0] for out in run(name, **{**given, **still})["outs"]]
    assert all(torch.equal(state, states[0]) for state in states)  # equal inputs: the first step's state, repeated


@torch.no_grad()
def test_the_fix_of_the_comprehension_equals_the_sequence_model(model, sequences):
    actions, latents = sequences
    context = {"cell_rnn": MDRNNCell.from_mdrnn(model), "actions": actions, "latents": latents}
    outs = run("pitfall: fix", bs=BS, seq_len=STEPS, **context)["outs"]
    torch.testing.assert_close(torch.stack([out[0] for out in outs]), model(actions, latents)[0], atol=1e-4, rtol=1e-3)
