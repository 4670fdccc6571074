"""The gradient of what a linear C earns, step by step: an actor and a critic (PPO, Schulman et al. 2017).

Evolution knows of an episode only what it was worth in the end. Here a critic learns what is still to come from each
state [z, h, c], and a step of C counts by how much better than expected what followed was (generalized advantages,
Schulman et al. 2016). What comes out is C's flat parameters; the critic is thrown away.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from world_models.search.algorithms.gradient_rules import GradientRules
from world_models.types import DoubleArray

__all__ = ["Experience", "GradientRules", "PolicyGradient", "Scale", "advantages"]

_LEAST_SPREAD = 1e-3  # an entry that never varies says nothing, whatever it is divided by
_SETTLED = 0.8  # the share of learning after which noise and gamma stay what they have come to
_REACH = 3.0  # what the largest progress so far is to the critic, whose other inputs have a spread of 1


class Experience(NamedTuple):
    """T steps of L lanes.

    `states` (T + 1, L, D) are what C sees before each step and after the last, `outputs` (T, L, A) what was done,
    before squashing; (T, L) are `rewards`, `ended` (the task was over after the step) and `cut` (it was not, but the
    episode was). After either of these a lane's next state is another episode's first. `progress` (T + 1, L, K) is
    what the critic knows besides: how far the episode is and what it has earned.
    """

    states: torch.Tensor
    outputs: torch.Tensor
    rewards: torch.Tensor
    ended: torch.Tensor
    cut: torch.Tensor
    progress: torch.Tensor


class Scale(NamedTuple):
    """What the learner divides by: inputs are (x - `center`) / `spread` (D,), outputs are in `unit`s (A,)."""

    center: torch.Tensor
    spread: torch.Tensor
    unit: torch.Tensor

    @classmethod
    def of(cls, parameters: DoubleArray, states: torch.Tensor, actions: int, bias: bool) -> Scale:
        """By states (n, D): inputs to a spread of one, outputs in those that C (P,) has there.

        Where C has no bias nothing could make up for a center: it is 0.
        """
        states = states.double()
        weight = torch.from_numpy(parameters[: actions * states.shape[1]].reshape(actions, -1).copy())
        outputs = (states @ weight.to(states.device).T).std(0)
        unit = torch.where(outputs > _LEAST_SPREAD, outputs, torch.ones_like(outputs))
        center = states.mean(0) if bias else torch.zeros_like(states[0])
        return cls(center, states.std(0) + _LEAST_SPREAD, unit)


def advantages(
    experience: Experience, values: torch.Tensor, gamma: float, gae_lambda: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Generalized advantages and the returns that the critic is to learn, (T, L) each.

    Args:
        experience: Its rewards count (1 - gamma) times, so that values are discounted means of a step's reward.
        values: (T + 1, L), the critic's. Where an episode was cut nobody saw what would have come: the value of the
            state before stands for it.
        gamma, gae_lambda: See `GradientRules`.
    """
    ended, cut = experience.ended.to(values), experience.cut.to(values)
    next_values = torch.where(experience.cut, values[:-1], values[1:] * (1 - ended))
    deltas = (1 - gamma) * experience.rewards + gamma * next_values - values[:-1]
    discounts = gamma * gae_lambda * (1 - ended) * (1 - cut)
    found, advantage = torch.zeros_like(deltas), torch.zeros_like(deltas[0])
    for t in reversed(range(len(deltas))):
        advantage = deltas[t] + discounts[t] * advantage
        found[t] = advantage
    return found, found + values[:-1]


def _settled(done: float) -> float:
    return min(1.0, done / _SETTLED)


