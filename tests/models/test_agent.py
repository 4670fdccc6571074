"""V, M and C together: what they see, what they carry, what does not fit."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from world_models.errors import CheckpointError
from world_models.models.agent import BLOCK, Agent
from world_models.models.controller import Controller, Population, flatten_parameters, load_parameters
from world_models.models.mdrnn import MDRNNCell
from world_models.types import AgentState
from world_models.vision.VAE.ConvVAE import ConvVAE

Z, R, A = 4, 6, 2


def make_agent(seed: int = 0, **kwargs) -> Agent:
    torch.manual_seed(seed)
    settings = {"precision": "fp32", **kwargs}
    return Agent(ConvVAE(3, Z), MDRNNCell(Z, A, R, 2), Controller(Z, R, A), torch.tanh, **settings)


def make_frames(n: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (n, 64, 64, 3), dtype=np.uint8))


def make_state(n: int) -> AgentState:
    return AgentState(torch.randn(n, R), torch.randn(n, R))


def test_one_step_sees_acts_and_lets_m_take_in_what_was_seen_and_done():
    torch.manual_seed(5)
    vae, cell, controller = ConvVAE(3, Z).eval(), MDRNNCell(Z, A, R, 2), Controller(Z, R, A)
    agent = Agent(vae, cell, controller, torch.tanh, precision="fp32")
    frames, state = make_frames(3), make_state(3)
    action, after = agent.act(frames, state)
    with torch.no_grad():
        z = vae.encoder(frames.permute(0, 3, 1, 2) / 255)[0]
        expected = torch.tanh(controller(state.h, z))
        h, c = cell(expected, z, (state.h, state.c))[-1]
    torch.testing.assert_close(action, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(after.h, h, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(after.c, c, rtol=1e-4, atol=1e-5)


def test_it_starts_from_zeros_and_leaves_the_state_that_it_was_given_alone():
    agent = make_agent()
    start = agent.start(2)
    assert start.h.shape == start.c.shape == (2, R)
    _, after = agent.act(make_frames(2), start)
    assert not start.h.any() and not start.c.any() and after.h.any() and after.c.any()


@given(n=st.integers(1, 2 * BLOCK + 3), pick=st.integers(0, 99), precision=st.sampled_from(["fp32", "bf16"]))
@settings(max_examples=12)
def test_a_row_is_the_same_to_the_bit_whoever_is_computed_beside_it(n, pick, precision):
    agent, frames, state = make_agent(precision=precision), make_frames(n), make_state(n)
    action, after = agent.act(frames, state)
    i = pick % n
    alone, state_alone = agent.act(frames[i : i + 1], AgentState(state.h[i : i + 1], state.c[i : i + 1]))
    assert torch.equal(action[i], alone[0])
    assert torch.equal(after.h[i], state_alone.h[0]) and torch.equal(after.c[i], state_alone.c[0])


def test_noise_samples_z_around_its_mean_and_without_noise_it_is_the_mean():
    agent, frames = make_agent(), make_frames(2)
    mean = agent.encode(frames)
    assert torch.equal(mean, agent.encode(frames, torch.zeros(2, Z)))
    up, down = agent.encode(frames, torch.ones(2, Z)), agent.encode(frames, -torch.ones(2, Z))
    assert (up > mean).all()
    torch.testing.assert_close(up - mean, mean - down)


def test_bf16_sees_about_what_fp32_sees():
    frames = make_frames(4)
    exact, fast = make_agent(precision="fp32").encode(frames), make_agent(precision="bf16").encode(frames)
    assert fast.dtype == torch.float32
    assert (exact - fast).abs().max() < 0.1 * exact.abs().max() + 0.02


@pytest.mark.parametrize("layers", [(), (5,)])
def test_a_population_acts_as_each_of_its_controllers_does_alone(layers):
    torch.manual_seed(1)
    members = [Controller(Z, R, A, layers) for _ in range(4)]
    population = Population(Controller(Z, R, A, layers), [flatten_parameters(c.parameters()) for c in members])
    states, rows = torch.randn(6, Z + R), torch.tensor([3, 0, 0, 2, 1, 3])
    together = Population.act(population.gather(rows), states)
    with torch.no_grad():
        alone = torch.stack([members[row](state[None])[0] for row, state in zip(rows, states, strict=True)])
    assert len(population) == 4
    torch.testing.assert_close(together, alone)


def test_an_agent_driven_by_candidates_acts_as_agents_with_these_controllers():
    agent, frames, state = make_agent(), make_frames(3), make_state(3)
    torch.manual_seed(9)
    candidates = np.stack([flatten_parameters(Controller(Z, R, A).parameters()) for _ in range(3)])
    action, after = agent.act(frames, state, Population(agent.controller, candidates).gather(torch.arange(3)))
    for i in range(3):
        load_parameters(candidates[i], agent.controller)
        alone, its_state = agent.act(frames[i : i + 1], AgentState(state.h[i : i + 1], state.c[i : i + 1]))
        torch.testing.assert_close(action[i], alone[0])
        torch.testing.assert_close(after.h[i], its_state.h[0])


def test_a_controller_without_h_is_given_z_alone():
    torch.manual_seed(0)
    agent = Agent(ConvVAE(3, Z), MDRNNCell(Z, A, R, 2), Controller(Z, 0, A), torch.tanh, precision="fp32")
    frames = make_frames(2)
    first, _ = agent.act(frames, agent.start(2))
    second, _ = agent.act(frames, make_state(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize(
    ("vae", "cell", "controller", "numbers"),
    [
        (5, (4, 2), (4, R, 2), "V has 5 latents and M 4"),
        (4, (4, 2), (5, R, 2), "C takes 5 latents and 6 hidden units, V and M give 4 and 6"),
        (4, (4, 2), (4, R + 1, 2), "C takes 4 latents and 7 hidden units, V and M give 4 and 6"),
        (4, (4, 2), (4, R, 3), "C gives 3 actions and M takes 2"),
    ],
)
def test_sizes_that_cannot_fit_together_are_an_error_that_names_both(vae, cell, controller, numbers):
    with pytest.raises(CheckpointError, match=numbers):
        Agent(ConvVAE(3, vae), MDRNNCell(*cell, R, 2), Controller(*controller), torch.tanh)


@pytest.mark.parametrize("driven_by", ["its own controller", "a candidate"])
def test_a_controller_that_sees_c_drives_as_in_a_plain_loop(driven_by):
    torch.manual_seed(6)
    vae, cell = ConvVAE(3, Z).eval(), MDRNNCell(Z, A, R, 2)
    controller = Controller(Z, R, A, use_cell=True, bias=False)
    agent = Agent(vae, cell, controller, torch.tanh, precision="fp32")
    flat = flatten_parameters(controller.parameters())[None]
    own = Population(controller, flat).gather(torch.tensor([0])) if driven_by == "a candidate" else None
    state, (h, c) = agent.start(1), cell.get_init_hidden(1)
    weight = next(controller.parameters()).detach()
    for frame in make_frames(5)[:, None]:
        action, state = agent.act(frame, state, own)
        with torch.no_grad():
            z = vae.encoder(frame.permute(0, 3, 1, 2) / 255)[0]
            expected = torch.tanh(torch.cat([z, h, c], -1) @ weight.T)
            h, c = cell.rnn(torch.cat([expected, z], -1), (h, c))
        torch.testing.assert_close(action, expected, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(torch.tanh(torch.cat([z, h, 0 * c], -1) @ weight.T), expected), "c counts"
