"""From a run's folder to V, M, the cell and C, with the sizes of the checkpoints."""

import pytest
import torch

from tests.small_runs import GAUSSIANS, HIDDENS, LATENTS, save_controller, save_mdrnn, save_vae
from world_models.errors import CheckpointError
from world_models.models.load import load_cell, load_controller, load_mdrnn, load_vae
from world_models.utils.run_dir import best_path, load_checkpoint, save_checkpoint


def same_weights(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    left, right = one.state_dict(), other.state_dict()
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module")
def models(run):
    """V, M and C as they were saved, of sizes that no default has."""
    return save_vae(run), save_mdrnn(run, actions=5), save_controller(run, actions=5)


def test_v_m_and_c_come_back_with_the_checkpoints_sizes_and_weights_ready_to_use(run, models):
    vae, mdrnn, controller = models
    loaded, memory, (driver, facts) = load_vae(run), load_mdrnn(run), load_controller(run)
    assert loaded.latent_size == LATENTS and same_weights(loaded, vae)
    sizes = {"latents": LATENTS, "actions": 5, "hiddens": HIDDENS, "gaussians": GAUSSIANS}
    assert memory.sizes == sizes and same_weights(memory, mdrnn)
    assert (driver.latent_size, driver.hidden_size, driver.action_size) == (LATENTS, HIDDENS, 5)
    assert same_weights(driver, controller)
    assert facts["env_name"] == "Steer-v0" and "state_dict" not in facts
    assert not (loaded.training or memory.training or driver.training)


def test_the_cell_steps_as_the_sequence_model_does(run, models):
    _, mdrnn, _ = models
    cell = load_cell(run)
    actions, latents = torch.randn(3, 1, 5), torch.randn(3, 1, LATENTS)
    with torch.no_grad():
        mus = mdrnn(actions, latents)[0]
        hidden = cell.get_init_hidden(1)
        for t in range(3):
            mu, *_, hidden = cell(actions[t], latents[t], hidden)
            torch.testing.assert_close(mu, mus[t])
    assert not cell.training


@pytest.mark.parametrize(
    ("load", "stage", "flag"),
    [(load_vae, "vae", "vae"), (load_cell, "mdrnn", "rnn"), (load_controller, "ctrl", "ctrl")],
)
def test_a_stage_that_is_missing_is_an_error_that_says_how_to_train_it(tmp_path, load, stage, flag):
    with pytest.raises(CheckpointError, match=rf"{stage}.best\.tar does not exist.*--stage {flag} "):
        load(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_checkpoint_or_one_of_something_else_is_an_error_that_names_the_file(run, models, tmp_path):
    path = best_path(tmp_path, "vae")
    path.parent.mkdir()
    path.write_bytes(b"no checkpoint")
    with pytest.raises(CheckpointError, match=r"best\.tar.*not a checkpoint"):
        load_vae(tmp_path)
    path.write_bytes(best_path(run, "mdrnn").read_bytes())
    with pytest.raises(CheckpointError, match=r"best\.tar has no weight 'encoder"):
        load_vae(tmp_path)


@pytest.mark.parametrize(
    ("load", "stage", "lost"), [(load_mdrnn, "mdrnn", "latents"), (load_controller, "ctrl", "action_size")]
)
def test_a_checkpoint_that_does_not_say_its_sizes_is_an_error_that_names_the_missing_one(
    run, models, tmp_path, load, stage, lost
):
    checkpoint = load_checkpoint(best_path(run, stage))
    del checkpoint[lost]
    save_checkpoint(best_path(tmp_path, stage), checkpoint)
    with pytest.raises(CheckpointError, match=rf"best\.tar does not say '?{lost}"):
        load(tmp_path)


def test_weights_of_a_compiled_model_load_without_it(run, models, tmp_path):
    checkpoint = load_checkpoint(best_path(run, "vae"))
    checkpoint["state_dict"] = {f"_orig_mod.{name}": w for name, w in checkpoint["state_dict"].items()}
    save_checkpoint(best_path(tmp_path, "vae"), checkpoint)
    assert same_weights(load_vae(tmp_path), models[0])


def test_an_mlp_controller_comes_back_as_one(tmp_path):
    saved = save_controller(tmp_path, hidden_layers=[7])
    loaded, _ = load_controller(tmp_path)
    assert loaded.hidden_layers == (7,) and same_weights(loaded, saved)
