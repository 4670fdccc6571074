"""The whole pipeline in miniature, by documented imports and calls alone; run from a folder of its own.

`tests/test_spec_pipeline.py` copies it there. It prints one line a stage.
"""

import gymnasium
import numpy as np
import torch
from torch.utils.data import DataLoader

from world_models.configs.wm_config import WMControllerConfig, WMMDNRNNConfig, WMVAEConfig
from world_models.datasets.wm_dataset import LatentSequenceDataset, ObservationDataset, SequenceDataset
from world_models.envs.gym_env import GymImageEnv
from world_models.losses import conv_vae_loss_fn, gmm_loss
from world_models.models.controller import Controller
from world_models.models.mdrnn import MDRNN, MDRNNCell
from world_models.training import train_controller, train_convae, train_convvae, train_mdn_rnn
from world_models.training.train_controller import _run_rollout, flatten_parameters, load_parameters
from world_models.training.train_mdn_rnn import get_loss, precompute_latents, to_latent
from world_models.training.train_world_model import generate_rollouts, test_trained_model
from world_models.utils.train_utils import EarlyStopping, ReduceLROnPlateau
from world_models.vision.VAE.ConvVAE import ConvVAE

ENV, DATA, RUN = "CartPole-v1", "./data/cartpole", "results"
Z, R, K, A, STEPS = 8, 16, 3, 2, 5


def collect():
    generate_rollouts(data_dir=DATA, env_name=ENV, num_rollouts=6, seq_len=30, num_workers=1)
    frames = ObservationDataset(root=DATA, train=True, num_test_files=2)
    sequences = SequenceDataset(root=DATA, train=True, buffer_size=2, num_test_files=2, seq_len=STEPS)
    sequences.load_next_buffer()
    batch = next(iter(DataLoader(frames, batch_size=4, shuffle=True, num_workers=0)))
    print("frames", tuple(batch.shape), "sequences", *(tuple(part.shape) for part in sequences[0]))


def train():
    vae = WMVAEConfig(height=64, width=64, latent_size=Z, num_epochs=1, data_dir=DATA, logdir=RUN, sample_interval=1)
    mdrnn = WMMDNRNNConfig(
        latent_size=Z,
        action_size=A,
        hidden_size=R,
        gmm_components=K,
        seq_len=STEPS,
        batch_size=4,
        num_epochs=1,
        data_dir=DATA,
        logdir=RUN,
    )
    train_convvae.train_convae(vae)
    train_convae(vae)  # by the package's name for it: goes on from its checkpoint, and is done
    precompute_latents(vae, mdrnn)
    train_mdn_rnn(vae, mdrnn)
    controller = WMControllerConfig(
        {
            "latent_size": Z,
            "hidden_size": R,
            "action_size": A,
            "env_name": ENV,
            "logdir": RUN,
            "n_samples": 1,
            "pop_size": 2,
            "target_return": 1.0,
            "max_workers": 2,
            "display": False,
            "time_limit": 8,
        }
    )
    assert controller.validate() and WMControllerConfig(controller.to_dict()) == controller
    train_controller(controller)
    print("trained")


def learn_by_hand():
    """A loop of one's own over the documented dataset and losses."""
    data = np.load(f"{DATA}/latents/latents_{Z}.npz")
    arrays = [data[key] for key in ("latents", "actions", "rewards", "terminals")]
    train, test = (
        LatentSequenceDataset(*arrays, train=part, num_test_files=2, seq_len=STEPS) for part in (True, False)
    )
    mdrnn = MDRNN(latents=Z, actions=A, hiddens=R, gaussians=K)
    optimizer = torch.optim.RMSprop(mdrnn.parameters(), lr=1e-3, alpha=0.9)
    scheduler, stopping = ReduceLROnPlateau(optimizer, "min", factor=0.5, patience=5), EarlyStopping("min", patience=30)
    for latent, action, reward, terminal, after in DataLoader(train, batch_size=4, shuffle=True, num_workers=0):
        losses = get_loss(mdrnn, latent, action, reward, terminal, after, include_reward=True, latent_size=Z)
        optimizer.zero_grad()
        losses["loss"].backward()
        optimizer.step()
        scheduler.step(metrics=losses["loss"].item())
        stopping.step(metrics=losses["loss"].item())
    latent, action, _, _, after = (part.unsqueeze(1) for part in test[0])
    mus, sigmas, logpi, _, _ = mdrnn(action, latent)
    gmm = gmm_loss(after, mus, sigmas, logpi).item()
    print("windows", len(train), len(test), "stop", stopping.stop, "gmm", gmm)


@torch.no_grad()
def drive():
    """The inference pipeline."""
    vae = ConvVAE(img_channels=3, latent_size=Z)
    vae.load_state_dict(torch.load(f"{RUN}/vae/best.tar")["state_dict"])
    batch_rnn = MDRNN(latents=Z, actions=A, hiddens=R, gaussians=K)
    batch_rnn.load_state_dict(torch.load(f"{RUN}/mdrnn/best.tar")["state_dict"])
    cell_rnn = MDRNNCell(latents=Z, actions=A, hiddens=R, gaussians=K)
    cell_rnn.rnn.weight_ih.data.copy_(batch_rnn.rnn.weight_ih_l0.data)
    cell_rnn.rnn.weight_hh.data.copy_(batch_rnn.rnn.weight_hh_l0.data)
    cell_rnn.rnn.bias_ih.data.copy_(batch_rnn.rnn.bias_ih_l0.data)
    cell_rnn.rnn.bias_hh.data.copy_(batch_rnn.rnn.bias_hh_l0.data)
    cell_rnn.gmm_linear.load_state_dict(batch_rnn.gmm_linear.state_dict())
    ctrl = Controller(latent_size=Z, hidden_size=R, action_size=A)
    ctrl.load_state_dict(torch.load(f"{RUN}/ctrl/best.tar")["state_dict"])

    env = GymImageEnv(gymnasium.make(ENV, render_mode="rgb_array"), size=(64, 64))
    obs, _ = env.reset()
    h, c = cell_rnn.get_init_hidden(1)
    total = 0.0
    for _ in range(8):
        image = torch.from_numpy(obs).permute(2, 0, 1).unsqueeze(0) / 255
        mu, logsigma = vae.encoder(image)
        z = mu + logsigma.exp() * torch.randn_like(logsigma)
        action = ctrl(h, z).cpu().numpy().flatten()
        obs, reward, terminated, truncated, _ = env.step(action)
        _, _, _, _, _, (h, c) = cell_rnn(torch.from_numpy(action).unsqueeze(0), z, (h, c))
        total += float(reward)
        if terminated or truncated:
            break
    env.close()
    recon, mu, logsigma = vae(image)
    frames = torch.from_numpy(obs).expand(1, STEPS + 1, -1, -1, -1)
    now, after = to_latent(frames[:, :-1], frames[:, 1:], vae)
    print(
        "loop", total, "loss", float(conv_vae_loss_fn(recon, image, mu, logsigma)), tuple(now.shape), tuple(after.shape)
    )

    parameters = flatten_parameters(ctrl.parameters())
    load_parameters(parameters, ctrl)
    reward = _run_rollout(parameters, RUN, ENV, A, 8, "cuda")
    returns = test_trained_model(logdir=RUN, env_name=ENV, action_size=A, num_episodes=2)
    print("rollout", reward, "test", len(returns))


if __name__ == "__main__":
    collect()
    train()
    learn_by_hand()
    drive()
    print("done")
