"""TakeCover: ViZDoom's game as the paper's agent sees and plays it, and what it leaves behind: nothing."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

from world_models.envs.gym_env import GymImageEnv, GymLanes
from world_models.envs.registry import canonical_id, env_spec, make_gym
from world_models.executors.base import Job
from world_models.executors.local import ProcessExecutor
from world_models.rollout.collect import Recorder
from world_models.rollout.driver import Driver, Recipe
from world_models.types import Episode, EpisodeResult, Rollout
from world_models.utils.seeding import derive_seed

TAKE_COVER = "VizdoomTakeCover-v1"


vizdoom = pytest.importorskip("vizdoom", reason="ViZDoom is not installed")


@pytest.fixture(scope="module")
def env() -> Iterator[gymnasium.Env[Any, Any]]:
    made = make_gym("TakeCover")
    yield made
    made.close()


def play(env: gymnasium.Env[Any, Any], seed: int, most: int = 150) -> tuple[list[np.ndarray], list[float], bool]:
    """Frames, rewards and whether it ended, with actions that follow from the seed."""
    rng = np.random.default_rng(seed)
    frames, rewards, terminal = [env.reset(seed=seed)[0]], [], False
    while len(rewards) < most and not terminal:
        frame, reward, terminal, truncated, _ = env.step(int(rng.integers(3)))
        assert not truncated
        frames.append(frame)
        rewards.append(float(reward))
    return frames, rewards, terminal


def test_both_names_are_the_game_with_one_action_and_the_papers_cap() -> None:
    assert canonical_id("TakeCover") == canonical_id(TAKE_COVER) == TAKE_COVER
    spec = env_spec("TakeCover")
    assert spec == env_spec(TAKE_COVER) and spec.max_steps == 2100
    assert spec.adapter(gymnasium.spaces.Discrete(3)).size == 1


def test_an_episode_follows_from_its_seed_whatever_was_played_before(env: gymnasium.Env[Any, Any]) -> None:
    first = play(env, 5)[0]
    other = play(env, 6)[0]
    again = play(env, 5)[0]
    fresh = make_gym(TAKE_COVER)
    elsewhere = play(fresh, 5)[0]
    fresh.close()
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first, elsewhere)
    count = min(len(first), len(other))
    assert (np.stack(first[:count]) != np.stack(other[:count])).any((1, 2, 3)).mean() > 0.9


def test_each_tic_survived_gives_one_and_death_is_a_terminal(env: gymnasium.Env[Any, Any]) -> None:
    frames, rewards, terminal = play(env, 1, most=2100)
    assert terminal and set(rewards) == {1.0} and 50 < len(rewards) < 2000
    assert {frame.shape for frame in frames} == {(100, 160, 3)} and not frames[-1].any() and frames[-2].any()


def test_the_view_is_what_is_left_of_the_papers_when_the_status_bar_is_cut_off(env: gymnasium.Env[Any, Any]) -> None:
    made = gymnasium.make(TAKE_COVER, screen_resolution="RES_160X120", render_hud=True, doom_config_path=os.devnull)
    ours, _ = env.reset(seed=3)
    papers, _ = made.reset(seed=3)
    for action in (0, 1, 1, 2, 0) * 8:
        np.testing.assert_array_equal(ours, papers["screen"][:100])
        ours, papers = env.step(action)[0], made.step(action)[0]
    made.close()


@pytest.mark.parametrize(("action", "sign"), [(-1.0, 1), (0.0, 0), (1.0, -1)])
def test_minus_one_goes_left_plus_one_right_and_nought_stays(
    env: gymnasium.Env[Any, Any], action: float, sign: int
) -> None:
    game, variables = env.unwrapped.game, vizdoom.GameVariable  # type: ignore[attr-defined]

    def place() -> np.ndarray:
        return np.array([game.get_game_variable(v) for v in (variables.POSITION_X, variables.POSITION_Y)])

    env.reset(seed=0)
    angle = math.radians(game.get_game_variable(variables.ANGLE))
    before, native = place(), env_spec(TAKE_COVER).adapter(env.action_space).native(np.float32([[action]]))[0]
    for _ in range(15):
        env.step(int(native))
    to_the_left = float((place() - before) @ np.array([-math.sin(angle), math.cos(angle)]))
    assert np.sign(round(to_the_left)) == sign


def test_c_s_output_is_cut_at_a_third(env: gymnasium.Env[Any, Any]) -> None:
    wrapped = GymImageEnv(env)
    raw = np.array([-9.0, -0.34, -0.33, 0.0, 0.33, 0.34, 9.0])
    adapter = wrapped.adapter
    assert adapter.from_raw(torch.from_numpy(raw)[:, None])[:, 0].tolist() == [-1, -1, 0, 0, 0, 1, 1]
    buttons = env.unwrapped.button_map  # type: ignore[attr-defined]
    names = [str(button) for button in env.unwrapped.game.get_available_buttons()]  # type: ignore[attr-defined]
    pressed = [[n for n, on in zip(names, buttons[wrapped.native_action([x])], strict=True) if on] for x in (-1, 0, 1)]
    assert pressed == [["Button.MOVE_LEFT"], [], ["Button.MOVE_RIGHT"]]
    assert wrapped.reset(seed=0)[0].shape == wrapped.step([0.5])[0].shape == (64, 64, 3)


def test_lanes_play_as_one_game_alone_does_and_a_cut_is_no_terminal(env: gymnasium.Env[Any, Any]) -> None:
    kept: dict[int, Rollout] = {}
    driver = Driver(Recipe("TakeCover", policy="brownian", num_lanes=2, time_limit=60))

    def keep(result: EpisodeResult, rollout: Rollout) -> None:
        kept[result.episode.seed] = rollout

    results = driver.evaluate([Episode(0, seed) for seed in (1, 2, 3)], listeners=[Recorder(keep)])
    driver.close()
    assert [(r.ended_by, r.steps, r.episode_return) for r in results] == [("time_limit", 60, 60.0)] * 3
    view = GymImageEnv(env, raw=False)
    for seed, rollout in kept.items():
        assert not rollout.terminals.any() and set(rollout.actions.ravel()) <= {-1.0, 0.0, 1.0}
        frame, _ = view.reset(seed=seed)
        for stored, action in zip(rollout.observations, rollout.actions[:, 0], strict=True):
            np.testing.assert_array_equal(stored, frame)
            frame = view.step({-1.0: 2, 0.0: 0, 1.0: 1}[float(action)])[0]
        rng = np.random.default_rng(derive_seed("noise policy", seed))
        choices, holds = rng.integers(3, size=60), rng.integers(1, 11, size=60)
        np.testing.assert_array_equal(rollout.actions[:, 0], np.repeat(choices - 1, holds)[:60])


def test_nothing_is_left_where_it_is_played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lanes = GymLanes("TakeCover", 2)
    lanes.reset(np.arange(2), [1, 2])
    assert Path.cwd() == tmp_path
    lanes.step(np.arange(2), np.zeros((2, 1), np.float32))
    lanes.close()
    assert list(tmp_path.iterdir()) == []


def engines_of(pids: set[int]) -> set[int]:
    """Process ids of the games that these processes started."""
    found = set()
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                stat = (folder / "stat").read_text()
            except OSError:
                continue
            if "(vizdoom)" in stat and int(stat.rsplit(")", 1)[1].split()[1]) in pids:
                found.add(int(folder.name))
    return found


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are looked up in /proc, which is not there")
@pytest.mark.slow
def test_workers_that_are_stopped_take_their_games_with_them(tmp_path: Path) -> None:
    executor = ProcessExecutor(Recipe("TakeCover", policy="uniform", num_lanes=2, time_limit=20), 2)
    crew = {worker.process.pid for worker in executor._crew if worker.process.pid is not None}
    jobs = [Job("evaluate", {"episodes": [Episode(0, s), Episode(0, s + 1)], "time_limit": 20}) for s in (0, 2, 4, 6)]
    results = executor.run(jobs)
    engines = engines_of(crew)
    executor.close()
    assert [r.episode_return for each in results for r in each] == [20.0] * 8
    assert len(engines) == 4
    assert not any(Path(f"/proc/{pid}/exe").exists() for pid in engines)
