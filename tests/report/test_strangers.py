"""The report as a stranger reads it: results first, settings folded, and what good looks like under each picture."""

from __future__ import annotations

import re
from pathlib import Path

import torch

from tests.doubles import make_rollouts
from tests.report_page import add_ctrl, add_mdrnn, add_vae, check_page, filmed
from world_models.report import write_report
from world_models.utils.run_dir import JsonlLog, log_path
from world_models.utils.run_settings import write_settings

torch.set_num_threads(1)


def test_settings_come_last_are_folded_and_are_tables_without_dictionaries_and_hashes(tmp_path: Path) -> None:
    add_vae(tmp_path)
    add_ctrl(tmp_path, data_contents="c2330c648419467ed617e600368f0f0e2e13ecdfec3c230c3de917d82a3743c0")
    phases = [{"sigma": 0.08, "pop_size": 64, "late": []}, {"sigma": 0.06, "pop_size": 32, "search": "pgpe"}]
    write_settings(tmp_path, "ctrl", {"sigma": 0.1, "phases": phases, "machine": {"cores": 2}})

    html, _ = check_page(write_report(tmp_path))

    anchors = re.findall(r'<section id="(\w+)"', html)
    assert anchors[0] == "result" and anchors[-1] == "setup"
    setup = html[html.index('<section id="setup"') :]
    shown, folded = re.sub(r"<details>.*</details>", "", setup, flags=re.S), re.findall(r"<summary>(.*?)<", setup)
    assert "<table" not in shown and {"V: 1 settings", "C: 3 settings", "Versions"} <= set(folded)
    assert "<tr><td>initial step size (sigma)</td><td>0.08</td><td>0.06</td></tr>" in setup
    assert "<tr><td>search</td><td>none</td><td>pgpe</td></tr>" in setup
    assert "<tr><td>machine: cores</td><td>2</td></tr>" in setup
    assert "{" not in setup and "c2330c64" not in setup and "<details open" not in html


def test_every_picture_says_what_good_looks_like(tmp_path: Path) -> None:
    for add in (add_vae, add_mdrnn, add_ctrl):
        add(tmp_path / "run")
    make_rollouts(tmp_path / "data", [12, 15])
    summary = {"trained": {"mean": 1.0, "returns": [1.0, 5.0], "seeds": [1, 2]}}

    html, _ = check_page(write_report(tmp_path / "run", tmp_path / "data", summary=summary, episode=filmed(30)))

    blocks = re.findall(r"<figure>.*?</figure>(?:</div><p class=\"caption\">.*?</p>)?", html, re.S)
    silent = [block[:200] for block in blocks if "Good: " not in block and "traversals" not in block]
    assert len(blocks) >= 12 and silent == []
    assert "Good: each row changes one thing" in html


def test_what_does_not_vary_is_a_sentence_and_no_picture(tmp_path: Path) -> None:
    add_vae(tmp_path)

    html, _ = check_page(write_report(tmp_path))

    assert "Latents in use: 3 throughout." in html
    assert not (tmp_path / "report" / "vae_active_latents.png").exists()


def test_latents_in_use_are_told_in_one_place_as_training_counted_them(tmp_path: Path) -> None:
    add_vae(tmp_path / "run")
    make_rollouts(tmp_path / "data", [12])

    html, _ = check_page(write_report(tmp_path / "run", tmp_path / "data"))

    assert "latents in use</dt><dd>3 of 4<" in html
    assert len(re.findall(r"\d+ of \d+(?: active)?", html)) == 1


def test_where_m_went_on_with_other_data_is_said(tmp_path: Path) -> None:
    add_mdrnn(tmp_path)
    JsonlLog(log_path(tmp_path, "mdrnn")).write({"epoch": 2, "train_loss": 3.0, "gmm": 4.0, "other_data": True})

    html, _ = check_page(write_report(tmp_path))

    assert "taken up again at epoch 2 (other data)" in html


def test_a_controller_of_the_dream_has_dreamed_returns(tmp_path: Path) -> None:
    add_ctrl(tmp_path, "VizdoomTakeCover-v1", trained_in="dream", dream_temperature=1.15)

    html, _ = check_page(write_report(tmp_path))

    for words in ("dream at temperature 1.15", "C: Dreamed return by episodes dreamed", "dreamed episodes</dt>"):
        assert words in html
    assert "driven" not in html[html.index('<section id="c"') :]


def test_a_controller_of_the_environment_has_driven_ones(tmp_path: Path) -> None:
    add_ctrl(tmp_path, trained_in="reality")

    html, _ = check_page(write_report(tmp_path))

    assert "C: Return by episodes driven" in html and "dreamed" not in html


def test_a_published_random_policy_stands_beside_a_score_that_has_none(tmp_path: Path) -> None:
    add_ctrl(tmp_path, "VizdoomTakeCover-v1")
    trained = {"mean": 1000.0, "std": 500.0}

    html, _ = check_page(write_report(tmp_path, summary={"trained": trained}))
    assert "210 ± 108" in html and "published" in html and "+790" in html

    html, _ = check_page(write_report(tmp_path, summary={"trained": trained, "random": {"mean": 205.0}}))
    assert "published, " not in html and "+795" in html
