"""The façade dreams as `world_models/Dream-v0` does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from tests.small_runs import HIDDENS, LATENTS, save_run
from tests.world_model_values import ID, KINDS, noise, number, pictures, stepped
from world_models import cli
from world_models.errors import CheckpointError, ConfigError, WorldModelsError
from world_models.world_model import WorldModel, load


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
