"""Every exported graph under ONNX Runtime against the modules that training and driving use."""

from __future__ import annotations

import functools

import gymnasium
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("onnx", reason="the extra `web` is not installed")
pytest.importorskip("onnxscript", reason="the extra `web` is not installed")
pytest.importorskip("onnxruntime", reason="the extra `web` is not installed")

import onnx

from tests.web_cases import Session, Tensors, assert_near, random_inputs, session_of
from world_models.envs.actions import ActionAdapter
from world_models.models.controller import Controller
from world_models.models.mdrnn import MDRNN, MDRNNCell
from world_models.models.sampling import sample_mixture
from world_models.types import Mixture
from world_models.vision.VAE.ConvVAE import ConvVAE
from world_models.web.graphs import Graph, controller_graph, memory_graph, vae_graphs
from world_models.web.onnx_files import onnx_bytes

BOX = gymnasium.spaces.Box
# Z, A, R, K: the paper's CarRacing; the smallest; more actions than latents, one gaussian.
SIZES = [(32, 3, 256, 5), (1, 1, 1, 2), (3, 4, 7, 1)]
CAR = ActionAdapter(BOX(-1.0, 1.0, (3,)), ("tanh", "sigmoid", "clipped_tanh"))
WIDE = ActionAdapter(BOX(-3.0, 5.0, (3,)))
DISCRETE = ActionAdapter(gymnasium.spaces.Discrete(3, start=2))
SIDEWAYS = ActionAdapter(gymnasium.spaces.Discrete(3), line=(2, 0, 1))
CONTROLLERS = {
    "car": ((32, 256, 3), (), CAR),
    "mlp": ((8, 16, 3), (10, 6), WIDE),
    "without h": ((8, 0, 3), (), WIDE),
    "mlp without h": ((8, 0, 3), (5,), CAR),
    "discrete": ((8, 16, 3), (), DISCRETE),
    "sideways": ((64, 512, 1), (), SIDEWAYS),  # TakeCover's: sees M's cell state, has no bias
}


@functools.cache
def vae_of(latents: int) -> tuple[ConvVAE, dict[str, tuple[Graph, Session]]]:
    torch.manual_seed(latents)
    vae = ConvVAE(3, latents).eval()
    return vae, {graph.name: (graph, session_of(graph)) for graph in vae_graphs(vae)}


@functools.cache
def memory_of(sizes: tuple[int, int, int, int]) -> tuple[MDRNNCell, Graph, Session]:
    torch.manual_seed(sum(sizes))
    mdrnn = MDRNN(*sizes).eval()
    with torch.no_grad():  # as training leaves them: surer than the first weights are
        mdrnn.gmm_linear.weight.mul_(4)
    cell = MDRNNCell.from_mdrnn(mdrnn)
    graph = memory_graph(cell)
    return cell, graph, session_of(graph)


@functools.cache
def controller_of(name: str) -> tuple[Controller, ActionAdapter, Graph, Session]:
    sizes, layers, actions = CONTROLLERS[name]
    torch.manual_seed(5)
    paper = name == "sideways"
    controller = Controller(*sizes, hidden_layers=layers, use_cell=paper, bias=not paper).eval()
    graph = controller_graph(controller, actions.from_raw, hiddens=sizes[1] or 16)
    return controller, actions, graph, session_of(graph)


@torch.no_grad()
def dreamed(cell: MDRNNCell, x: Tensors) -> Tensors:
    """What M and `sample_mixture` give, by the graph's names."""
    mus, sigmas, logpi, reward, logit, (h, c) = cell(x["action"], x["z"], (x["h"], x["c"]))
    heat = float(x["temperature"])
    z, component = sample_mixture(Mixture(mus, sigmas, logpi), heat, x["pick"], x["noise"])
    tempered = logpi.exp() ** (1 / heat)
    return {
        "next_z": z,
        "reward": reward,
        "terminal": 1 / (1 + (-logit).exp()),
        "next_h": h,
        "next_c": c,
        "weights": tempered / tempered.sum(-1, keepdim=True),
        "component": component,
    }


