"""The façade: what it gives equals what the parts, the dream's environment and the evaluator give."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch

import world_models
from tests.dreams import random_cell, save_dream
from tests.envs.test_dream_vector_env import ending_m
from tests.small_envs import PICK, STEER
from tests.small_runs import GAUSSIANS, HIDDENS, LATENTS, save_controller, save_run
from world_models import cli
from world_models.datasets.dream_starts import starts_path
from world_models.errors import ActionSpaceError, CheckpointError, ConfigError, ObservationError, WorldModelsError
from world_models.models.load import load_cell, load_vae
from world_models.runs.evaluation import evaluate_recipe, run_recipe
from world_models.utils.run_dir import STAGES, best_path, load_checkpoint
from world_models.vision.frames import frames_from_images
from world_models.vision.latents import encode
from world_models.vision.resize import resize_frames
from world_models.world_model import WorldModel, load

ROOT = Path(__file__).parents[1]
ID = "world_models/Dream-v0"
KINDS: list[Callable] = [np.asarray, torch.as_tensor]
AXES = [(), (3,), (2, 3)]


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with everything, whose dreams end now and then."""
    folder = save_dream(tmp_path_factory.mktemp("run"), ending_m(), terminal_trained=True)
    save_controller(folder, env_name=STEER)
    return folder


