"""The specification's blocks of the controller and of the inference loop, run against this package."""

import inspect

import gymnasium
import numpy as np
import pytest
import torch

from tests.doubles import CountingEnv
from tests.spec_blocks.blocks import Noted, run
from world_models.envs.gym_env import GymImageEnv
from world_models.models.controller import Controller
from world_models.models.mdrnn import MDRNN, MDRNNCell
from world_models.utils.run_dir import save_checkpoint
from world_models.vision.frames import images_from_frames
from world_models.vision.VAE.ConvVAE import ConvVAE

torch.set_num_threads(1)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return MDRNN(latents=32, actions=3, hiddens=256, gaussians=5)


@pytest.fixture
def in_tmp_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORLD_MODELS_QUIET", "1")
    return tmp_path


def test_the_documented_controller_computes_ours():
    # As written it has no super().__init__(), without which torch lets no module have layers.
    with pytest.raises(AttributeError, match="__init__"):
        run("linear controller")["Controller"](32, 256, 3)
    init = {"        self.fc": "        super().__init__()\n        self.fc"}
    theirs, ours = run("linear controller", instead=init)["Controller"](32, 256, 3), Controller(32, 256, 3)
    theirs.load_state_dict(ours.state_dict())
    z, h = torch.randn(2, 32), torch.randn(2, 256)
    assert torch.equal(theirs(torch.cat([z, h], dim=-1)), ours(h, z))


def test_the_sketch_of_a_worker_is_python_and_no_more():
    sketch = run("worker sketch")["_run_rollout"]
    assert next(iter(inspect.signature(sketch).parameters)) == "ctrl_params"
    with pytest.raises(NameError, match="total_reward"):  # its body is comments
        sketch(None, "results", "CarRacing-v2", 3, 1000, "cpu")


# Gymnasium's step gives five values now. The comment stands for the block "weight transfer".
DRIVES = {
    "next_obs, reward, done, _ = env.step(action)": (
        "next_obs, reward, terminated, truncated, _ = env.step(action)\n    done = terminated or truncated"
    ),
    "# Transfer weights from trained MDRNN (see weight transfer section above)": (
        "cell_rnn.load_state_dict(MDRNNCell.from_mdrnn(batch_rnn).state_dict())"
    ),
}


@torch.no_grad()  # the block calls .numpy() on what the controller gives
def drive(env, model, tensor, instead):
    """Runs the inference loop on saved networks; the text leaves `preprocess` and `tensor` open."""
    torch.manual_seed(4)
    save_checkpoint("vae/best.tar", {"state_dict": ConvVAE(3, 32).state_dict()})
    save_checkpoint("ctrl/best.tar", {"state_dict": Controller(32, 256, 3).state_dict()})
    context = {
        "ConvVAE": ConvVAE,
        "MDRNNCell": MDRNNCell,
        "Controller": Noted,
        "batch_rnn": model,
        "env": env,
    }
    helpers = {"preprocess": lambda obs: images_from_frames(obs[None]), "tensor": tensor}
    return run("inference loop", instead=instead, **context, **helpers)


@torch.no_grad()
def test_the_inference_loop_drives_to_the_end_and_carries_the_state(model, in_tmp_path):
    env = CountingEnv(length=6)
    names = drive(env, model, lambda action: torch.as_tensor(action)[None], DRIVES)
    assert names["step"] == 5 and names["done"] and len(env.actions) == 1
    hiddens, latents, actions = (torch.cat(column) for column in zip(*names["ctrl"].seen, strict=True))
    np.testing.assert_array_equal(np.stack(env.actions[0]), actions.numpy())
    outputs, _ = model.rnn(torch.cat([actions, latents], dim=-1)[:, None])
    assert not hiddens[0].any()
    torch.testing.assert_close(hiddens[1:], outputs[:-1, 0], atol=1e-5, rtol=1e-4)
    assert not torch.equal(latents[0], latents[1])


def test_the_inference_loop_drives_carracing_itself(model, in_tmp_path):
    env = GymImageEnv(gymnasium.make("CarRacing-v3"))
    few = {"for step in range(1000):": "for step in range(3):"}
    try:
        # M reads actions as the environment gets them; C's output is squashed by GymImageEnv.
        names = drive(env, model, lambda raw: torch.as_tensor(env.native_action(raw))[None], DRIVES | few)
    finally:
        env.close()
    assert names["step"] == 2 and names["obs"].shape == (64, 64, 3) and names["obs"].dtype == np.uint8
    assert names["h"].shape == (1, 256) and names["h"].any() and names["h"].isfinite().all()
    assert isinstance(float(names["reward"]), float) and not names["done"]