@pytest.mark.parametrize("latents", [32, 1, 64])
@settings(max_examples=10)
@given(seed=st.integers(0, 2**31))
def test_encoder_and_decoder_are_those_of_v(latents: int, seed: int) -> None:
    vae, graphs = vae_of(latents)
    graph, session = graphs["encoder"]
    inputs = random_inputs(graph, seed)
    with torch.no_grad():
        mu, logsigma = vae.encoder(inputs["image"])
    assert_near(session(inputs), {"mu": mu, "logsigma": logsigma})
    graph, session = graphs["decoder"]
    inputs = random_inputs(graph, seed)
    inputs["z"] *= 3  # far out, where the picture is anything but grey
    with torch.no_grad():
        assert_near(session(inputs), {"image": vae.decoder(inputs["z"])})


@pytest.mark.parametrize("sizes", SIZES)
@settings(max_examples=30)
@given(seed=st.integers(0, 2**31), temperature=st.floats(0.1, 1.5))
def test_a_dream_step_is_that_of_m(sizes: tuple[int, int, int, int], seed: int, temperature: float) -> None:
    cell, graph, session = memory_of(sizes)
    inputs = random_inputs(graph, seed, temperature)
    assert_near(session(inputs), dreamed(cell, inputs))


@pytest.mark.parametrize("name", CONTROLLERS)
@settings(max_examples=20)
@given(seed=st.integers(0, 2**31))
def test_the_action_is_that_of_c_in_the_environments_space(name: str, seed: int) -> None:
    controller, actions, graph, session = controller_of(name)
    inputs = random_inputs(graph, seed)
    names = ("z", "h", "c") if controller.use_cell else ("z", "h") if controller.hidden_size else ("z",)
    seen = torch.cat([inputs[each] for each in names], -1)
    with torch.no_grad():
        wanted = actions.from_raw(controller(seen))
    got = session(inputs)
    assert_near(got, {"action": wanted})
    assert (got["action"] >= torch.from_numpy(actions.low)).all()
    assert (got["action"] <= torch.from_numpy(actions.high)).all()
    if name == "discrete":
        assert sorted(got["action"][0].tolist()) == [0, 0, 1]


def test_every_input_of_a_dream_step_counts() -> None:
    # Were an input lost on the way, or two of them exchanged, on both sides, the tests above would not see it.
    _, graph, session = memory_of(SIZES[0])
    inputs = random_inputs(graph, 1)
    before = session(inputs)
    touches = {
        "action": ("next_z", "reward", "terminal", "next_h", "next_c", "weights"),
        "z": ("next_z", "reward", "terminal", "next_h", "next_c", "weights"),
        "h": ("next_z", "reward", "terminal", "next_h", "next_c", "weights"),
        "c": ("next_z", "reward", "terminal", "next_h", "next_c", "weights"),
        "temperature": ("next_z", "weights"),
        "pick": ("next_z", "component"),
        "noise": ("next_z",),
    }
    assert list(touches) == list(graph.inputs)
    for name, touched in touches.items():
        changed = (inputs[name] + 0.5) % 1 if name == "pick" else inputs[name] + 0.5
        after = session(inputs | {name: changed})
        moved = {each for each in after if (after[each] - before[each]).abs().max() > 1e-4}
        assert moved - {"component"} == set(touched) - {"component"}, name
        if name == "pick":
            assert "component" in moved


@pytest.mark.parametrize("temperature", [0.1, 0.5, 1.0, 1.3])
def test_a_hundred_steps_by_its_own_controller_are_dreamed_alike(temperature: float) -> None:
    cell, memory, step = memory_of(SIZES[0])
    controller, actions, _, act = controller_of("car")
    torch.manual_seed(11)
    picks, noises = torch.rand(100, 1), torch.randn(100, 1, 32)
    ours = theirs = {name: torch.zeros(memory.inputs[name]) for name in ("z", "h", "c")}
    path = []
    for pick, noise in zip(picks, noises, strict=True):
        chances = {"temperature": torch.full((1, 1), temperature), "pick": pick, "noise": noise}
        with torch.no_grad():
            action = actions.from_raw(controller(theirs["h"], theirs["z"]))
        wanted = dreamed(cell, {"action": action, **theirs, **chances})
        got = step({"action": act(ours)["action"], **ours, **chances})
        assert_near(got, wanted, tolerance=1e-4)
        ours, theirs = ({name: out[f"next_{name}"] for name in ("z", "h", "c")} for out in (got, wanted))
        path.append(theirs["z"])
    assert torch.cat(path).std(0).min() > 0.1, "a dream that stands still shows nothing"


