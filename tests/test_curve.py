"""The picture of whole runs beside the reference's log: what each point had cost, and where the two cross a score."""

import json
import re

import pytest
from PIL import Image

from benchmarks import curve


@pytest.fixture
def run(tmp_path):
    """A run of two rounds on two cores: C's logs have one line with a re-evaluation each, and others without."""
    logs = {
        1: [
            {"generation": 1, "episodes": 30, "env_steps": 900, "seconds": 60.0},
            {"generation": 2, "eval_mean": 810.0, "episodes": 50, "env_steps": 2_000, "seconds": 360.0},
            {"generation": 3, "episodes": 60, "env_steps": 3_000, "seconds": 720.0},
        ],
        2: [{"generation": 1, "eval_mean": 885.0, "episodes": 10, "env_steps": 500, "seconds": 1800.0}],
    }
    cost = {
        "cores": 2,
        "rounds": [
            {"minutes": 6, "collected_episodes": 7, "collected_steps": 70},
            {"minutes": 30, "collected_episodes": 5, "collected_steps": 50},
        ],
    }
    folder = tmp_path / "seed-7"
    for number, log in logs.items():
        (folder / f"round_{number}").mkdir(parents=True)
        (folder / f"round_{number}/ctrl.jsonl").write_text("\n".join(json.dumps(line) for line in log) + "\n")
    (folder / "cost.json").write_text(json.dumps(cost))
    return folder


def test_a_point_has_cost_all_that_came_before_it(run):
    first, second = curve.run_points(run)
    assert first == {"score": 810.0, "episodes": 57, "env_steps": 2_070, "core_hours": pytest.approx(0.4)}
    # Round 1 went on for a generation after its last re-evaluation; minutes are the run's own.
    assert second == {"score": 885.0, "episodes": 82, "env_steps": 3_620, "core_hours": pytest.approx(2.0)}


@pytest.mark.parametrize(
    ("file_name", "content", "said"),
    [
        ("cost.json", "", r"cost\.json: this is not JSON.*docs/runs"),
        ("cost.json", '{"cores": 2}', r"cost\.json.*'rounds'.*docs/runs"),
        ("round_2/ctrl.jsonl", "", r"round_2.ctrl\.jsonl is absent or empty"),
    ],
)
def test_a_run_that_lacks_something_is_an_error_with_the_place(run, tmp_path, capsys, file_name, content, said):
    (run / file_name).write_text(content)
    with pytest.raises(SystemExit):
        curve.main(["--out", str(tmp_path / "curve.png"), str(run)])
    assert re.search(said, capsys.readouterr().err)
    assert not (tmp_path / "curve.png").exists()


def test_the_reference_is_the_published_log():
    judged = curve.reference_points("eval_mean")
    assert (judged[0]["score"], judged[0]["episodes"]) == (822.88, 25 * 1024)
    assert (judged[-1]["score"], round(judged[-1]["core_hours"])) == (900.46, 71_593)
    for column in ("eval_mean", "return_mean"):
        points = curve.reference_points(column)
        for axis in curve.AXES:
            values = [point[axis] for point in points]
            assert values == sorted(values)
        assert all(point["env_steps"] <= 1_000 * point["episodes"] for point in points)


def test_a_picture_and_what_each_score_cost(run, tmp_path, capsys):
    picture = tmp_path / "made" / "curve.png"
    assert curve.main(["--out", str(picture), str(run)]) == 0
    with Image.open(picture) as image:
        assert image.width > 2 * image.height  # three charts side by side
    line = json.loads(capsys.readouterr().out)
    assert line["run"] == "seed-7"
    assert set(line["first_at"]) == {"800", "850", "880"}  # 900 it never had
    assert line["first_at"]["800"]["episodes"] == {"ours": 57, "reference": 25_600, "ratio": 449.1}
    assert line["first_at"]["880"]["core_hours"]["ours"] == 2.0
