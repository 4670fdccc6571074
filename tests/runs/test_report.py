"""The report of a run has its agent drive the episode that it shows, and says so where it cannot."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.small_envs import STEER
from tests.small_runs import save_controller, save_run
from world_models import cli
from world_models.errors import CheckpointError
from world_models.rollout.driver import Driver, Recipe
from world_models.runs import report
from world_models.runs.evaluation import run_recipe
from world_models.runs.report import report_run
from world_models.types import Episode

torch.set_num_threads(1)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    save_run(tmp_path)
    save_controller(tmp_path, env_name=STEER)
    return tmp_path


def driven(run: Path, seed: int) -> str:
    (result,) = Driver(run_recipe(run)).evaluate([Episode(0, seed)])
    return f"{result.steps} frames. Seed {seed}, return {result.episode_return:.0f}."


def test_the_median_of_the_scored_episodes_is_shown(run: Path) -> None:
    scores = {"mean": 1.0, "episodes": 3, "seeds": [7, 8, 9], "returns": [3.0, 1.0, 2.0]}
    (run / "summary.json").write_text(json.dumps({"trained": scores}))

    html = report_run(run).read_text()

    assert driven(run, 9) + " The median of the 3 scored." in html
    assert (run / "report" / "episode.mp4").is_file()


def test_without_scores_it_is_the_first_seed_of_evaluation_and_a_named_seed_counts_before(run: Path) -> None:
    assert driven(run, 10_000) in report_run(run).read_text()
    assert driven(run, 3) in report_run(run, seed=3).read_text()


def test_a_random_policy_is_measured_where_the_score_has_none(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "_RANDOM_EPISODES", 2)
    scores = {"mean": 1.0, "episodes": 2, "seeds": [7, 8], "returns": [3.0, 1.0]}
    (run / "evaluation.json").write_text(json.dumps(scores))
    recipe = Recipe(run_recipe(run).env_name, "gymnasium", "uniform", draw=False)
    returns = [result.episode_return for result in Driver(recipe).evaluate([Episode(0, 7), Episode(0, 8)])]

    html = report_run(run).read_text()

    assert f"{sum(returns) / 2:.0f} ±" in html and "2 episodes, measured for this report" in html


def test_a_random_policy_that_was_scored_is_not_measured_again(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "evaluate_recipe", lambda *_, **__: pytest.fail("measured"))
    scores = {"trained": {"mean": 1.0}, "random": {"mean": -5.0, "episodes": 16}}

    assert "measured for this report" not in report_run(run, summary=scores).read_text()


def test_no_video_is_driven_where_none_is_wanted(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["report", "--logdir", str(run), "--no-video"]) == 0

    page = Path(capsys.readouterr().out.strip())
    assert "No episode was recorded" in page.read_text() and not (page.parent / "episode.mp4").exists()


def test_an_environment_that_is_not_installed_here_leaves_a_sentence(run: Path) -> None:
    save_controller(run, env_name="NoSuchGame-v9")
    assert "No episode could be driven here" in report_run(run).read_text()


def test_an_empty_folder_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="nothing to report"):
        report_run(tmp_path / "run")
    assert not list(tmp_path.iterdir())