class PolicyGradient:
    """A linear C that is learned from its own steps.

    Args:
        parameters: C's, flat (P,), as `flatten_parameters` gives them.
        scale: Of its inputs and outputs, on the device that is to compute.
        bias: Whether C has one.
        seed: Of the noise, the critic's weights and the batches.
        rules: See there.
        progress_size: K, how many numbers of progress the critic sees besides.
    """

    def __init__(
        self,
        parameters: DoubleArray,
        scale: Scale,
        bias: bool,
        seed: int,
        rules: GradientRules | None = None,
        progress_size: int = 0,
    ) -> None:
        self.rules, self._bias, self._exact = rules or GradientRules(), bias, Scale(*(x.double() for x in scale))
        self._generator = torch.Generator().manual_seed(seed)
        center, spread, unit = self._exact
        actions, size = len(unit), len(spread)
        flat = torch.from_numpy(parameters.astype(np.float64)).to(spread.device)
        weight = flat[: actions * size].reshape(actions, size)
        shift = flat[actions * size :] if bias else weight.new_zeros(actions)
        self._weight = nn.Parameter((weight * spread / unit[:, None]).float())
        self._shift = nn.Parameter(((shift + weight @ center) / unit).float(), requires_grad=bias)
        self._critic = self._make_critic(size + progress_size).to(spread.device)
        self._own = [self._weight, self._shift] if bias else [self._weight]
        self._optimizer = torch.optim.Adam(
            [
                {"params": self._own, "lr": self.rules.learning_rate},
                {"params": list(self._critic.parameters()), "lr": self.rules.critic_learning_rate},
            ]
        )
        self.updates, self._done, self._average = 0, 0.0, [p.detach().clone() for p in self._own]
        self._reach = torch.full((progress_size,), _LEAST_SPREAD, device=spread.device)
        self._scale = Scale(*(x.float() for x in self._exact))

    def _make_critic(self, size: int) -> nn.Sequential:
        layers: list[nn.Module] = []
        for inputs, outputs in ((size, 128), (128, 128), (128, 1)):
            layer = nn.Linear(inputs, outputs)
            with torch.no_grad():
                for p in (layer.weight, layer.bias):
                    p.uniform_(-(inputs**-0.5), inputs**-0.5, generator=self._generator)
            layers += [layer, nn.Tanh()]
        return nn.Sequential(*layers[:-1])

    @property
    def noise(self) -> float:
        """Standard deviation of what is added to C's outputs now."""
        return self.rules.action_noise * self._noise_left(self._done)

    def _noise_left(self, done: float) -> float:
        return float(self.rules.final_action_noise ** _settled(done))

    @property
    def _gamma(self) -> float:
        """Gamma now: how far it sees grows by the same factor with each step."""
        first = self.rules.gamma
        last = self.rules.final_gamma or first
        return float(1 - (1 - first) * ((1 - last) / (1 - first)) ** _settled(self._done))

    @property
    def parameters(self) -> DoubleArray:
        """C's, the average of the last updates, flat (P,)."""
        center, spread, unit = self._exact
        weight = self._average[0].double() * unit[:, None] / spread
        parts = [weight.ravel()]
        if self._bias:
            parts.append(self._average[1].double() * unit - weight @ center)
        flat: DoubleArray = torch.cat(parts).cpu().numpy()
        return flat

    def _scaled(self, states: torch.Tensor) -> torch.Tensor:
        return (states - self._scale.center) / self._scale.spread

    def critic_inputs(self, experience: Experience) -> torch.Tensor:
        """What the critic sees: states and progress, scaled, (T + 1, L, D + K)."""
        return torch.cat([self._scaled(experience.states), _REACH * experience.progress / self._reach], -1)

    def values(self, critic_inputs: torch.Tensor) -> torch.Tensor:
        """The critic's values of what it sees (..., D + K): (...)."""
        values: torch.Tensor = self._critic(critic_inputs)
        return values[..., 0]

    def _means(self, scaled: torch.Tensor) -> torch.Tensor:
        return scaled @ self._weight.T + self._shift  # in units

    @torch.no_grad()
    def act(self, states: torch.Tensor) -> torch.Tensor:
        """C's outputs (L, A) for states (L, D), with noise."""
        means = self._means(self._scaled(states))
        noise = torch.randn(means.shape, generator=self._generator).to(means.device)
        return (means + self.noise * noise) * self._scale.unit

    def learn(self, experience: Experience, done: float = 0.0) -> None:
        """One update: C moves up the gradient, the critic towards what came.

        Args:
            experience: With C as it is.
            done: What share of all learning is done, by which rate, noise and gamma go from first to last.
        """
        left = 1 - (1 - self.rules.final_learning_rate) * min(done, 1.0)
        self._optimizer.param_groups[0]["lr"] = self.rules.learning_rate * left * self._noise_left(done)
        if experience.progress.shape[-1]:
            self._reach = torch.maximum(self._reach, experience.progress.abs().flatten(0, 1).amax(0))
        self._improve(experience)
        self._done = done
        self.updates += 1
        decay = min(self.rules.ema_decay, self.updates / (self.updates + 9))
        for average, now in zip(self._average, self._own, strict=True):
            average.lerp_(now.detach(), 1 - decay)

    def _improve(self, experience: Experience) -> None:
        rules = self.rules
        inputs = self.critic_inputs(experience)
        states = inputs[:-1, :, : experience.states.shape[-1]].flatten(0, 1)
        with torch.no_grad():
            values = self.values(inputs)
            found = advantages(experience, values, self._gamma, rules.gae_lambda)
            advantage, returns = (x.reshape(-1) for x in found)
            advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
            advantage = advantage.clamp(-rules.advantage_clip, rules.advantage_clip)
            outputs = (experience.outputs / self._scale.unit).flatten(0, 1)
            inputs = inputs[:-1].flatten(0, 1)
            old_log_prob = self._log_prob(states, outputs)
        for _ in range(rules.epochs):
            order = torch.randperm(len(states), generator=self._generator).to(states.device)
            for rows in torch.split(order, rules.minibatch):
                loss = (self.values(inputs[rows]) - returns[rows]).square().mean()
                if self.updates >= rules.critic_warmup:
                    loss = loss + self._policy_loss(states[rows], outputs[rows], old_log_prob[rows], advantage[rows])
                self._optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                self._step()

    def _step(self) -> None:
        if not self.rules.delayed_actions:
            self._optimizer.step()
            return
        before = [p.detach().clone() for p in self._own]
        self._optimizer.step()
        share = self.rules.delayed_learning_rate ** (1 - _settled(self._done))
        delayed = list(self.rules.delayed_actions)
        with torch.no_grad():
            for now, old in zip(self._own, before, strict=True):
                now[delayed] = old[delayed] + share * (now[delayed] - old[delayed])

    def _log_prob(self, scaled: torch.Tensor, outputs: torch.Tensor) -> torch.Tensor:
        """Log-density of outputs, but for a constant: (n,)."""
        return -0.5 * ((outputs - self._means(scaled)) / self.noise).square().sum(-1)

    def _policy_loss(
        self, scaled: torch.Tensor, outputs: torch.Tensor, old_log_prob: torch.Tensor, advantage: torch.Tensor
    ) -> torch.Tensor:
        """PPO's clipped objective, negated."""
        ratio = (self._log_prob(scaled, outputs) - old_log_prob).exp()
        clipped = ratio.clamp(1 - self.rules.clip_range, 1 + self.rules.clip_range)
        return -torch.min(ratio * advantage, clipped * advantage).mean()

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain values, from which `load_state_dict` goes on exactly."""
        return {
            "own": [p.detach().clone() for p in self._own],
            "average": self._average,
            "critic": self._critic.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "generator": self._generator.get_state(),
            "updates": self.updates,
            "done": self._done,
            "reach": self._reach,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up where `state_dict` was taken: on a fresh object with the same arguments."""
        with torch.no_grad():
            for mine, saved in zip([*self._own, *self._average], [*state["own"], *state["average"]], strict=True):
                mine.copy_(saved)
        self._critic.load_state_dict(state["critic"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._generator.set_state(state["generator"])
        self.updates, self._done, self._reach = int(state["updates"]), float(state["done"]), state["reach"]
