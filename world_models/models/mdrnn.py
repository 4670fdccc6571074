"""M: the MDN-RNN, p(z[t+1], r[t], d[t] | a[t], z[t], h[t]) (Ha & Schmidhuber 2018, section 2.2, A.2).

`MDRNN` takes whole sequences (training), `MDRNNCell` one step (driving, dreaming). Both put the same
head on the hidden state; it is split in one place.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from world_models.errors import ConfigError
from world_models.types import MemoryState, Mixture


class _MDRNNBase(nn.Module):
    """The sizes and the head `gmm_linear`: hidden state (..., R) -> (2 Z + 1) K + 2 numbers."""

    rnn: nn.LSTM | nn.LSTMCell

    def __init__(self, latents: int, actions: int, hiddens: int, gaussians: int) -> None:
        super().__init__()
        sizes = {"latents": latents, "actions": actions, "hiddens": hiddens, "gaussians": gaussians}
        for name, value in sizes.items():
            if value < 1:
                raise ConfigError(f"{name}={value!r} cannot work: give a whole number of at least 1.")
        self.latents = latents
        self.actions = actions
        self.hiddens = hiddens
        self.gaussians = gaussians
        self.gmm_linear = nn.Linear(hiddens, (2 * latents + 1) * gaussians + 2)

    def forward(self, *inputs: Any) -> Any:
        """The base only holds the head: use `MDRNN` or `MDRNNCell`."""
        raise NotImplementedError("_MDRNNBase has no recurrence of its own: call MDRNN or MDRNNCell.")

    @property
    def sizes(self) -> dict[str, int]:
        """The four sizes by the names of the constructor's arguments."""
        return {
            "latents": self.latents,
            "actions": self.actions,
            "hiddens": self.hiddens,
            "gaussians": self.gaussians,
        }

    def get_init_hidden(self, batch_size: int = 1) -> MemoryState:
        """(h, c) at an episode's start: zeros (B, R), on the module's device and in its dtype."""
        weight = self.gmm_linear.weight
        zeros = torch.zeros(batch_size, self.hiddens, device=weight.device, dtype=weight.dtype)
        return zeros, zeros.clone()

    def _split(self, head: torch.Tensor) -> tuple[Mixture, torch.Tensor, torch.Tensor]:
        """The head's output (..., (2 Z + 1) K + 2) as mixture, reward and terminal logit."""
        head = head.float()  # exponentials of bf16 numbers lose the likelihood's digits
        stride = self.gaussians * self.latents
        shape = (*head.shape[:-1], self.gaussians, self.latents)
        mus = head[..., :stride].reshape(shape)
        sigmas = head[..., stride : 2 * stride].reshape(shape).exp()
        logpi = head[..., 2 * stride : 2 * stride + self.gaussians].log_softmax(dim=-1)
        return Mixture(mus, sigmas, logpi), head[..., -2], head[..., -1]


class MDRNN(_MDRNNBase):
    """M over sequences, time-major, from a zero state."""

    rnn: nn.LSTM

    def __init__(self, latents: int, actions: int, hiddens: int, gaussians: int) -> None:
        super().__init__(latents, actions, hiddens, gaussians)
        self.rnn = nn.LSTM(latents + actions, hiddens)

    def forward(
        self, actions: torch.Tensor, latents: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Predict every next latent of sequences.

        Args:
            actions: (T, B, A), native actions as stored.
            latents: (T, B, Z).

        Returns:
            mus and sigmas (T, B, K, Z), logpi (T, B, K), rewards (T, B), terminal logits (T, B).
        """
        hidden, _ = self.rnn(torch.cat([actions, latents], dim=-1))
        mixture, reward, terminal = self._split(self.gmm_linear(hidden))
        return *mixture, reward, terminal


class MDRNNCell(_MDRNNBase):
    """M a step at a time; the state is an argument and a return value, never kept."""

    rnn: nn.LSTMCell

    def __init__(self, latents: int, actions: int, hiddens: int, gaussians: int) -> None:
        super().__init__(latents, actions, hiddens, gaussians)
        self.rnn = nn.LSTMCell(latents + actions, hiddens)

    @classmethod
    def from_mdrnn(cls, mdrnn: MDRNN) -> MDRNNCell:
        """The cell with a copy of a trained sequence model's weights: the one place where they are copied."""
        cell = cls(**mdrnn.sizes).to(mdrnn.gmm_linear.weight)
        cell.rnn.load_state_dict({name.removesuffix("_l0"): w for name, w in mdrnn.rnn.state_dict().items()})
        cell.gmm_linear.load_state_dict(mdrnn.gmm_linear.state_dict())
        return cell.train(mdrnn.training)

    def next_hidden(self, action: torch.Tensor, latent: torch.Tensor, hidden: MemoryState) -> MemoryState:
        """Only the recurrence, (h, c): all that driving needs."""
        if action.dim() == latent.dim() - 1:
            action = action.unsqueeze(0)  # the specification's inference loop gives one action (A,)
        state: MemoryState = self.rnn(torch.cat([action, latent], dim=-1), hidden)
        return state

    def forward(
        self, action: torch.Tensor, latent: torch.Tensor, hidden: MemoryState
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, MemoryState]:
        """One step.

        Args:
            action: (B, A), or (A,) where B is 1.
            latent: (B, Z).
            hidden: (h, c), each (B, R).

        Returns:
            mus and sigmas (B, K, Z), logpi (B, K), reward (B,), terminal logit (B,), next (h, c).
        """
        h, c = self.next_hidden(action, latent, hidden)
        mixture, reward, terminal = self._split(self.gmm_linear(h))
        return *mixture, reward, terminal, (h, c)