@pytest.fixture(scope="module")
def model(logdir: Path) -> WorldModel:
    return world_models.load(logdir)


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def pictures(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def number(value: object) -> np.ndarray:
    return value.numpy() if isinstance(value, torch.Tensor) else np.asarray(value)


# -- loading --------------------------------------------------------------------------------------------


def test_importing_the_package_imports_no_pytorch_until_a_name_is_used():
    program = (
        "import sys, world_models\n"
        "assert 'torch' not in sys.modules and {'load', 'WorldModel'} <= set(world_models.__all__)\n"
        "from world_models import WorldModel\n"
        "assert world_models.load.__module__ == WorldModel.__module__ == 'world_models.world_model'\n"
        "assert 'torch' in sys.modules\n"
        "try:\n    world_models.lod\nexcept AttributeError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "module 'world_models' has no attribute 'lod'\n", done.stderr


@pytest.mark.parametrize(("name", "sizes"), [("carracing", (32, 256, 3)), ("takecover", (64, 512, 1))])
def test_the_clones_agents_are_loaded_by_their_names(name: str, sizes: tuple[int, ...]):
    model = load(name)
    assert (model.cell.latents, model.cell.hiddens, model.cell.actions) == sizes
    assert (
        model.controller is not None
        and model.env_name == load_checkpoint(ROOT / "checkpoints" / name / "ctrl" / "best.tar")["env_name"]
    )
    seen = model.encode(pictures(2, 64, 64, 3))
    assert len(model.dream(seen, np.zeros((5, 2, sizes[2])), terminal="never")) == 5


def test_a_folder_goes_before_an_agent_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    save_run(tmp_path / "carracing")
    monkeypatch.chdir(tmp_path)
    assert load("carracing").cell.latents == LATENTS


def test_an_unknown_name_is_told_what_there_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    with pytest.raises(
        CheckpointError, match="no folder 'mario', and the trained agents here are carracing, takecover"
    ):
        load("mario")
    monkeypatch.setattr("world_models.utils.shipped.SHIPPED", tmp_path)
    with pytest.raises(CheckpointError, match="no folder 'carracing', and no trained agents lie here"):
        load("carracing")
    with pytest.raises(CheckpointError, match=r"vae/best\.tar does not exist: train that stage first"):
        load(tmp_path)


def test_parts_that_do_not_fit_are_refused(tmp_path: Path, model: WorldModel):
    from tests.small_runs import save_mdrnn

    with pytest.raises(CheckpointError, match=f"V has {LATENTS} latents and M {LATENTS + 1}"):
        WorldModel(model.vae, save_mdrnn(tmp_path, latents=LATENTS + 1))


# -- V --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("axes", AXES, ids=str)
def test_frames_are_encoded_and_decoded_with_any_leading_axes(
    model: WorldModel, logdir: Path, axes: tuple[int, ...], kind: Callable
):
    frames = pictures(*axes, 64, 64, 3)
    vae = load_vae(logdir)
    mu, _ = encode(vae, torch.from_numpy(frames))
    z, drawn, again = (model.encode(kind(frames), *seed) for seed in ((), (5,), (5,)))
    assert type(z) is type(drawn) is type(kind(frames)) and z.shape == (*axes, LATENTS)
    np.testing.assert_array_equal(number(z), mu.numpy())
    assert (number(drawn) == number(again)).all() and not (number(drawn) == number(z)).any()
    seen = model.decode(z)
    assert type(seen) is type(z) and seen.shape == frames.shape and number(seen).dtype == np.uint8
    with torch.no_grad():
        expected = frames_from_images(vae.decoder(mu.reshape(-1, LATENTS)))
    np.testing.assert_array_equal(number(seen).reshape(expected.shape), expected)


def test_native_pictures_are_cut_and_resized_as_for_driving():
    model, native = load("carracing"), pictures(2, 96, 96, 3)
    np.testing.assert_array_equal(model.encode(native), model.encode(resize_frames(native, rows=84)))


@pytest.mark.parametrize(
    "frames", [noise(64, 64, 3), pictures(64, 64), pictures(64, 64, 4)], ids=["float", "gray", "4"]
)
def test_what_is_no_picture_is_refused(model: WorldModel, frames: np.ndarray):
    with pytest.raises(ObservationError, match="give uint8 pictures"):
        model.encode(frames)


# -- M --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("axes", AXES, ids=str)
def test_a_step_is_ms_with_any_leading_axes(model: WorldModel, logdir: Path, axes: tuple[int, ...], kind: Callable):
    z, action = kind(noise(*axes, LATENTS)), kind(noise(*axes, 2, seed=1))
    state = tuple(kind(noise(*axes, HIDDENS, seed=seed)) for seed in (2, 3))
    told = model.step(z, action, state)
    rows = [torch.as_tensor(each).reshape(-1, each.shape[-1]) for each in (action, z, *state)]
    with torch.no_grad():
        *expected, hidden = load_cell(logdir)(rows[0], rows[1], (rows[2], rows[3]))
    shapes = [(GAUSSIANS, LATENTS), (GAUSSIANS, LATENTS), (GAUSSIANS,), (), ()]
    expected[4] = expected[4].sigmoid()
    for mine, theirs, shape in zip(told[:5], expected, shapes, strict=True):
        assert type(mine) is type(z) and mine.shape == (*axes, *shape)
        np.testing.assert_array_equal(number(mine).reshape(theirs.shape), theirs.numpy())
    for mine, theirs in zip(told.state, hidden, strict=True):
        assert mine.shape == (*axes, HIDDENS)
        np.testing.assert_array_equal(number(mine).reshape(theirs.shape), theirs.numpy())
    assert told.sample(seed=1).shape == z.shape


def test_the_state_is_handed_on_and_begins_with_zeros(model: WorldModel):
    z, actions = noise(6, LATENTS), noise(6, 2, seed=1)
    with torch.no_grad():
        mus, *_, rewards, _ = model.mdrnn(torch.from_numpy(actions)[:, None], torch.from_numpy(z)[:, None])
    state = None
    for t in range(6):
        told = model.step(z[t], actions[t], state)
        np.testing.assert_allclose(told.mus, mus[t, 0], atol=1e-6)
        assert told.reward == pytest.approx(float(rewards[t, 0]), abs=1e-6)
        state = told.state


def test_one_action_goes_with_many_latents(model: WorldModel):
    z, action = noise(4, LATENTS), noise(2)
    many, single = model.step(z, action), model.step(z[2], action)
    np.testing.assert_allclose(many.mus[2], single.mus, atol=1e-6)
    with pytest.raises(ConfigError, match=r"The shapes \(3, 2\), \(4, 4\).* do not fit together"):
        model.step(z, noise(3, 2))
    with pytest.raises(ActionSpaceError, match="no action of"):
        model.step(z, noise(4, 3))


def test_draws_come_from_the_mixture_and_their_seed(model: WorldModel):
    told = model.step(noise(500, LATENTS) * 0, noise(500, 2) * 0)
    first, again, other = (told.sample(seed=seed) for seed in (1, 1, 2))
    assert (first == again).all() and not (first == other).any()
    weights = np.exp(told.logpi)[..., None]
    np.testing.assert_allclose(first.mean(0), (weights * told.mus).sum(1)[0], atol=0.3)
    assert told.sample(temperature=1e-3, seed=1).std(0).max() < first.std(0).min()
    torch.manual_seed(3)
    assert not (told.sample() == told.sample()).any()


# -- dreams ---------------------------------------------------------------------------------------------


def stepped(env: gymnasium.Env, seed: int, actions: np.ndarray) -> dict[str, list]:
    """What the environment gives from a reset on, until it ends."""
    told: dict[str, list] = {
        "states": [env.reset(seed=seed)[0]],
        "rewards": [],
        "terminals": [],
        "ends": [],
        "clamped": [],
    }
    for action in actions:
        state, reward, terminated, _, info = env.step(action)
        for name, value in (("states", state), ("rewards", reward), ("terminals", terminated)):
            told[name].append(value)
        told["ends"].append(info["terminal_probability"]), told["clamped"].append(info["clamped"])
        if terminated:
            break
    return told


@pytest.mark.parametrize("temperature", [0.5, 1.3])
def test_a_dream_is_the_environments_step_by_step_to_the_bit(model: WorldModel, logdir: Path, temperature: float):
    env, actions, ended = gymnasium.make(ID, logdir=logdir, temperature=temperature), noise(40, 2), 0
    for seed in range(6):
        told = stepped(env, seed, actions)
        dreamt = model.dream(None, actions, temperature=temperature, seed=seed)
        np.testing.assert_array_equal(np.concatenate([dreamt.z, dreamt.h], -1), told["states"])
        np.testing.assert_array_equal(dreamt.rewards, told["rewards"])
        np.testing.assert_array_equal(dreamt.terminals, told["terminals"])
        np.testing.assert_allclose(dreamt.terminal_probability, told["ends"], rtol=1e-6)
        np.testing.assert_array_equal(dreamt.clamped, told["clamped"])
        np.testing.assert_array_equal(dreamt.actions, actions[: len(dreamt)].clip(-2, 2))
        assert dreamt.lengths == len(dreamt) and dreamt.returns == pytest.approx(sum(told["rewards"]))
        ended += int(told["terminals"][-1])
    assert ended > 0, "some end before their time"


def test_many_dreams_are_the_vector_environments_to_the_bit(model: WorldModel, logdir: Path):
    envs = gymnasium.make_vec(ID, num_envs=5, logdir=logdir, terminal="never")
    actions = noise(20, 5, 2)
    dreamt = model.dream(None, actions, seed=7, terminal="never")
    states = [envs.reset(seed=7)[0]]
    for t in range(20):
        state, rewards, *_ = envs.step(actions[t])
        states.append(state)
        np.testing.assert_array_equal(dreamt.rewards[t], rewards)
    np.testing.assert_array_equal(np.concatenate([dreamt.z, dreamt.h], -1), states)
    assert dreamt.actions.shape == (20, 5, 2) and (dreamt.lengths == 20).all()


def test_dreams_end_each_at_its_own_time(model: WorldModel):
    dreamt = model.dream(None, noise(40, 2), seed=list(range(12)))
    for lane in range(12):
        alone = model.dream(None, noise(40, 2), seed=lane)
        assert dreamt.lengths[lane] == len(alone)
        np.testing.assert_allclose(dreamt.z[: len(alone), lane], alone.z[: len(alone)], atol=1e-4)
        assert dreamt.returns[lane] == pytest.approx(float(alone.returns), abs=1e-4)
    assert len(dreamt) == dreamt.lengths.max() and len(set(dreamt.lengths.tolist())) > 2


def test_c_drives_where_nobody_else_does_as_in_dream_evaluate(model: WorldModel, logdir: Path, capsys):
    import json

    flags = ["--episodes", "4", "--seed", "3", "--max_steps", "30", "--terminal", "never", "--workers", "1", "--json"]
    assert cli.main(["dream", "evaluate", "--logdir", str(logdir), *flags]) == 0
    told = json.loads(capsys.readouterr().out)
    dreamt = model.dream(steps=30, seed=range(3, 7), terminal="never")
    np.testing.assert_allclose(dreamt.returns, told["returns"], rtol=0.02)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batched", [False, True])
def test_a_policy_sees_z_and_h_and_the_caller_gets_what_it_gave(model: WorldModel, kind: Callable, batched: bool):
    seen = []

    def policy(state):
        seen.append(state)
        return 0.1 * state[..., :2]

    start = kind(pictures(*[4] * batched, 64, 64, 3))
    dreamt = model.dream(start, policy, 5, terminal="never")
    lanes = (4,) if batched else ()
    assert all(type(each) is type(start) and each.shape == (*lanes, LATENTS + HIDDENS) for each in seen)
    for t, state in enumerate(seen):
        np.testing.assert_array_equal(number(state), np.concatenate([number(dreamt.z[t]), number(dreamt.h[t])], -1))
        np.testing.assert_array_equal(number(dreamt.actions[t]), number(0.1 * state[..., :2]))
    shapes = {name: value.shape for name, value in vars(dreamt).items()}
    assert {type(value) for value in vars(dreamt).values()} <= {type(start), np.int64, np.float64}
    assert shapes == {
        "z": (6, *lanes, LATENTS),
        "h": (6, *lanes, HIDDENS),
        "c": (6, *lanes, HIDDENS),
        "actions": (5, *lanes, 2),
        **dict.fromkeys(("rewards", "terminals", "terminal_probability", "clamped"), (5, *lanes)),
        **dict.fromkeys(("lengths", "returns"), lanes),
    }
    np.testing.assert_array_equal(number(dreamt.z[0]), number(model.encode(start)))
    assert not number(dreamt.h[0]).any()


def test_a_dream_can_begin_anywhere_and_have_many_futures(model: WorldModel):
    z, memory = noise(LATENTS), (noise(HIDDENS, seed=1), noise(HIDDENS, seed=2))
    futures = model.dream((z, memory), noise(6, 2), seed=range(5), terminal="never")
    assert (futures.z[0] == z).all() and (futures.c[0] == memory[1]).all()
    assert len(np.unique(futures.z[1], axis=0)) == 5
    expected = model.step(z, noise(6, 2)[0], memory)
    np.testing.assert_allclose(futures.h[1], np.repeat(expected.state.h[None], 5, 0), atol=1e-6)
    np.testing.assert_allclose(futures.rewards[0], np.repeat(expected.reward, 5), atol=1e-6)
    sure = model.dream((z, memory), noise(6, 2), seed=range(5), terminal="never", deterministic=True)
    assert len(np.unique(sure.z[6], axis=0)) == 1


def test_without_starts_a_dream_needs_one_and_no_latent_is_out_of_range(tmp_path: Path):
    save_run(tmp_path)
    model = load(tmp_path)
    with pytest.raises(ConfigError, match="no starts of dreams: give start"):
        model.dream(None, noise(3, 2))
    far = model.dream(100 * noise(LATENTS), noise(3, 2), temperature=1e4)
    assert np.abs(far.z).max() > 50 and not far.clamped.any()
    with pytest.raises(CheckpointError, match="has no C"):
        model.dream(noise(LATENTS))
    with pytest.raises(CheckpointError, match="no terminal head"):
        model.dream(noise(LATENTS), noise(3, 2), terminal="threshold")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"policy": noise(3, 2), "steps": 4}, "at most the 3 that there are actions for"),
        ({"policy": noise(3, 2), "steps": 0}, "steps=0 cannot work"),
        ({"policy": noise(3, 4, 2), "seed": [1, 2]}, "different numbers of dreams, 4 by actions, 2 by seed"),
        ({"policy": noise(3, 2), "temperature": 0.0}, r"temperature.*0\.0"),
        ({"policy": noise(3, 2), "start": noise(LATENTS + 1)}, r"start has the shapes \[\(5,\)"),
        ({"policy": lambda state: state[:3]}, "no action of"),
    ],
)
def test_what_a_dream_cannot_be_made_of_is_named(model: WorldModel, arguments: dict, says: str):
    with pytest.raises(WorldModelsError, match=says):
        model.dream(**arguments)


