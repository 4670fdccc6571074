"""`world-models dream train` and `dream evaluate`, and how they refuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli_cases import RUN, put_controller, put_run, put_vae, rollouts
from tests.dreams import hand_made, save_dream
from world_models import cli
from world_models.datasets.dream_starts import load_starts, starts_path
from world_models.runs.dream_table import as_markdown
from world_models.utils.run_dir import best_path, load_checkpoint

TINY = ("--generations", "2", "--pop_size", "4", "--samples", "2", "--max_steps", "5", "--workers", "1")
TINY += ("--eval_every", "1", "--eval_episodes", "2")


@pytest.fixture
def run() -> str:
    """A run that dreams of CartPole."""
    save_dream(RUN, hand_made((0.2, 0.8)), "CartPole-v1")
    return str(RUN)


def score(capsys: pytest.CaptureFixture[str], *argv: str) -> dict:
    capsys.readouterr()
    assert cli.main(["dream", "evaluate", *argv, "--workers", "1", "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_it_trains_and_scores_and_the_real_score_can_be_asked_for(run, capsys):
    assert cli.main(["dream", "train", "--logdir", run, "--temperature", "1.15", *TINY]) == 0
    facts = load_checkpoint(best_path(run, "ctrl"))
    assert (facts["trained_in"], facts["dream_temperature"], facts["env_name"]) == ("dream", 1.15, "CartPole-v1")
    arguments = ("--logdir", run, "--temperature", "1.15", "--episodes", "6", "--seed", "10000", "--max_steps", "5")
    told = score(capsys, *arguments)
    assert told == score(capsys, *arguments) | {"seconds": told["seconds"]}, "same seeds, same dreams"
    assert len(told["returns"]) == 6 and told["seeds"] == list(range(10_000, 10_006)) and told["backend"] == "dream"
    assert {"mean", "std", "clamped", "ended", "temperature", "versions"} <= told.keys()
    assert cli.main(["evaluate", "--logdir", run, "--episodes", "1", "--time_limit", "5", "--workers", "1"]) == 0


def test_a_finished_training_is_gone_on_with_and_out_is_a_run_of_its_own(run):
    assert cli.main(["dream", "train", "--logdir", run, "--out", "t1", *TINY]) == 0
    assert not best_path(run, "ctrl").exists()
    assert cli.main(["dream", "train", "--logdir", run, "--out", "t1", *TINY, "--generations", "3"]) == 0
    assert load_checkpoint(Path("t1/ctrl/checkpoint.tar"))["generation"] == 3


def test_the_table_has_a_row_a_temperature_and_goes_on_where_it_was_stopped(run, capsys):
    argv = ["dream", "table", "--logdir", run, "--out", "table", *TINY, "--episodes", "3"]
    assert cli.main([*argv, "--temperatures", "0.1"]) == 0
    first = Path("table/temperature_0.1/row.json")
    written = first.stat().st_mtime_ns
    capsys.readouterr()
    assert cli.main([*argv, "--temperatures", "0.1", "1.15"]) == 0
    assert first.stat().st_mtime_ns == written, "what was scored is not scored again"
    told = json.loads(Path("table/temperatures.json").read_text())
    assert [row["temperature"] for row in told["rows"]] == [0.1, 1.15] and told["env"] == "CartPole-v1"
    for row in told["rows"]:
        assert len(row["dreamed"]["returns"]) == len(row["real"]["returns"]) == 3
        assert (row["dreamed"]["temperature"], row["real"]["seeds"][0]) == (row["temperature"], 10_000)
    lines = capsys.readouterr().out.strip().splitlines()
    assert lines[0] == "| temperature | in the dream | in the environment |" and len(lines) == 4
    assert lines[3].startswith(f"| 1.15 | {told['rows'][1]['dreamed']['mean']:.0f} ± ")
    assert Path("table/temperatures.md").read_text().strip().splitlines() == lines
    assert cli.main([*argv, "--temperatures", "0.1", "--episodes", "4"]) == 0
    assert first.stat().st_mtime_ns != written, "with other episodes it is scored anew"


def test_take_covers_table_stands_beside_the_papers():
    row = {"temperature": 1.15, "dreamed": {"mean": 1279.0, "std": 776.0}, "real": {"mean": 832.0, "std": 507.0}}
    last = as_markdown([row], "VizdoomTakeCover-v1").splitlines()[-1]
    assert last == "| 1.15 | 1279 ± 776 | 832 ± 507 | 918 ± 546 | 1092 ± 556 |"


@pytest.mark.parametrize("temperatures", [["0"], ["1", "1"]])
def test_temperatures_that_cannot_be_are_refused_before_anything_is_learned(refused, run, temperatures):
    argv = ["dream", "table", "--logdir", run, "--out", "table", *TINY, "--temperatures", *temperatures]
    refused(*argv, says=("temperatures=",))
    assert not Path("table").exists()


def test_presets_give_cs_settings(run):
    argv = ["dream", "train", "--logdir", run, *TINY, "--preset", "takecover", "--components", "3"]
    assert cli.main(argv) == 0
    assert load_checkpoint(best_path(run, "ctrl"))["use_cell"] is True


def test_starts_are_made_from_data_where_they_are_missing(refused):
    put_run()
    rollouts()
    refused("dream", "evaluate", "--logdir", str(RUN), says=("starts.npz: there is no such file", "--data_dir"))
    common = ["--env", "CartPole-v1", "--logdir", str(RUN), "--workers", "1", "--max_steps", "4"]
    assert cli.main(["dream", "evaluate", *common, "--data_dir", "data", "--episodes", "2"]) == 0
    assert len(load_starts(starts_path(RUN)).first_mu) == 3


def test_training_m_leaves_starts_beside_it():
    put_vae()
    rollouts()
    from tests.cli_cases import train

    assert cli.main(train("--stage", "rnn")) == 0
    starts = load_starts(starts_path(RUN))
    facts = load_checkpoint(best_path(RUN, "mdrnn"))
    assert starts.fingerprint == facts["vae_fingerprint"] and starts.env_name == "Counting-v0"


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (("--temperature", "0"), ("temperature is 0.0", "above 0")),
        (("--temperature", "-1"), ("temperature is -1.0",)),
        (("--terminal", "threshold"), ("no terminal head", "terminal='never'")),
        (("--env", "Pendulum-v1"), ("in run", "2 actions", "Pendulum-v1 has 1")),
        (("--reward_limit", "-2"), ("reward_limit is -2.0",)),
        (("--threshold", "2"), ("threshold is 2.0",)),
    ],
)
@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_what_cannot_work_is_refused(run, refused, command, argv, says):
    put_controller(6)
    more = ("--noreload", *TINY) if command == "train" else ("--workers", "1")
    refused("dream", command, "--logdir", run, *more, *argv, says=says)


def test_a_controller_of_reality_is_kept(run, refused):
    put_controller(6)
    refused("dream", "train", "--logdir", run, *TINY, says=("evolved in reality", "--noreload"))


def test_without_a_controller_there_is_nothing_to_score(run, refused):
    refused("dream", "evaluate", "--logdir", run, says=("ctrl/best.tar", "does not exist"))
    refused("dream", "evaluate", "--logdir", "nowhere", says=("nowhere", "does not exist"))
