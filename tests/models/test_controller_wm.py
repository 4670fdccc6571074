"""C: one linear layer from [z, h] to the action, or an MLP by an argument."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from world_models.errors import ConfigError
from world_models.models.controller import Controller, Population, flatten_parameters, load_parameters

torch.set_num_threads(1)


def test_a_batch_of_states_gives_a_batch_of_actions():
    assert Controller(32, 256, 3)(torch.randn(4, 288)).shape == (4, 3)
    assert Controller(latent_size=8, hidden_size=16, action_size=2)(torch.randn(1, 24)).shape == (1, 2)


def test_carracing_needs_867_parameters_and_fc_is_the_linear_layer():
    controller = Controller(32, 256, 3)
    assert sum(parameter.numel() for parameter in controller.parameters()) == 867
    assert isinstance(controller.fc, torch.nn.Linear) and controller.fc.bias is not None
    assert set(controller.state_dict()) == {"fc.weight", "fc.bias"}


@given(
    b=st.integers(1, 3),
    z=st.integers(1, 5),
    r=st.integers(1, 5),
    a=st.integers(1, 3),
    seed=st.integers(0, 99),
)
@settings(deadline=None)
def test_h_and_z_apart_give_the_same_action_as_z_and_h_joined(b, z, r, a, seed):
    torch.manual_seed(seed)
    controller, latent, hidden = Controller(z, r, a), torch.randn(b, z), torch.randn(b, r)
    assert torch.equal(controller(hidden, latent), controller(torch.cat([latent, hidden], dim=-1)))


def test_the_action_is_linear_with_the_latent_in_front_and_nothing_is_squashed():
    controller = Controller(2, 1, 1)
    controller.fc.weight.data = torch.tensor([[1.0, 10.0, 100.0]])
    controller.fc.bias.data = torch.tensor([1000.0])
    action = controller(torch.tensor([[4.0]]), torch.tensor([[2.0, 3.0]]))
    assert action.item() == 2 + 30 + 400 + 1000


def test_evaluation_and_training_mode_and_no_grad_give_the_same_action():
    controller, state = Controller(4, 8, 3), torch.randn(2, 12)
    trained = controller.train()(state)
    with torch.no_grad():
        assert torch.equal(controller.eval()(state), trained)


def test_gradients_reach_weight_bias_and_state():
    controller, state = Controller(4, 8, 3), torch.randn(2, 12, requires_grad=True)
    controller(state).square().sum().backward()
    assert state.grad is not None
    assert all(parameter.grad.abs().sum() > 0 for parameter in controller.parameters())


@pytest.mark.parametrize("layers", [[], [5], [6, 4]])
def test_an_mlp_is_one_argument_away(layers):
    controller = Controller(4, 8, 3, hidden_layers=layers)
    sizes = [12, *layers, 3]
    expected = sum((m + 1) * n for m, n in pairwise(sizes))
    assert sum(parameter.numel() for parameter in controller.parameters()) == expected
    z, h = torch.randn(2, 4), torch.randn(2, 8)
    assert torch.equal(controller(h, z), controller(torch.cat([z, h], -1)))
    assert controller(h, z).shape == (2, 3)
    is_linear = torch.allclose(controller(2 * h, 2 * z) + controller(0 * h, 0 * z), 2 * controller(h, z), atol=1e-5)
    assert is_linear == (layers == [])


@pytest.mark.parametrize("layers", [[], [5]])
def test_flattened_parameters_put_back_are_the_same_controller(layers):
    first, second, state = Controller(4, 8, 3, layers), Controller(4, 8, 3, layers), torch.randn(2, 12)
    assert not torch.equal(first(state), second(state))
    load_parameters(flatten_parameters(first.parameters()), second)
    assert torch.equal(first(state), second(state))


@pytest.mark.parametrize("length", [0, 38, 40])
def test_a_vector_of_another_length_is_refused_and_changes_nothing(length):
    controller = Controller(4, 8, 3)
    before = flatten_parameters(controller.parameters())
    with pytest.raises(ConfigError, match=f"39 parameters.*{length}"):
        load_parameters(torch.zeros(length).numpy(), controller)
    assert (flatten_parameters(controller.parameters()) == before).all()


@pytest.mark.parametrize("layers", [[], [5], [6, 4]])
def test_a_population_acts_as_each_of_its_controllers_does_alone(layers):
    controllers = [Controller(4, 8, 3, layers) for _ in range(3)]
    population = Population(Controller(4, 8, 3, layers), [flatten_parameters(c.parameters()) for c in controllers])
    rows, states = torch.tensor([2, 0, 2, 1]), torch.randn(4, 12)
    with torch.no_grad():
        actions = population.act(population.gather(rows), states)
        alone = torch.stack([controllers[row](state[None])[0] for row, state in zip(rows, states, strict=True)])
    torch.testing.assert_close(actions, alone, atol=1e-5, rtol=1e-4)
    assert len(population) == 3


@pytest.mark.parametrize("sizes", [(0, 8, 3), (4, -1, 3), (4, 8, 0), (4, 8, 3, [0])])
def test_an_empty_layer_is_refused(sizes):
    with pytest.raises(ConfigError, match="Controller"):
        Controller(*sizes)


def test_the_papers_controllers_have_867_and_1088_parameters():
    car = Controller(32, 256, 3)
    doom = Controller(64, 512, 1, use_cell=True, bias=False)
    assert [len(flatten_parameters(c.parameters())) for c in (car, doom)] == [867, 1088]


@given(bias=st.booleans(), layers=st.sampled_from([(), (5,)]))
def test_with_the_cell_state_the_order_is_z_h_c(bias, layers):
    controller = Controller(4, 8, 3, layers, use_cell=True, bias=bias)
    z, h, c = torch.randn(2, 4), torch.randn(2, 8), torch.randn(2, 8)
    joined = torch.cat([z, h, c], -1)
    assert torch.equal(controller(joined), controller(h, z, c))
    assert torch.equal(controller.joined(z, h, c), joined)
    weight = next(controller.parameters())
    with torch.no_grad():
        weight[:, 4:].zero_()
    assert torch.equal(controller(h, z, c), controller(h + 1, z, c - 1)), "z comes first"


def test_a_controller_that_sees_c_does_not_act_without_it():
    with pytest.raises(ConfigError, match=r"call it with \(h, z, c\)"):
        Controller(4, 8, 3, use_cell=True)(torch.randn(2, 8), torch.randn(2, 4))
    with pytest.raises(ConfigError, match="only where h is"):
        Controller(4, 0, 3, use_cell=True)


@pytest.mark.parametrize("layers", [(), (5,), (5, 6)])
@pytest.mark.parametrize("bias", [True, False])
def test_a_population_with_the_cell_state_acts_as_its_members(layers, bias):
    members = [Controller(4, 8, 3, layers, use_cell=True, bias=bias) for _ in range(3)]
    population = Population(members[0], [flatten_parameters(c.parameters()) for c in members])
    states, rows = torch.randn(4, 20), torch.tensor([2, 0, 1, 1])
    together = Population.act(population.gather(rows), states)
    for row, state, action in zip(rows, states, together, strict=True):
        if row:  # the template has been given the first member's parameters, which are its own
            torch.testing.assert_close(action, members[row](state[None])[0])


def test_the_settings_make_a_controller_of_the_same_architecture():
    controller = Controller(4, 8, 3, (5,), use_cell=True, bias=False)
    again = Controller(**controller.settings)
    assert [p.shape for p in again.parameters()] == [p.shape for p in controller.parameters()]
    assert again.settings == controller.settings
