"""Sizes that no memory holds are refused by their names, before anything is driven."""

from __future__ import annotations

import math
import os
from typing import NamedTuple

import torch
from torch import nn

from world_models.configs.wm_config import WMControllerConfig, WMMDNRNNConfig, WMVAEConfig
from world_models.errors import ConfigError
from world_models.vision.VAE.ConvVAE import ConvVAE

_TRAINED = 16  # bytes of a weight, its gradient and Adam's two moments
_EPISODE = 200  # bytes of an episode's task and result, at least


class _Need(NamedTuple):
    what: str
    settings: str
    bytes: int


def check_memory(vae: WMVAEConfig, rnn: WMMDNRNNConfig, ctrl: WMControllerConfig, seen: int) -> None:
    """Checks that V, M and a generation of C's candidates each fit into this machine's memory.

    Args:
        vae, rnn, ctrl: The stages' settings.
        seen: What C sees of a state.

    Raises:
        ConfigError: One cannot; the message names its settings and what it needs.
    """
    there = physical_memory()
    for need in _needs(vae, rnn, ctrl, seen):
        if need.bytes > there:
            raise ConfigError(
                f"{need.settings} cannot work: {need.what} needs {_size(need.bytes)} and this machine has "
                f"{_size(there)} of memory; lower it."
            )


def physical_memory() -> float:
    """Bytes of this machine's memory; infinite where it does not say."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE")) * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return math.inf


def _needs(vae: WMVAEConfig, rnn: WMMDNRNNConfig, ctrl: WMControllerConfig, seen: int) -> list[_Need]:
    sizes = f"latent_size={rnn.latent_size}, hidden_size={rnn.hidden_size}, gmm_components={rnn.gmm_components}"
    candidate = 8 * ctrl.action_size * seen + _EPISODE * ctrl.n_samples
    return [
        _Need("V with its optimizer", f"latent_size={vae.latent_size}", _TRAINED * _vae_weights(vae)),
        _Need("M with its optimizer", sizes, _TRAINED * _rnn_weights(rnn)),
        _Need(
            "a generation of candidates and their episodes",
            f"pop_size={ctrl.pop_size}, n_samples={ctrl.n_samples}",
            ctrl.pop_size * candidate,
        ),
    ]


def _vae_weights(config: WMVAEConfig) -> int:
    """Linear in Z, so that two small ones tell; one of the asked size may be more than tensors can count."""
    one, two = (_weights(_vae_of(size)) for size in (1, 2))
    return one + (two - one) * (config.latent_size - 1)


def _vae_of(latent_size: int) -> nn.Module:
    with torch.device("meta"):
        return ConvVAE(3, latent_size)


def _rnn_weights(config: WMMDNRNNConfig) -> int:
    """The LSTM's four gates and the mixture's head (specification, Stage 2)."""
    inputs, hidden = config.latent_size + config.action_size, config.hidden_size
    return 4 * hidden * (inputs + hidden + 2) + (hidden + 1) * _head(config)


def _head(config: WMMDNRNNConfig) -> int:
    return (2 * config.latent_size + 1) * config.gmm_components + 2


def _weights(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _size(count: float) -> str:
    return f"{count / 2**30:.3g} GiB"