# -- whole numbers as actions ---------------------------------------------------------------------------


def test_discrete_actions_are_given_and_given_back_as_the_environments_own(tmp_path: Path):
    folder = save_dream(tmp_path, ending_m(3), PICK)
    save_controller(folder, actions=3, env_name=PICK)
    model, z = load(folder), noise(4, LATENTS)
    np.testing.assert_array_equal(
        model.step(z, np.array([3, 4, 5, 4])).mus, model.step(z, np.eye(3, dtype=np.float32)[[0, 1, 2, 1]]).mus
    )
    assert model.step(z[0], 5).mus.shape == (GAUSSIANS, LATENTS)
    env = gymnasium.make(ID, logdir=folder, terminal="never")
    plan = np.array([3, 5, 4, 4])
    np.testing.assert_array_equal(model.dream(None, plan, seed=2).rewards, stepped(env, 2, plan)["rewards"])
    dreamt = model.dream(None, lambda state: np.full(len(state), 4), 3, seed=[1, 2])
    assert (dreamt.actions == [0, 1, 0]).all()
    action = model.act(pictures(32, 32, 3))
    assert type(action) is int and env.action_space.contains(action)
    assert model.act(torch.from_numpy(pictures(2, 32, 32, 3)), reset=True).dtype == torch.int64
    with pytest.raises(ActionSpaceError, match="no action"):
        model.step(z[0], 7)


