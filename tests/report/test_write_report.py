"""The report of a run: one page that needs no other file, with whatever the run has."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.doubles import make_rollouts
from tests.report_page import add_ctrl, add_mdrnn, add_vae, check_page, filmed
from world_models.errors import CheckpointError, DataError
from world_models.report import write_report
from world_models.report.sections.common import duration
from world_models.utils.run_dir import JsonlLog, log_path
from world_models.utils.run_settings import write_settings

torch.set_num_threads(1)


def test_a_whole_run_gives_pictures_curves_scores_and_a_video(tmp_path: Path) -> None:
    for add in (add_vae, add_mdrnn, add_ctrl):
        add(tmp_path / "run")
    make_rollouts(tmp_path / "data", [12, 15])
    summary = {
        "random": {"mean": -31.4, "std": 6.0, "episodes": 16, "returns": [-30.0, -32.0]},
        "trained": {"mean": 612.7, "std": 90.2, "episodes": 16, "returns": [600.0, 620.0], "seeds": [7, 8]},
        "backend": "gymnasium",
        "seconds": {"vae": 125.0, "ctrl": 600},
    }

    path = write_report(
        tmp_path / "run",
        tmp_path / "data",
        summary=summary,
        episode=filmed(5),
        episode_about="Seed 3.",
    )

    html, sources = check_page(path)
    assert path == tmp_path / "run" / "report" / "index.html"
    files = {file.name for file in path.parent.iterdir()}
    assert {"reconstructions.png", "dream.png", "episode.mp4", "vae_loss.png", "ctrl_reference.png"} <= files
    assert {"scores.png", "data_returns.png", "data_action_2.png", "traversals_1.png", "vae_kl_per_latent.png"} <= files
    for words in ("seed 7, 600", "seed 8, 620", "Seed 3.", "3 continuous", "clipped_tanh"):
        assert words in html
    for words in ("CarRacing-v3", "613 ± 90", "-31 ± 6", "+644", "gymnasium", "2 min 5 s", "1 min 23 s"):
        assert words in html
    assert sum(source.startswith("data:video/mp4") for source in sources) == 1
    assert 'class="missing">No ' not in html


def test_v_alone_gives_its_pictures_and_says_what_is_missing(tmp_path: Path) -> None:
    add_vae(tmp_path / "run")
    make_rollouts(tmp_path / "data", [3])

    html, _ = check_page(write_report(tmp_path / "run", tmp_path / "data", out=tmp_path / "out"))

    files = {file.name for file in (tmp_path / "out").iterdir()}
    assert "reconstructions.png" in files and "dream.png" not in files
    assert not (tmp_path / "run" / "report").exists()
    for words in (
        "M is not trained",
        "Not evaluated yet",
        "No episode was recorded",
        "C has no learning curve",
    ):
        assert words in html


@pytest.mark.parametrize("add", [add_mdrnn, add_ctrl], ids=["mdrnn", "ctrl"])
def test_any_stage_alone_is_enough_for_a_page(tmp_path: Path, add) -> None:
    add(tmp_path / "run")

    html, _ = check_page(write_report(tmp_path / "run"))

    assert "V is not trained" in html


def test_a_run_that_has_only_logs_yet_is_reported(tmp_path: Path) -> None:
    for epoch in (1, 2):
        JsonlLog(log_path(tmp_path, "vae")).write({"epoch": epoch, "train_loss": 3.0 / epoch})

    html, sources = check_page(write_report(tmp_path))

    # One chart over the whole width: light and dark, for a wide and for a narrow screen.
    assert "V is not trained" in html and len(sources) == 4


def test_another_environment_is_not_set_beside_the_carracing_reference(tmp_path: Path) -> None:
    add_ctrl(tmp_path, "CartPole-v1")

    html, _ = check_page(write_report(tmp_path))

    assert "CartPole-v1" in html and "paper's authors" not in html


def test_the_summary_of_the_run_is_read_and_what_it_lacks_is_left_out(tmp_path: Path) -> None:
    add_ctrl(tmp_path)
    (tmp_path / "summary.json").write_text(json.dumps({"trained": {"mean": 12.0}, "seconds": "unknown"}))

    html, _ = check_page(write_report(tmp_path))

    assert ">12<" in html and "random policy" not in html


def test_names_are_escaped(tmp_path: Path) -> None:
    add_ctrl(tmp_path, "<script>alert(1)</script>")

    html, _ = check_page(write_report(tmp_path))

    assert "&lt;script&gt;" in html


@pytest.mark.parametrize("exists", [True, False])
def test_an_empty_or_missing_folder_is_refused_and_nothing_is_written(tmp_path: Path, exists: bool) -> None:
    logdir = tmp_path / "run"
    if exists:
        logdir.mkdir()

    with pytest.raises(CheckpointError, match="nothing to report"):
        write_report(logdir)

    assert logdir.exists() == exists and not (logdir / "report").exists()


def test_a_data_folder_without_rollouts_is_refused(tmp_path: Path) -> None:
    add_vae(tmp_path / "run")

    with pytest.raises(DataError, match="data"):
        write_report(tmp_path / "run", tmp_path / "data")


def test_a_broken_summary_is_named(tmp_path: Path) -> None:
    add_ctrl(tmp_path)
    (tmp_path / "summary.json").write_text("{")

    with pytest.raises(DataError, match=r"summary\.json"):
        write_report(tmp_path)


@pytest.mark.parametrize(
    ("seconds", "words"), [(3.21, "3.2 s"), (59, "59 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")]
)
def test_durations_are_said_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_the_checkpoints_of_a_run_without_data_or_episode_are_reported_with_what_v_imagines(tmp_path: Path) -> None:
    for add in (add_vae, add_mdrnn, add_ctrl):
        add(tmp_path)

    html, _ = check_page(write_report(tmp_path))

    files = {file.name for file in (tmp_path / "report").iterdir()}
    assert {"imagined.png", "traversals_1.png"} <= files and "data_returns.png" not in files
    for words in ("without a data folder (--data_dir)", "No reconstructions", "No dream", "No episode was recorded"):
        assert words in html


def test_without_data_v_and_m_are_shown_on_the_filmed_episode(tmp_path: Path) -> None:
    for add in (add_vae, add_mdrnn, add_ctrl):
        add(tmp_path)

    html, _ = check_page(write_report(tmp_path, episode=filmed(12)))

    files = {file.name for file in (tmp_path / "report").iterdir()}
    assert {"reconstructions.png", "dream.png", "episode.mp4"} <= files
    assert "frames of the filmed episode" in html


def test_the_settings_of_the_run_stand_in_the_page_and_so_do_the_checkpoints_sizes(tmp_path: Path) -> None:
    add_vae(tmp_path)
    write_settings(tmp_path, "vae", {"learning_rate": 0.00037, "free_bits": 0.5, "noreload": True})

    html, _ = check_page(write_report(tmp_path))

    for words in ("learning rate</td><td>0.00037<", "nats a latent</td><td>0.5<", "latent size</td><td>4<", "torch"):
        assert words in html
    assert "noreload" not in html and "no settings.json" not in html


def test_rounds_are_a_table_that_says_which_is_used(tmp_path: Path) -> None:
    add_ctrl(tmp_path)
    rounds = [
        {"round": 1, "best_return": 623.6, "env_steps": 390_751, "episodes": 1024, "wall_seconds": 515.0},
        {"round": 2, "best_return": 801.2, "env_steps": 100, "episodes": 8, "wall_seconds": 7200.0},
    ]
    (tmp_path / "rounds.json").write_text(json.dumps({"rounds": rounds}))
    for steps, mean in ((100_000, 300.0), (390_751, 623.6)):
        JsonlLog(log_path(tmp_path / "round_1", "ctrl")).write({"env_steps": steps, "eval_mean": mean})

    html, _ = check_page(write_report(tmp_path))

    for words in ("2 (used)", "623.6", "390,751", "8 min 35 s", "2 h 0 min"):
        assert words in html
    assert (tmp_path / "report" / "rounds.png").is_file()


def test_what_evaluate_printed_is_read_as_the_trained_agents_score(tmp_path: Path) -> None:
    add_ctrl(tmp_path)
    score = {"env": "CarRacing-v3", "backend": "gymnasium", "mean": 900.1, "std": 20.0, "episodes": 100}
    (tmp_path / "evaluation.json").write_text(json.dumps(score | {"returns": [900.0, 901.0], "seeds": [1, 2]}))

    html, _ = check_page(write_report(tmp_path))

    assert "900 ± 20" in html and "100 episodes" in html and "gymnasium" in html


def test_an_environment_that_cannot_be_made_here_is_said_and_no_error(tmp_path: Path) -> None:
    add_ctrl(tmp_path, "NoSuchGame-v9")

    html, _ = check_page(write_report(tmp_path))

    assert "NoSuchGame-v9" in html and "cannot be made here" in html
