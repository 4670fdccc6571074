"""M: the sequence model, the cell, and that the two are the same model."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from world_models.errors import ConfigError
from world_models.models.mdrnn import MDRNN, MDRNNCell, _MDRNNBase

torch.set_num_threads(1)
T, B, Z, A, R, K = 4, 2, 32, 3, 256, 5


@pytest.fixture
def model():
    torch.manual_seed(0)
    return MDRNN(latents=Z, actions=A, hiddens=R, gaussians=K)


@pytest.fixture
def cell():
    torch.manual_seed(0)
    return MDRNNCell(latents=Z, actions=A, hiddens=R, gaussians=K)


def sequences(t=T, b=B, z=Z, a=A, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(t, b, a, generator=generator), torch.randn(t, b, z, generator=generator)


def copied_by_hand(batch_rnn: MDRNN) -> MDRNNCell:
    """The weight transfer as the specification writes it."""
    cell_rnn = MDRNNCell(**batch_rnn.sizes)
    cell_rnn.rnn.weight_ih.data.copy_(batch_rnn.rnn.weight_ih_l0.data)
    cell_rnn.rnn.weight_hh.data.copy_(batch_rnn.rnn.weight_hh_l0.data)
    cell_rnn.rnn.bias_ih.data.copy_(batch_rnn.rnn.bias_ih_l0.data)
    cell_rnn.rnn.bias_hh.data.copy_(batch_rnn.rnn.bias_hh_l0.data)
    cell_rnn.gmm_linear.load_state_dict(batch_rnn.gmm_linear.state_dict())
    return cell_rnn


def unrolled(cell, actions, latents):
    hidden = cell.get_init_hidden(actions.shape[1])
    outs = []
    for action, latent in zip(actions, latents, strict=True):
        *out, hidden = cell(action, latent, hidden)
        outs.append(out)
    return [torch.stack(column) for column in zip(*outs, strict=True)]


def test_the_sequence_model_gives_the_documented_shapes(model):
    mus, sigmas, logpi, rs, ds = model(*sequences())
    assert mus.shape == sigmas.shape == (T, B, K, Z)
    assert logpi.shape == (T, B, K)
    assert rs.shape == ds.shape == (T, B)


def test_the_cell_gives_the_documented_shapes(cell):
    actions, latents = sequences()
    mus, sigmas, logpi, r, d, (h, c) = cell(actions[0], latents[0], cell.get_init_hidden(B))
    assert mus.shape == sigmas.shape == (B, K, Z)
    assert logpi.shape == (B, K)
    assert r.shape == d.shape == (B,)
    assert h.shape == c.shape == (B, R)


@pytest.mark.parametrize("make", [MDRNN, MDRNNCell])
def test_attributes_and_the_size_of_the_head_are_the_documented_ones(make):
    built = make(4, 2, 8, 3)
    assert (built.latents, built.actions, built.hiddens, built.gaussians) == (4, 2, 8, 3)
    assert built.gmm_linear.in_features == 8 and built.gmm_linear.out_features == (2 * 4 + 1) * 3 + 2
    assert isinstance(built.rnn, torch.nn.LSTM if make is MDRNN else torch.nn.LSTMCell)
    assert isinstance(built, _MDRNNBase)
    assert {name.split(".")[0] for name in built.state_dict()} == {"rnn", "gmm_linear"}


def test_the_documented_size_has_384071_parameters(model, cell):
    lstm, head = 4 * R * (Z + A + R) + 2 * 4 * R, (R + 1) * ((2 * Z + 1) * K + 2)
    for built in (model, cell):
        assert sum(parameter.numel() for parameter in built.parameters()) == lstm + head == 384_071


def test_mixture_weights_are_probabilities_and_sigmas_positive(model):
    actions, latents = sequences()
    _, sigmas, logpi, _, _ = model(10 * actions, 10 * latents)
    assert (sigmas > 0).all()
    torch.testing.assert_close(logpi.exp().sum(-1), torch.ones(T, B))


def test_the_head_is_split_as_means_sigmas_weights_reward_terminal():
    z, k = 2, 3
    cell = MDRNNCell(z, 1, 4, k)
    torch.nn.init.zeros_(cell.gmm_linear.weight)
    cell.gmm_linear.bias.data = torch.arange(float((2 * z + 1) * k + 2)) / 10
    bias = cell.gmm_linear.bias.detach()
    mus, sigmas, logpi, r, d, _ = cell(torch.zeros(1, 1), torch.zeros(1, z), cell.get_init_hidden())
    torch.testing.assert_close(mus[0], bias[: k * z].view(k, z))
    torch.testing.assert_close(sigmas[0], bias[k * z : 2 * k * z].view(k, z).exp())
    torch.testing.assert_close(logpi[0], bias[2 * k * z : 2 * k * z + k].log_softmax(-1))
    assert (r.item(), d.item()) == pytest.approx((bias[-2].item(), bias[-1].item()))


@pytest.mark.parametrize("make", [MDRNN, MDRNNCell])
def test_the_initial_hidden_state_is_zeros_of_the_modules_kind_and_never_shared(make):
    built = make(4, 2, 8, 3)
    h, c = built.get_init_hidden(5)
    assert h.shape == c.shape == (5, 8) and not h.any() and not c.any()
    assert built.get_init_hidden()[0].shape == (1, 8)
    h += 1
    assert not c.any() and not built.get_init_hidden(5)[0].any()
    assert built.double().get_init_hidden()[0].dtype == torch.float64
    assert built.to("meta").get_init_hidden()[0].device.type == "meta"


def test_the_base_alone_cannot_be_called():
    base = _MDRNNBase(4, 2, 8, 3)
    with pytest.raises(NotImplementedError):
        base(torch.zeros(1, 1, 2), torch.zeros(1, 1, 4))


@pytest.mark.parametrize("make", [_MDRNNBase, MDRNN, MDRNNCell])
@pytest.mark.parametrize("name", ["latents", "actions", "hiddens", "gaussians"])
def test_a_size_below_one_is_refused_by_name(make, name):
    sizes = {"latents": 4, "actions": 2, "hiddens": 8, "gaussians": 3, name: 0}
    with pytest.raises(ConfigError, match=name):
        make(**sizes)


def test_gradients_reach_every_parameter_of_the_sequence_model_and_its_inputs(model):
    actions, latents = (each.requires_grad_() for each in sequences())
    mus, sigmas, logpi, rs, ds = model(actions, latents)
    (mus.sum() + sigmas.sum() + (logpi * torch.arange(K)).sum() + rs.sum() + ds.sum()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, f"{name} has no gradient"
    assert actions.grad.abs().sum() > 0 and latents.grad.abs().sum() > 0


def test_gradients_reach_every_parameter_of_the_cell_through_its_state(cell):
    actions, latents = sequences()
    mus, sigmas, logpi, rs, ds = unrolled(cell, actions, latents)
    (mus.sum() + sigmas.sum() + (logpi * torch.arange(K)).sum() + rs.sum() + ds.sum()).backward()
    for name, parameter in cell.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, f"{name} has no gradient"


def test_the_prediction_at_t_depends_on_the_past_and_not_on_the_future(model):
    actions, latents = sequences()
    mus = model(actions, latents)[0]
    later = latents.clone()
    later[2] += 1
    changed = model(actions, later)[0]
    assert torch.equal(changed[:2], mus[:2])
    assert not torch.equal(changed[2], mus[2]) and not torch.equal(changed[3], mus[3])


def test_an_action_changes_the_prediction(model):
    actions, latents = sequences()
    assert not torch.equal(model(actions + 1, latents)[0][0], model(actions, latents)[0][0])


def test_sequences_of_a_batch_do_not_mix(model):
    actions, latents = sequences()
    together, alone = model(actions, latents)[0][:, :1], model(actions[:, :1], latents[:, :1])[0]
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)


def test_the_cell_returns_a_new_state_and_leaves_the_old_one_as_it_was(cell):
    actions, latents = sequences()
    h, c = cell.get_init_hidden(B)
    new_h, new_c = cell(actions[0], latents[0], (h, c))[-1]
    assert not h.any() and not c.any()
    assert new_h.abs().sum() > 0 and new_c.abs().sum() > 0


def test_the_cell_remembers_nothing_but_the_state_it_is_given(cell):
    actions, latents = sequences()
    start = cell.get_init_hidden(B)
    first = cell(actions[0], latents[0], start)
    cell(actions[1], latents[1], first[-1])
    again = cell(actions[0], latents[0], start)
    assert torch.equal(first[0], again[0]) and torch.equal(first[-1][0], again[-1][0])


def test_another_hidden_state_gives_another_prediction(cell):
    actions, latents = sequences()
    state = cell(actions[0], latents[0], cell.get_init_hidden(B))[-1]
    fresh = cell(actions[1], latents[1], cell.get_init_hidden(B))[0]
    carried = cell(actions[1], latents[1], state)[0]
    assert not torch.allclose(fresh, carried, atol=1e-4)


def test_the_hidden_state_depends_on_action_and_latent(cell):
    actions, latents = sequences()
    states = [
        cell(action, latent, cell.get_init_hidden(B))[-1][0]
        for action, latent in [(actions[0], latents[0]), (actions[1], latents[0]), (actions[0], latents[1])]
    ]
    assert not torch.allclose(states[0], states[1]) and not torch.allclose(states[0], states[2])


@pytest.mark.parametrize("transfer", [copied_by_hand, MDRNNCell.from_mdrnn])
def test_the_cell_with_the_weights_of_the_sequence_model_equals_it_step_by_step(model, transfer):
    actions, latents = sequences(t=8)
    cell = transfer(model)
    for stepped, whole in zip(unrolled(cell, actions, latents), model(actions, latents), strict=True):
        assert torch.allclose(stepped, whole, atol=1e-4, rtol=1e-3)


@settings(max_examples=20, deadline=None)
@given(
    t=st.integers(1, 5), b=st.integers(1, 3), z=st.integers(1, 6), a=st.integers(1, 4), r=st.integers(1, 9),
    k=st.integers(1, 4), seed=st.integers(0, 99),
)  # fmt: skip
def test_cell_and_sequence_model_agree_at_any_sizes(t, b, z, a, r, k, seed):
    torch.manual_seed(seed)
    model = MDRNN(z, a, r, k)
    actions, latents = sequences(t, b, z, a, seed)
    stepped = unrolled(MDRNNCell.from_mdrnn(model), actions, latents)
    for one, other in zip(stepped, model(actions, latents), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_a_state_that_is_not_carried_does_not_equal_the_sequence_model(model):
    actions, latents = sequences()
    cell, whole = MDRNNCell.from_mdrnn(model), model(actions, latents)[0]
    start = cell.get_init_hidden(B)
    forgotten = [cell(actions[t], latents[t], start)[0] for t in range(T)]
    assert torch.allclose(forgotten[0], whole[0], atol=1e-4)
    assert not any(torch.allclose(forgotten[t], whole[t], atol=1e-4) for t in range(1, T))


def test_the_cell_has_a_copy_of_the_weights_in_their_number_format_and_mode(model):
    cell = MDRNNCell.from_mdrnn(model.eval().double())
    assert cell.gmm_linear.weight.dtype == cell.rnn.weight_ih.dtype == torch.float64 and not cell.training
    before = copy.deepcopy(model.state_dict())
    for parameter in cell.parameters():
        parameter.data.zero_()
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