# -- driving --------------------------------------------------------------------------------------------


def test_driving_with_it_gives_the_evaluators_returns(model: WorldModel, logdir: Path):
    told = evaluate_recipe(run_recipe(logdir, STEER), 4, 100, workers=1, display=False)
    env = gymnasium.make(STEER)
    for seed, expected in zip(told["seeds"], told["returns"], strict=True):
        picture, _ = env.reset(seed=seed)
        total, over = 0.0, False
        model.reset()
        while not over:
            picture, reward, terminated, truncated, _ = env.step(model.act(picture))
            total, over = total + float(np.float32(reward)), terminated or truncated
        assert total == expected


def test_episodes_side_by_side_are_told_which_begin(model: WorldModel, logdir: Path):
    told = evaluate_recipe(run_recipe(logdir, STEER), 6, 100, workers=1, display=False)
    envs = [gymnasium.make(STEER) for _ in range(2)]
    seeds, returns, lanes = list(told["seeds"]), {}, [None, None]
    frames, first, totals = [None, None], [True, True], [0.0, 0.0]
    for lane in (0, 1):
        lanes[lane] = seeds.pop(0)
        frames[lane] = envs[lane].reset(seed=lanes[lane])[0]
    while len(returns) < 6:
        actions = model.act(torch.from_numpy(np.stack(frames)), reset=np.array(first))
        assert isinstance(actions, torch.Tensor) and actions.shape == (2, 2)
        first = [False, False]
        for lane, env in enumerate(envs):
            frames[lane], reward, terminated, _, _ = env.step(actions[lane].numpy())
            totals[lane] += float(np.float32(reward))
            if terminated:
                returns.setdefault(lanes[lane], totals[lane])
                lanes[lane] = seeds.pop(0) if seeds else lanes[lane]
                frames[lane], totals[lane], first[lane] = env.reset(seed=lanes[lane])[0], 0.0, True
    assert [returns[seed] for seed in told["seeds"]] == told["returns"]