def test_half_weights_are_those_of_v_rounded_and_take_half_the_bytes() -> None:
    _, graphs = vae_of(32)
    for name, (graph, full) in graphs.items():
        data = onnx_bytes(graph, half_weights=True)
        assert len(data) < 0.55 * len(full.model)
        inputs = random_inputs(graph, 3)
        got = Session(data)(inputs)
        assert_near(got, full(inputs), tolerance=2e-3)
        with torch.no_grad():
            rounded = [p.half().float() if p.dim() > 1 else p for p in graph.module.parameters()]
            names = [key for key, _ in graph.module.named_parameters()]
            wanted = torch.func.functional_call(
                graph.module, dict(zip(names, rounded, strict=True)), tuple(inputs.values())
            )
        outputs = wanted if isinstance(wanted, tuple) else (wanted,)
        assert_near(got, dict(zip(graph.outputs, outputs, strict=True)))
        assert (got[graph.outputs[0]] - full(inputs)[graph.outputs[0]]).abs().max() > 1e-6, f"{name} was not rounded"


def test_a_weight_too_large_for_a_half_stays_whole() -> None:
    _, actions, graph, _ = controller_of("without h")
    big = Controller(8, 0, 3).eval()
    with torch.no_grad():
        big.fc.weight.fill_(70_000.0)
    session = session_of(controller_graph(big, actions.from_raw, 16), half_weights=True)
    inputs = random_inputs(graph, 0)
    assert torch.isfinite(session(inputs)["action"]).all()


def test_names_and_shapes_are_those_that_the_page_relies_on() -> None:
    number = "tensor(float)"
    _, graphs = vae_of(32)
    assert graphs["encoder"][1].shapes() == {
        "image": ((1, 3, 64, 64), number),
        "mu": ((1, 32), number),
        "logsigma": ((1, 32), number),
    }
    assert graphs["decoder"][1].shapes() == {"z": ((1, 32), number), "image": ((1, 3, 64, 64), number)}
    assert memory_of(SIZES[0])[2].shapes() == {
        "action": ((1, 3), number),
        "z": ((1, 32), number),
        "h": ((1, 256), number),
        "c": ((1, 256), number),
        "temperature": ((1, 1), number),
        "pick": ((1,), number),
        "noise": ((1, 32), number),
        "next_z": ((1, 32), number),
        "reward": ((1,), number),
        "terminal": ((1,), number),
        "next_h": ((1, 256), number),
        "next_c": ((1, 256), number),
        "weights": ((1, 5), number),
        "component": ((1,), "tensor(int64)"),
    }
    for name in ("car", "without h"):  # all three are inputs, also where C does not look at them
        shapes = controller_of(name)[3].shapes()
        assert list(shapes) == ["z", "h", "c", "action"]
        assert shapes["h"] == shapes["c"]


def test_a_file_is_plain_and_says_nothing_of_the_machine_it_comes_from() -> None:
    exported = [*vae_of(32)[1].values(), memory_of(SIZES[0])[1:], controller_of("car")[2:]]
    for graph, session in exported:
        for trace in (__file__, "world_models/", "site-packages", "File "):
            assert trace.encode() not in session.model
        model = onnx.load_from_string(session.model)
        onnx.checker.check_model(model, full_check=True)
        assert [(each.domain, each.version) for each in model.opset_import] == [("", 18)]
        assert not model.functions
        kinds = {node.op_type for node in model.graph.node}
        assert not kinds & {"Dropout", "BatchNormalization", "RandomNormal", "RandomNormalLike", "Loop", "If", "Scan"}
        weights = sum(parameter.numel() * 4 for parameter in graph.module.parameters())
        assert len(session.model) < weights + 16_000


@pytest.mark.parametrize("half_weights", [False, True])
def test_the_same_module_gives_the_same_bytes(half_weights: bool) -> None:
    _, graph, session = memory_of(SIZES[1])
    again = onnx_bytes(graph, half_weights)
    assert again == onnx_bytes(graph, half_weights)
    assert half_weights or again == session.model
