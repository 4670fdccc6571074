"""Every kind of broken environment, id and argument: one sentence, exit code 2, nothing driven and nothing written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests import broken_envs
from tests.broken_envs import named
from tests.cli_cases import Refused
from world_models import cli
from world_models.envs.contract import probe as probing

MOST_STEPS = probing.STEPS  # those of the probe

BROKEN = [
    ("Raises", ("cannot be made", "RuntimeError: no licence for this machine (raised in ", "broken_envs.py:")),
    ("Exits", ("cannot be made", "SystemExit: no licence (raised in ")),
    ("TypeErrorInside", ("cannot be made", "TypeError: object of type 'int' has no len() (raised in ")),
    ("NeedsPackage", ("needs the module 'nowhere_to_be_found', which is not installed", "broken_envs.py:")),
    ("NoEnvironment", ("cannot be made", "must inherit from the gymnasium.Env class")),
    ("BlindNoRenderMode", ("gives no pictures", "__init__ takes no render_mode", "render()")),
    ("BlindOnlyHuman", ("gives no pictures", 'metadata["render_modes"] lacks "rgb_array"')),
    ("DictActions", ("action space", "Dict", "gymnasium.wrappers.TransformAction")),
    ("ResetRaises", ("cannot be driven, its reset raised KeyError: 'map' (raised in ", "broken_envs.py:")),
    ("StepRaises", ("cannot be driven, its step raised ZeroDivisionError: of nothing (raised in ",)),
    ("NanReward", ("the reward nan at step 1", "mend its step()")),
    ("HugeReward", ("the reward inf at step 1", "finite float32")),
    ("ManyRewards", ("its step raised TypeError",)),
    ("NoModule", ("registered for nowhere_to_be_found:Thing", "no module named 'nowhere_to_be_found'", "PYTHONPATH")),
    ("NoClass", ("registered for tests.broken_envs:Thing", "has no attribute 'Thing'", "mend the entry_point")),
]
IDS = [
    ("ALE/Breakout-v5", ("not one of Gymnasium's own", "write ale_py:ALE/Breakout-v5")),
    ("BreakoutNoFrameskip-v4", ("write ale_py:BreakoutNoFrameskip-v4",)),
    ("MiniGrid-Empty-5x5-v0", ("write minigrid:MiniGrid-Empty-5x5-v0",)),
    ("highway-fast-v0", ("write highway_env:highway-fast-v0",)),
    ("FetchReach-v4", ("write gymnasium_robotics:FetchReach-v4",)),
    ("NoSuch-v0", ("does not exist", "module:id")),
    ("CartPol-v1", ("the nearest id is 'CartPole-v1'",)),
    ("LunarLander-v2", ("deprecated", "LunarLander-v3")),
    ("own:Thing-v0", ("no module named 'own'", "PYTHONPATH=. before the command")),
    ("nowhere_to_be_found:Thing-v0", ("no module named 'nowhere_to_be_found'", "put the folder", "PYTHONPATH")),
    ("slip:Thing-v0", ("cannot be looked up", "module slip raised SyntaxError", "slip.py:1")),
    ("lacking:Thing-v0", ("its module lacking needs the module 'nowhere_to_be_found'", "lacking.py:1")),
    ("silent:Thing-v0", ("the module silent was imported and registers no environment",)),
    ("tests.broken_envs:Rises-v0", ("the nearest id is 'Raises-v0'",)),
]
ARGUMENTS = [
    ('{"level": tru}', ("is no JSON", """--env_kwargs '{"continuous": true}'""")),
    ("[1]", ("env_kwargs=[1] is no JSON object",)),
    ("3", ("env_kwargs=3 is no JSON object",)),
    ('{"level": NaN}', ("cannot be kept in files",)),
    ('{"render_mode": "human"}', ("render_mode='human'", "leave it out")),
    ('{"levl": 2, "speed": 3}', ("has levl, speed, which", "does not take: its arguments are level")),
    ('{"level": 9}', ('with env_kwargs {"level": 9} cannot be made', "there is no level 9", "other --env_kwargs")),
]


@pytest.fixture(autouse=True)
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The steps that were taken; no probe is remembered."""
    broken_envs.STEPS.clear()
    monkeypatch.setattr(probing, "_probed", {})
    return broken_envs.STEPS


@pytest.mark.parametrize("command", ["collect", "run", "train"])
@pytest.mark.parametrize(("kind", "says"), BROKEN, ids=[kind for kind, _ in BROKEN])
def test_a_broken_environment_is_one_sentence_before_anything(
    refused: Refused, counted: list[str], command: str, kind: str, says: tuple[str, ...]
) -> None:
    refused(command, "--env", named(kind), "--preset", "tiny", "--data_dir", "data", "--logdir", "run", says=says)
    assert len(counted) <= MOST_STEPS
    assert not Path("data").exists() and not Path("run").exists()


@pytest.mark.parametrize(("env_id", "says"), IDS, ids=[env_id for env_id, _ in IDS])
def test_an_id_that_nobody_knows_says_what_to_write(
    refused: Refused, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, env_id: str, says: tuple[str, ...]
) -> None:
    modules = tmp_path / "modules"
    modules.mkdir()
    for name, text in (("slip", "1 +"), ("lacking", "import nowhere_to_be_found"), ("silent", "")):
        (modules / f"{name}.py").write_text(text)
    Path("own.py").write_text("")
    monkeypatch.setattr("sys.path", [str(modules), *[place for place in __import__("sys").path if place]])
    refused("collect", "--env", env_id, says=says)


@pytest.mark.parametrize(("text", "says"), ARGUMENTS)
def test_arguments_that_cannot_be_are_one_sentence(
    refused: Refused, counted: list[str], text: str, says: tuple[str, ...]
) -> None:
    refused("collect", "--env", named("Leveled"), "--env_kwargs", text, says=says)
    assert not counted


@pytest.mark.parametrize("kind", ["Sound", "NoRenderMode", "OnlyHuman"])
def test_what_has_pictures_for_observations_needs_no_render_mode(kind: str) -> None:
    flags = ["--env", named(kind), "--data_dir", "data", "--num_rollouts", "1", "--rollout_len", "3"]
    assert cli.main(["collect", *flags]) == 0
    assert np.load("data/rollout_00000.npz")["observations"].any()


def test_an_environment_is_probed_once_in_a_command(counted: list[str]) -> None:
    flags = ["--env", named("Sound"), "--data_dir", "data", "--num_rollouts", "2", "--rollout_len", "5"]
    assert cli.main(["collect", *flags]) == 0
    assert len(counted) == MOST_STEPS + 2 * 5
