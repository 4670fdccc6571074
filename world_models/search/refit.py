"""C carried over to another V and M: the linear layer that acts on their [z, h] as the old C acted on its own.

The paper's iterative procedure trains V and M again on what the agent has met (section 5), which changes what
every number of [z, h] means. The old controller is not lost: on episodes that it drove, its outputs are known
for every frame, and a regression finds the weights that give them from the new states.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from world_models.datasets.rollout_files import list_rollouts, read_meta, read_rollout
from world_models.envs.actions import ActionAdapter
from world_models.errors import CheckpointError, DataError
from world_models.models.agent import Agent
from world_models.models.controller import Controller
from world_models.models.load import load_cell, load_controller, load_vae
from world_models.search.whitening import states_of
from world_models.types import DoubleArray, Rollout

_LOG = logging.getLogger(__name__)
_MOST_STEPS = 60_000
_RIDGE = 20.0
_SATURATED = 4.0  # tanh(4) = 0.9993: beyond it outputs differ and actions do not


def driving_states(
    logdir: str | Path, rollouts: Sequence[Rollout], template: Controller, actions: ActionAdapter
) -> list[npt.NDArray[np.float32]]:
    """What a C like `template` would have seen with V and M of `logdir` in each rollout, (T, D)."""
    agent = _agent(logdir, template, actions)
    return [_seen(agent, rollout).numpy() for rollout in rollouts]


def refitted(
    refit_from: str | Path,
    rollouts: Sequence[Rollout],
    states: Sequence[npt.NDArray[np.float32]],
    template: Controller,
    actions: ActionAdapter,
) -> DoubleArray:
    """Flat parameters (P,) with which C on another V and M acts as the run `refit_from`'s did.

    Args:
        refit_from: The old run's folder, with V, M and a linear C.
        rollouts: What an agent drove.
        states: What the new C would have seen in each of them, (T, D) (`driving_states`).
        template: A controller of the new one's architecture, linear.
        actions: Of the environment.

    Raises:
        CheckpointError: a stage is missing, or the old C is not linear.
    """
    teacher, _ = load_controller(refit_from)
    if teacher.hidden_layers:
        raise CheckpointError(f"C in {refit_from} has hidden layers: only a linear controller can be carried over.")
    old = _agent(refit_from, teacher, actions)
    seen = [each.astype(np.float64) for each in states]
    return _refit(seen, [_outputs(teacher, old, rollout) for rollout in rollouts], actions, template.bias)


def agent_rollouts(data_dir: str | Path) -> list[Rollout]:
    """The newest rollouts (last names) that an agent drove, up to 60,000 steps.

    Raises:
        DataError: there is none.
    """
    found: list[Rollout] = []
    steps = 0
    for path in reversed(list_rollouts(data_dir)):
        if read_meta(path).get("policy") != "agent":
            continue
        rollout = read_rollout(path)
        steps += len(rollout.rewards)
        if found and steps > _MOST_STEPS:
            break
        found.append(rollout)
    if not found:
        raise DataError(f"{data_dir} has no rollout that an agent drove: collect some with --policy agent.")
    return found


def _agent(logdir: str | Path, controller: Controller, actions: ActionAdapter) -> Agent:
    """V and M of a run, with a controller that says what is seen of them."""
    vae, cell = load_vae(logdir), load_cell(logdir)
    blind = controller.settings | {"hidden_size": cell.hiddens if controller.hidden_size else 0, "hidden_layers": ()}
    return Agent(vae, cell, Controller(**blind), actions.from_raw)


def _seen(agent: Agent, rollout: Rollout) -> torch.Tensor:
    """(T, D): what the agent's C would have seen."""
    states = torch.from_numpy(states_of(agent, rollout))
    return states if agent.controller.hidden_size else states[:, : agent.cell.latents]


def _outputs(teacher: Controller, agent: Agent, rollout: Rollout) -> torch.Tensor:
    with torch.no_grad():
        return teacher(_seen(agent, rollout))  # type: ignore[no-any-return]


def _refit(
    states: Sequence[DoubleArray], outputs: Sequence[torch.Tensor], actions: ActionAdapter, bias: bool
) -> DoubleArray:
    """Flat parameters (P,) of the linear layer that turns states (n, D) into what `outputs` (n, A) would do."""
    seen = torch.from_numpy(np.concatenate(states))
    raw = torch.cat(list(outputs)).double()
    center, scale = seen.mean(0), seen.std(0) + 1e-3
    inputs = torch.cat([(seen - center) / scale, seen.new_ones(len(seen), 1)], 1) if bias else seen / scale
    near = raw.clamp(-_SATURATED, _SATURATED)
    normal = inputs.T @ inputs + _RIDGE * torch.eye(inputs.shape[1], dtype=torch.double)
    weights = torch.linalg.solve(normal, inputs.T @ near)
    if not actions.discrete:
        weights = _polish(weights, inputs, near, actions.from_raw(raw), actions, len(scale))
    wrong = (actions.from_raw(inputs @ weights) - actions.from_raw(raw)).square().mean(0)
    _LOG.info("C carried over: mean squared error of the actions %s", [round(float(x), 4) for x in wrong])
    weight = (weights[: len(scale)] / scale[:, None]).T
    parts = [weight.flatten(), weights[-1] - weight @ center] if bias else [weight.flatten()]
    flat: DoubleArray = torch.cat(parts).numpy()
    return flat


def _polish(
    weights: torch.Tensor,
    inputs: torch.Tensor,
    near: torch.Tensor,
    wanted: torch.Tensor,
    actions: ActionAdapter,
    size: int,
) -> torch.Tensor:
    """Least squares of the actions themselves: where a squash is flat, an output's size does not matter. All but
    the bias, the first `size` rows of the weights, are kept small."""
    weights = weights.contiguous().clone(memory_format=torch.contiguous_format).requires_grad_(True)
    optimizer = torch.optim.LBFGS([weights], max_iter=150, history_size=20, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        raw = inputs @ weights
        value = (actions.from_raw(raw) - wanted).square().sum(1).mean()
        value = value + 0.02 * (raw - near).square().mean() + 1e-3 * weights[:size].square().mean()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return weights.detach()