def test_its_memory_is_a_state_that_a_dream_can_go_on_from(model: WorldModel):
    model.reset()
    assert model.state is None
    frames = pictures(2, 40, 48, 3)
    action = model.act(frames[0])
    expected = model.step(model.encode(frames[0]), action)
    np.testing.assert_allclose(model.state.h, expected.state.h, atol=0.02)  # V in bfloat16, where that is faster
    dreamt = model.dream((model.encode(frames[1]), model.state), noise(3, 2), terminal="never")
    assert dreamt.z.shape == (4, LATENTS) and (dreamt.h[0] == model.state.h.numpy()).all()
    with pytest.raises(ConfigError, match=r"M remembers 1 episodes: call reset\(\)"):
        model.act(frames)
    model.act(frames, reset=True)
    assert model.state.h.shape == (2, HIDDENS)


def test_latents_are_sampled_where_the_run_says_so(tmp_path: Path):
    folder = save_run(tmp_path, controller=True)
    path = best_path(folder, "ctrl")
    from world_models.utils.run_dir import save_checkpoint

    save_checkpoint(path, {**load_checkpoint(path), "sample_latents": True, "env_name": STEER})
    model, frame, acted = load(folder), pictures(40, 48, 3), []
    for seed in (1, 1, 2):
        model.reset(seed)
        acted.append(model.act(frame))
    assert (acted[0] == acted[1]).all() and not (acted[0] == acted[2]).all()


