"""What programs for the documented library write, form by form: calls by place and by keyword, and what they give.

The parts' own behaviour is tested beside them (`tests/models`, `tests/utils`, ...); here stand the forms of the calls.
"""

import pytest
import torch
from torch.nn import functional

from tests.doubles import latent_arrays, make_rollouts
from world_models.configs.wm_config import WMControllerConfig, WMMDNRNNConfig, WMVAEConfig
from world_models.datasets.wm_dataset import LatentSequenceDataset, ObservationDataset, RolloutDataset, SequenceDataset
from world_models.losses import conv_vae_loss_fn, gmm_loss
from world_models.models.controller import Controller
from world_models.models.mdrnn import MDRNN, MDRNNCell, _MDRNNBase
from world_models.training.train_mdn_rnn import get_loss
from world_models.utils.train_utils import EarlyStopping, ReduceLROnPlateau
from world_models.vision.VAE.ConvVAE import ConvVAE, ConvVAEDecoder, ConvVAEEncoder

torch.set_num_threads(1)
SIZES = {"latents": 8, "actions": 3, "hiddens": 16, "gaussians": 5}
T, B, Z, A, R, K = 6, 2, *SIZES.values()
CONFIGS = (WMVAEConfig, WMMDNRNNConfig, WMControllerConfig)


def both(kind, **arguments):
    """The thing made by place, and by keyword; their states have equal shapes."""
    one, other = kind(*arguments.values()), kind(**arguments)
    shapes = [[tensor.shape for tensor in made.state_dict().values()] for made in (one, other)]
    assert shapes[0] == shapes[1]
    return one, other


def shapes_of(parts):
    return [tuple(part.shape) for part in parts]


# V


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("latents", [8, 32, 64])
def test_v_and_its_halves_are_made_and_called_as_documented(channels, latents):
    images = torch.rand(B, channels, 64, 64)
    for encoder in both(ConvVAEEncoder, img_channels=channels, latent_size=latents):
        mu, logsigma = encoder(images)
        assert mu.shape == logsigma.shape == (B, latents)
    for decoder in both(ConvVAEDecoder, latent_size=latents, img_channels=channels):
        assert decoder(mu).shape == images.shape
    for vae in both(ConvVAE, img_channels=channels, latent_size=latents):
        recon, mu, logsigma = vae(images)
        assert recon.shape == images.shape and recon.min() >= 0 and recon.max() <= 1
        loss = conv_vae_loss_fn(recon, images, mu, logsigma)
        assert loss.dim() == 0 and loss > 0
        assert torch.equal(loss, conv_vae_loss_fn(reconst=recon, x=images, mu=mu, logsigma=logsigma))
        loss.backward()
        assert all(parameter.grad is not None for parameter in vae.parameters())


# M


def test_m_is_made_and_called_as_documented():
    actions, latents = torch.randn(T, B, A), torch.randn(T, B, Z)
    for mdrnn in both(MDRNN, **SIZES):
        assert shapes_of(mdrnn(actions, latents)) == [(T, B, K, Z), (T, B, K, Z), (T, B, K), (T, B), (T, B)]
        assert isinstance(mdrnn.rnn, torch.nn.LSTM) and isinstance(mdrnn, _MDRNNBase)
        assert {name: getattr(mdrnn, name) for name in SIZES} == SIZES
        assert shapes_of(mdrnn.get_init_hidden()) == [(1, R), (1, R)]
    for cell in both(MDRNNCell, **SIZES):
        *parts, hidden = cell(actions[0], latents[0], cell.get_init_hidden(batch_size=B))
        assert shapes_of(parts) == [(B, K, Z), (B, K, Z), (B, K), (B,), (B,)] and shapes_of(hidden) == [(B, R)] * 2
        assert isinstance(cell.rnn, torch.nn.LSTMCell) and cell.gmm_linear.out_features == (2 * Z + 1) * K + 2
    for base in both(_MDRNNBase, **SIZES):
        with pytest.raises(NotImplementedError):
            base(actions, latents)


@pytest.mark.parametrize("include_reward", [True, False])
def test_ms_loss_is_called_as_documented(include_reward):
    mdrnn, latent, action = MDRNN(**SIZES), torch.randn(B, T, Z), torch.randn(B, T, A)
    reward, terminal, after = torch.randn(B, T), torch.zeros(B, T), torch.randn(B, T, Z)
    given = (mdrnn, latent, action, reward, terminal, after, include_reward, Z)
    losses = get_loss(*given)
    assert {"gmm", "bce", "mse", "loss"} <= losses.keys() and all(loss.dim() == 0 for loss in losses.values())
    parts = losses["gmm"] + losses["bce"] + (losses["mse"] if include_reward else 0)
    assert torch.allclose(losses["loss"], parts / (Z + (2 if include_reward else 1)))
    names = ("mdrnn", "latent_obs", "action", "reward", "terminal", "latent_next_obs", "include_reward", "latent_size")
    assert torch.equal(get_loss(**dict(zip(names, given, strict=True)))["loss"], losses["loss"])
    losses["loss"].backward()


@pytest.mark.parametrize("batch", [(B,), (T, B)])
def test_gmm_loss_is_called_as_documented(batch):
    latent, mus, sigmas = torch.randn(*batch, Z), torch.randn(*batch, K, Z), torch.rand(*batch, K, Z) + 0.1
    logpi = functional.log_softmax(torch.randn(*batch, K), dim=-1)
    loss = gmm_loss(latent, mus, sigmas, logpi)
    each = gmm_loss(latent_next_obs=latent, mus=mus, sigmas=sigmas, logpi=logpi, reduce=False)
    assert loss.dim() == 0 and each.shape == batch and torch.allclose(loss, each.mean())


