"""V: shapes, sizes, range, randomness and gradients of the convolutional autoencoder."""

import pytest
import torch

from world_models.errors import ConfigError
from world_models.vision.VAE.ConvVAE import ConvVAE, ConvVAEDecoder, ConvVAEEncoder

torch.set_num_threads(1)


@pytest.fixture
def images():
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def vae():
    torch.manual_seed(0)
    return ConvVAE(img_channels=3, latent_size=32)


def test_the_encoder_gives_a_mean_and_a_log_deviation_for_each_latent(images):
    mu, logsigma = ConvVAEEncoder(3, 32)(images)
    assert mu.shape == logsigma.shape == (2, 32)
    assert not torch.equal(mu, logsigma)


def test_the_decoder_gives_pictures_of_64_by_64_between_0_and_1():
    pictures = ConvVAEDecoder(32, 3)(torch.randn(2, 32) * 10)
    assert pictures.shape == (2, 3, 64, 64)
    assert pictures.min() >= 0 and pictures.max() <= 1


def test_forward_gives_reconstruction_mu_and_logsigma(vae, images):
    recon, mu, logsigma = vae(images)
    assert recon.shape == images.shape and mu.shape == logsigma.shape == (2, 32)
    assert recon.min() >= 0 and recon.max() <= 1
    assert all(torch.equal(a, b) for a, b in zip((mu, logsigma), vae.encoder(images), strict=True))


def test_the_documented_size_has_4348547_parameters(vae):
    assert sum(parameter.numel() for parameter in vae.parameters()) == 4_348_547


def test_the_layers_have_the_documented_channels_kernels_and_strides(vae):
    shapes = {name: tuple(tensor.shape) for name, tensor in vae.state_dict().items() if name.endswith("weight")}
    assert sorted(shapes.values()) == sorted([
        (32, 3, 4, 4), (64, 32, 4, 4), (128, 64, 4, 4), (256, 128, 4, 4), (32, 1024), (32, 1024),
        (1024, 32), (1024, 128, 5, 5), (128, 64, 5, 5), (64, 32, 6, 6), (32, 3, 6, 6),
    ])  # fmt: skip
    kinds = (torch.nn.Conv2d, torch.nn.ConvTranspose2d)
    assert {layer.stride for layer in vae.modules() if isinstance(layer, kinds)} == {(2, 2)}


@pytest.mark.parametrize("latent_size", [1, 8, 64])
@pytest.mark.parametrize("channels", [1, 3])
def test_any_latent_size_and_number_of_channels_works(latent_size, channels):
    vae = ConvVAE(channels, latent_size)
    recon, mu, logsigma = vae(torch.rand(1, channels, 64, 64))
    assert recon.shape == (1, channels, 64, 64) and mu.shape == logsigma.shape == (1, latent_size)


def test_z_is_sampled_anew_at_each_call_in_training_and_evaluation(vae, images):
    for mode in (True, False):
        vae.train(mode)
        with torch.no_grad():
            first, second = vae(images), vae(images)
        assert not torch.equal(first[0], second[0])
        assert torch.equal(first[1], second[1])
    vae.train()


def test_the_sample_is_mu_plus_sigma_times_standard_noise(vae, images):
    with torch.no_grad():
        torch.manual_seed(3)
        recon, mu, logsigma = vae(images)
        torch.manual_seed(3)
        z = mu + logsigma.exp() * torch.randn(2, 32)
        torch.testing.assert_close(recon, vae.decoder(z))


def test_a_deviation_of_almost_zero_leaves_the_decoded_mean(images):
    vae = ConvVAE(3, 4)
    torch.nn.init.zeros_(vae.encoder.fc_logsigma.weight)
    torch.nn.init.constant_(vae.encoder.fc_logsigma.bias, -30.0)
    with torch.no_grad():
        recon, mu, _ = vae(images)
        torch.testing.assert_close(recon, vae.decoder(mu))


def test_the_decoder_is_four_plain_transposed_convolutions(vae):
    z = torch.randn(2, 32)
    decoder = vae.decoder
    x = decoder.fc(z)[:, :, None, None]
    for deconvolution in (decoder.deconv1, decoder.deconv2, decoder.deconv3):
        x = torch.relu(deconvolution(x))
    with torch.no_grad():
        torch.testing.assert_close(decoder(z), torch.sigmoid(decoder.deconv4(x)), atol=1e-5, rtol=1e-4)


def test_gradients_reach_every_parameter_and_the_image(images):
    vae = ConvVAE(3, 8)
    images.requires_grad_(True)
    recon, mu, logsigma = vae(images)
    (recon.square().sum() + mu.square().sum() + logsigma.square().sum()).backward()
    assert images.grad is not None and images.grad.abs().sum() > 0
    for name, parameter in vae.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), f"{name} has no gradient"
        assert parameter.grad.abs().sum() > 0, f"{name} has a gradient of zero"


def test_the_reconstruction_alone_teaches_the_encoder(images):
    vae = ConvVAE(3, 8)
    vae(images)[0].square().sum().backward()
    assert vae.encoder.conv1.weight.grad.abs().sum() > 0
    assert vae.encoder.fc_logsigma.weight.grad.abs().sum() > 0


def test_a_row_does_not_depend_on_the_rest_of_its_batch(vae, images):
    with torch.no_grad():
        alone, together = vae.encoder(images[:1])[0], vae.encoder(images)[0][:1]
    torch.testing.assert_close(alone, together, atol=1e-5, rtol=1e-4)


def test_weights_saved_and_loaded_give_the_same_encoding(vae, images):
    other = ConvVAE(3, 32)
    other.load_state_dict(vae.state_dict())
    with torch.no_grad():
        assert torch.equal(other.encoder(images)[0], vae.encoder(images)[0])


@pytest.mark.parametrize("shape", [(1, 3, 96, 96), (1, 1, 64, 64), (1, 64, 64, 3)])
def test_images_of_another_shape_are_refused_with_both_shapes_in_the_message(vae, shape):
    with pytest.raises(ConfigError, match=r"3, 64, 64.*got"):
        vae(torch.rand(shape))


@pytest.mark.parametrize(("channels", "latent_size"), [(0, 32), (3, 0), (3, -1)])
def test_a_size_below_one_is_refused(channels, latent_size):
    with pytest.raises(ConfigError, match="at least 1"):
        ConvVAE(channels, latent_size)
