"""What a dream is put together from: M's matrix products, the beginnings, each lane's noise."""

from __future__ import annotations

import torch

from world_models.datasets.dream_starts import DreamStarts
from world_models.models.dream_rules import DreamRules
from world_models.models.mdrnn import MDRNNCell
from world_models.models.sampling import pick_component, point_of
from world_models.utils.precision import fast_precision

_CHUNK = 32  # steps of noise drawn at a time


class Network:
    """M's cell and head as plain matrix products on rows [action, z, h, c], whose h and c it replaces."""

    def __init__(self, cell: MDRNNCell, precision: str) -> None:
        weight = cell.gmm_linear.weight
        precision = fast_precision(weight.device) if precision == "auto" else precision
        self.dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        self.gaussians, self.latents, self.hiddens = cell.gaussians, cell.latents, cell.hiddens
        joined = torch.cat([cell.rnn.weight_ih, cell.rnn.weight_hh], dim=1).detach().clone()
        bias = (cell.rnn.bias_ih + cell.rnn.bias_hh).detach().clone()
        # tanh(x) = 2 sigmoid(2 x) - 1: PyTorch's tanh takes five times as long as its sigmoid, in all half of a step.
        for part in (joined, bias):
            part[2 * cell.hiddens : 3 * cell.hiddens] *= 2
        self._gates = _Product(joined, bias, self.dtype)
        self._head = _Product(cell.gmm_linear.weight, cell.gmm_linear.bias, self.dtype)

    def step(self, x: torch.Tensor, block: int) -> torch.Tensor:
        """The head's output for rows (n, A + Z + 2 R); n is a multiple of `block`."""
        r = self.hiddens
        h, c = x[:, -2 * r : -r], x[:, -r:]
        i, f, g, o = self._gates(x[:, :-r], block).sigmoid_().chunk(4, dim=1)
        c.mul_(f).addcmul_(i, g.mul_(2).sub_(1))
        torch.mul(o, (2 * c).sigmoid_().mul_(2).sub_(1), out=h)
        return self._head(h, block)

    def next_latent(
        self, head: torch.Tensor, rules: DreamRules, pick: torch.Tensor, noise: torch.Tensor
    ) -> torch.Tensor:
        """`sample_mixture` of the head, of which only the chosen component's mu and sigma are looked at."""
        k, z = self.gaussians, self.latents
        lanes = torch.arange(len(head), device=head.device)
        mus, logsigmas = (head[:, start : start + k * z].reshape(-1, k, z) for start in (0, k * z))
        logits = head[:, 2 * k * z : -2]  # logpi but for a constant, of which neither use depends
        if rules.deterministic:
            return mus[lanes, logits.argmax(-1)]
        component = pick_component(logits, rules.temperature, pick)
        return point_of(mus[lanes, component], logsigmas[lanes, component].exp(), rules.temperature, noise)


class _Product:
    """x W^T + b in float32, block by block, computed in `dtype`."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor, dtype: torch.dtype) -> None:
        self.weight = weight.detach().to(dtype).t()
        self.bias = bias.detach().to(dtype)
        self._out = torch.empty(0, len(bias), dtype=dtype, device=weight.device)

    def __call__(self, x: torch.Tensor, block: int) -> torch.Tensor:
        if len(self._out) < len(x):
            self._out = self._out.new_empty(len(x), self._out.shape[1])
        x, out = x.to(self.weight.dtype), self._out[: len(x)]
        for start in range(0, len(x), block):
            rows = slice(start, start + block)
            torch.addmm(self.bias, x[rows], self.weight, out=out[rows])
        return out.float()


class Beginnings:
    """The starts with M warmed up on the sequences."""

    def __init__(self, cell: MDRNNCell, starts: DreamStarts) -> None:
        device = cell.gmm_linear.weight.device
        mu, logsigma, actions = (
            torch.from_numpy(x).to(device) for x in (starts.warm_mu, starts.warm_logsigma, starts.warm_actions)
        )
        h, c = cell.get_init_hidden(len(mu))
        with torch.inference_mode():
            for t in range(mu.shape[1] - 1):  # the last row's action is C's to choose
                h, c = cell.next_hidden(actions[:, t], mu[:, t], (h, c))
        self._warm = (mu[:, -1], logsigma[:, -1].exp(), h, c)
        first_mu, first_logsigma = (torch.from_numpy(x).to(device) for x in (starts.first_mu, starts.first_logsigma))
        zeros = torch.zeros(len(first_mu), cell.hiddens, device=device)
        self._first = (first_mu, first_logsigma.exp(), zeros, zeros)

    def draw(self, generator: torch.Generator, rules: DreamRules) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """z (Z,), h and c (R,) of one start."""
        which, place = torch.rand(2, generator=generator, dtype=torch.float64).tolist()
        warm = rules.starts == "warm" or (rules.starts == "both" and which < 0.5)
        mu, sigma, h, c = self._warm if warm else self._first
        index = int(place * len(mu))
        noise = torch.randn(mu.shape[1], generator=generator).to(mu.device)
        z = mu[index] if rules.deterministic else mu[index] + sigma[index] * noise
        return z, h[index], c[index]


class Noise:
    """Each lane's noise from a generator of its own, drawn for some steps at a time."""

    def __init__(self, num_lanes: int, latents: int) -> None:
        self._uniform, self._normal = torch.zeros(0, _CHUNK, 2), torch.zeros(0, _CHUNK, latents)
        self._time = self._lanes = torch.zeros(0, dtype=torch.long)
        self._together: int | None = 0  # the time of all lanes, while it is one
        self._generators: list[torch.Generator] = []
        self.grow(num_lanes)

    def grow(self, count: int) -> None:
        """So many lanes more, each before its first episode."""
        self._uniform, self._normal, self._time = (
            torch.cat([x, x.new_zeros(count, *x.shape[1:])]) for x in (self._uniform, self._normal, self._time)
        )
        self._together = 0 if self._together == 0 else None
        self._lanes = torch.arange(len(self._time))
        self._generators += [torch.Generator() for _ in range(count)]

    def begin(self, lane: int, generator: torch.Generator) -> None:
        """A new episode on a lane."""
        self._generators[lane] = generator
        self._time[lane] = 0
        self._together = 0 if self._together == 0 else None

    def next(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Uniform (L, 2) and standard normal (L, Z) numbers of the next step."""
        now = self._time % _CHUNK
        if self._together is None or self._together % _CHUNK == 0:
            self._draw(torch.nonzero(now == 0).flatten().tolist())
        self._time += 1
        if self._together is None:
            return self._uniform[self._lanes, now], self._normal[self._lanes, now]
        at = self._together % _CHUNK
        self._together += 1
        return self._uniform[:, at], self._normal[:, at]

    def _draw(self, lanes: list[int]) -> None:
        for lane in lanes:
            torch.rand(_CHUNK, 2, generator=self._generators[lane], out=self._uniform[lane])
            torch.randn(_CHUNK, self._normal.shape[2], generator=self._generators[lane], out=self._normal[lane])

    def keep(self, lanes: torch.Tensor) -> None:
        """These lanes alone, in this order."""
        self._uniform, self._normal, self._time = self._uniform[lanes], self._normal[lanes], self._time[lanes]
        self._generators = [self._generators[lane] for lane in lanes.tolist()]
        self._lanes = torch.arange(len(lanes))