# C


def test_c_is_made_and_called_as_documented():
    z, h = torch.randn(B, Z), torch.randn(B, R)
    for controller in both(Controller, latent_size=Z, hidden_size=R, action_size=A):
        action = controller(torch.cat([z, h], dim=-1))
        assert action.shape == (B, A) and torch.equal(action, controller(h, z))
        assert isinstance(controller.fc, torch.nn.Linear) and controller.fc.bias is not None


# Configs


@pytest.mark.parametrize("kind", CONFIGS)
def test_configs_are_made_read_and_kept_as_documented(kind):
    size = {"height": 64, "width": 64} if kind is WMVAEConfig else {}
    config = kind({**size, "latent_size": 16, "note": "mine"})
    assert config.latent_size == 16 and config.note == config.extra["note"] == "mine"
    assert config.validate() and kind(config.to_dict()) == config and config.to_dict()["note"] == "mine"
    assert kind(**size, latent_size=16, extra={"note": "mine"}) == config
    assert not hasattr(config, "no_such_setting") and getattr(config, "no_such_setting", 7) == 7
    with pytest.raises(AttributeError, match="no_such_setting"):
        config.no_such_setting  # noqa: B018
    for wrong in (-1, 0, "many", 1.5, None):
        with pytest.raises(ValueError, match="latent_size"):
            kind({**size, "latent_size": wrong})
        changed = kind(size)
        changed.latent_size = wrong
        with pytest.raises(ValueError, match="latent_size"):
            changed.validate()


# Training's watchers


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("threshold_mode", ["rel", "abs"])
def test_early_stopping_is_made_and_kept_as_documented(mode, threshold_mode):
    one, other = (
        EarlyStopping(mode, 1, 1e-4, threshold_mode),
        EarlyStopping(mode=mode, patience=1, threshold=1e-4, threshold_mode=threshold_mode),
    )
    assert one.state_dict() == other.state_dict() and not one.stop
    for _ in range(3):
        one.step(1.0)
        other.step(metrics=1.0)
    assert one.stop is other.stop is True and one.num_bad_epochs == 2 and one.best == 1.0 and one.last_epoch == 2
    again = EarlyStopping()
    again.load_state_dict(one.state_dict())
    assert again.state_dict() == one.state_dict() and again.stop


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("threshold_mode", ["rel", "abs"])
def test_the_scheduler_is_made_and_kept_as_documented(mode, threshold_mode):
    optimizer = torch.optim.Adam(torch.nn.Linear(2, 2).parameters(), lr=1e-2)
    scheduler = ReduceLROnPlateau(optimizer, mode, 0.5, 0, threshold_mode=threshold_mode, min_lr=4e-3)
    named = {"mode": mode, "factor": 0.5, "patience": 0, "threshold_mode": threshold_mode, "min_lr": [4e-3]}
    assert ReduceLROnPlateau(optimizer=optimizer, **named).state_dict() == scheduler.state_dict()
    for metric in (1.0, 1.0, 1.0):
        scheduler.step(metrics=metric)
    assert scheduler.lr == [4e-3] == [group["lr"] for group in optimizer.param_groups] and scheduler.best == 1.0
    again = ReduceLROnPlateau(torch.optim.Adam(torch.nn.Linear(2, 2).parameters(), lr=1e-2))
    again.load_state_dict(scheduler.state_dict())
    assert again.state_dict() == scheduler.state_dict() and again.lr == [4e-3]
    for wrong in ({"mode": "smallest"}, {"threshold_mode": "relative"}, {"factor": 1.5}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            ReduceLROnPlateau(optimizer, **wrong)


# Datasets


@pytest.mark.parametrize("buffer_size", range(1, 11))
def test_datasets_of_files_are_made_as_documented_with_any_buffer(tmp_path, buffer_size):
    make_rollouts(tmp_path, [10, 15, 12, 10], seed=1)
    for kind in (RolloutDataset, ObservationDataset):
        by_place = kind(str(tmp_path), None, True, buffer_size, 1)
        by_name = kind(root=tmp_path, transform=None, train=True, buffer_size=buffer_size, num_test_files=1)
        assert by_place.files == by_name.files and len(by_place.files) == 3 and len(by_place) == len(by_name) > 0
        by_place.load_next_buffer()
        assert len(by_place) > 0
        assert len(kind(tmp_path, train=False, buffer_size=buffer_size, num_test_files=1)) == 10
    sequences = SequenceDataset(tmp_path, None, True, buffer_size, 1, 5)
    assert shapes_of(sequences[0]) == [(5, 3, 64, 64), (5, 3), (5,), (5,), (5, 3, 64, 64)]
    with pytest.raises(IndexError):
        sequences[len(sequences)]


def test_the_dataset_of_latents_is_made_as_documented():
    latents, actions, rewards, terminals = latent_arrays([100], terminal=False)
    by_place = LatentSequenceDataset(latents, actions, rewards, terminals, True, 10, 2, 10)
    named = {"latents_arr": latents, "actions": actions, "rewards": rewards, "terminals": terminals, "seq_len": 10}
    by_name = LatentSequenceDataset(**named, train=False, buffer_size=10, num_test_files=2)
    assert len(by_name) == 2 and 100 // 10 - 2 - 1 <= len(by_place) <= 100 // 10 - 2
    tensors = LatentSequenceDataset(*map(torch.as_tensor, (latents, actions, rewards, terminals)), seq_len=10)
    assert shapes_of(tensors[0]) == [(10, 2), (10, 2), (10,), (10,), (10, 2)]