# -- saving ---------------------------------------------------------------------------------------------


def test_a_model_of_an_unknown_environment_takes_floats_as_they_are(tmp_path: Path):
    model = load(save_run(tmp_path))
    far = model.step(noise(LATENTS), np.float32([9, -9]))
    assert not (far.mus == model.step(noise(LATENTS), np.float32([2, -2])).mus).all()
    with pytest.raises(ConfigError, match=r"The actions have the shape \(3,\), and M takes \(\.\.\., 2\)"):
        model.step(noise(LATENTS), noise(3))
    with pytest.raises(ConfigError, match="does not say its environment"):
        model.step(noise(LATENTS), 1)


def test_what_is_saved_is_what_was_loaded_to_the_bit(model: WorldModel, logdir: Path, tmp_path: Path):
    model.save(tmp_path / "copy")
    for stage in STAGES:
        old, new = (load_checkpoint(best_path(folder, stage)) for folder in (logdir, tmp_path / "copy"))
        assert all(torch.equal(old["state_dict"].pop(name), value) for name, value in new.pop("state_dict").items())
        assert not old.pop("state_dict") and old.items() <= new.items()
    assert starts_path(tmp_path / "copy").is_file()
    copy, actions = load(tmp_path / "copy"), noise(9, 2)
    np.testing.assert_array_equal(copy.dream(None, actions).z, model.dream(None, actions).z)
    with pytest.raises(ConfigError, match=r"best\.tar is there already: name a new folder"):
        model.save(tmp_path / "copy")


def test_a_shipped_agent_comes_back_as_it_is_and_commands_read_it(tmp_path: Path):
    model = load("takecover")
    model.save(tmp_path / "run")
    again = load(tmp_path / "run")
    for part in ("vae", "mdrnn", "controller"):
        mine, theirs = getattr(model, part).state_dict(), getattr(again, part).state_dict()
        assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    assert cli.main(["export", "run", "--logdir", str(tmp_path / "run"), "--out", str(tmp_path / "packed")]) == 0
    assert load(tmp_path / "packed").env_name == model.env_name


def test_parts_of_ones_own_become_a_run_that_is_evaluated(model: WorldModel, tmp_path: Path, capsys):
    from world_models.models.mdrnn import MDRNN

    mdrnn = MDRNN(**random_cell().sizes)
    built = WorldModel(model.vae, mdrnn, model.controller, env_name=STEER)
    built.save(tmp_path / "run")
    assert load_checkpoint(best_path(tmp_path / "run", "ctrl"))["env_name"] == STEER
    flags = ["--logdir", str(tmp_path / "run"), "--episodes", "2", "--workers", "1", "--json"]
    assert cli.main(["evaluate", *flags]) == 0
    assert '"returns"' in capsys.readouterr().out
