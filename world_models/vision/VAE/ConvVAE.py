"""V: the convolutional variational autoencoder (Ha & Schmidhuber 2018, appendix A.1).

A 64x64 frame becomes `latent_size` numbers. Encoder: four convolutions with kernels 4 and stride 2, then
two heads. Decoder: one linear layer to 1024 x 1 x 1, then four transposed convolutions with kernels
5, 5, 6, 6 and stride 2. 4,348,547 parameters at 32 latents and three channels.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from world_models.errors import ConfigError
from world_models.types import FRAME_SIZE

_FEATURES = 1024  # 256 channels x 2 x 2 pixels: what four convolutions leave of 64 x 64


def _at_least_one(name: str, value: int) -> int:
    if value < 1:
        raise ConfigError(f"{name}={value!r} cannot work: give a whole number of at least 1.")
    return value


class ConvVAEEncoder(nn.Module):
    """q(z | x): images (B, C, 64, 64) in [0, 1] -> mu and logsigma, each (B, Z)."""

    def __init__(self, img_channels: int, latent_size: int) -> None:
        super().__init__()
        self.img_channels = _at_least_one("img_channels", img_channels)
        self.latent_size = _at_least_one("latent_size", latent_size)
        self.conv1 = nn.Conv2d(img_channels, 32, 4, stride=2)
        self.conv2 = nn.Conv2d(32, 64, 4, stride=2)
        self.conv3 = nn.Conv2d(64, 128, 4, stride=2)
        self.conv4 = nn.Conv2d(128, 256, 4, stride=2)
        self.fc_mu = nn.Linear(_FEATURES, latent_size)
        self.fc_logsigma = nn.Linear(_FEATURES, latent_size)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """The 1024 numbers that both heads read, (B, 1024)."""
        if x.shape[-3:] != (self.img_channels, FRAME_SIZE, FRAME_SIZE):
            raise ConfigError(
                f"V takes images of shape (B, {self.img_channels}, {FRAME_SIZE}, {FRAME_SIZE}), got "
                f"{tuple(x.shape)}: resize the frames (GymImageEnv does) or build V for these channels."
            )
        for conv in (self.conv1, self.conv2, self.conv3, self.conv4):
            x = functional.relu(conv(x))
        return x.flatten(1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Encode images (B, C, 64, 64); `logsigma` is the log of the standard deviation."""
        features = self.features(x)
        return self.fc_mu(features), self.fc_logsigma(features)


class ConvVAEDecoder(nn.Module):
    """p(x | z): latents (B, Z) -> images (B, C, 64, 64) in [0, 1]."""

    def __init__(self, latent_size: int, img_channels: int) -> None:
        super().__init__()
        self.latent_size = _at_least_one("latent_size", latent_size)
        self.img_channels = _at_least_one("img_channels", img_channels)
        self.fc = nn.Linear(latent_size, _FEATURES)
        self.deconv1 = nn.ConvTranspose2d(_FEATURES, 128, 5, stride=2)
        self.deconv2 = nn.ConvTranspose2d(128, 64, 5, stride=2)
        self.deconv3 = nn.ConvTranspose2d(64, 32, 6, stride=2)
        self.deconv4 = nn.ConvTranspose2d(32, img_channels, 6, stride=2)

    def _first_deconvolution(self, x: torch.Tensor) -> torch.Tensor:
        # On a 1 x 1 input a transposed convolution is a matrix product; as one it trains ten times
        # faster on a CPU, with the same weights in the same layout.
        weight = self.deconv1.weight
        bias = self.deconv1.bias
        assert bias is not None
        product: torch.Tensor = (x @ weight.flatten(1)).view(-1, *weight.shape[1:])
        return product + bias[:, None, None]

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Decode latents (B, Z)."""
        x = functional.relu(self._first_deconvolution(self.fc(z)))
        x = x.contiguous(memory_format=torch.channels_last)
        x = functional.relu(self.deconv2(x))
        x = functional.relu(self.deconv3(x))
        return torch.sigmoid(self.deconv4(x))


class ConvVAE(nn.Module):
    """V: images (B, C, 64, 64) -> (reconstruction, mu, logsigma); each call draws a new z."""

    def __init__(self, img_channels: int, latent_size: int) -> None:
        super().__init__()
        self.img_channels = img_channels
        self.latent_size = latent_size
        self.encoder = ConvVAEEncoder(img_channels, latent_size)
        self.decoder = ConvVAEDecoder(latent_size, img_channels)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Reconstruct images through a sampled z = mu + exp(logsigma) * eps."""
        mu, logsigma = self.encoder(x)
        z = mu + logsigma.exp() * torch.randn_like(logsigma)
        return self.decoder(z), mu, logsigma
