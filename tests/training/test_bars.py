"""Every bar that ends without an error ends at 100 %, and counts what was really done."""

from __future__ import annotations

import ast
import io
import logging
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.dreams import hand_made, save_dream
from tests.search import evolutions
from tests.small_envs import STEER
from tests.small_runs import inline_executors, save_run
from tests.training.runs import mdrnn_config, rollouts, vae_config
from tests.training.test_fit import Points, make_job, scripted_job
from world_models.models.dream_rules import DreamRules
from world_models.runs.collection import generate_rollouts
from world_models.runs.dream import evaluate_dream, train_in_dream
from world_models.runs.evaluation import evaluate_recipe, run_recipe
from world_models.search.algorithms.policy_gradient import GradientRules
from world_models.training.fit.loop import fit
from world_models.training.train_mdn_rnn import precompute_latents
from world_models.utils.progress import Progress

PACKAGE = Path(__file__).parents[2] / "world_models"


class Growing(Points):
    """Epochs of 2, 3, 4 ... batches."""

    def set_epoch(self, epoch: int) -> None:
        self.epoch, self.batches = epoch, 1 + epoch


@pytest.fixture(autouse=True)
def one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    inline_executors(monkeypatch)
    monkeypatch.setattr("world_models.runs.evaluation.cpu_count", lambda: 1)
    rules = GradientRules(steps=8, discount=0.5, noise=0.2, rate=5e-3, batch=256)
    monkeypatch.setattr("world_models.search.ascent.GradientRules", lambda: rules)


def collected(folder: Path) -> None:
    generate_rollouts(folder / "data", STEER, 5, 7, 1, display=False)


def encoded(folder: Path) -> None:
    save_run(folder)
    precompute_latents(vae_config(folder, folder), mdrnn_config(rollouts(folder / "data"), folder))


def evolved(folder: Path, **changes: object) -> None:
    evolutions.train(save_run(folder), **changes)


def climbed(folder: Path) -> None:
    phase = {"components": 2, "gradient_steps": 500, "sigma": 0.1, "pop_size": 4, "samples": 2, "env_steps": 50}
    settings = {"max_env_steps": 50, "phases": [phase], "num_lanes": 8, "components": 3, "target_return": np.inf}
    config = evolutions.config(save_dream(folder, hand_made((0.5, -1.0))), **settings)
    train_in_dream(config, DreamRules(precision="fp32"))


def scored(folder: Path) -> None:
    evaluate_recipe(run_recipe(save_run(folder, controller=True), STEER, time_limit=9), 5, 10_000, 1, display=False)


def dreamt(folder: Path) -> None:
    save_run(folder, controller=True)
    evaluate_dream(save_dream(folder), DreamRules(precision="fp32"), 5, 7, time_limit=4, display=False)


USERS: dict[str, tuple[Callable[[Path], object], dict[str, int | None]]] = {  # who counts, and what it comes to
    "collection": (collected, {"collect": 5}),
    "latents": (encoded, {"latents": 39}),
    "loop": (lambda folder: fit(make_job(folder, 3)), {"vae": 12}),
    "loop, stopped early": (
        lambda folder: fit(scripted_job(folder, [1.0] * 9, early_stopping_patience=2)),
        {"vae": 4 * 4},
    ),
    "loop, epochs that differ": (lambda folder: fit(make_job(folder, 3, train_batches=Growing())), {"vae": 2 + 3 + 4}),
    "run, all generations": (lambda folder: evolved(folder, max_generations=3), {"C": 3}),
    "run, target reached": (lambda folder: evolved(folder, target_return=-1e9), {"C": 2}),
    "run, steps used up": (lambda folder: evolved(folder, max_generations=None, max_env_steps=99), {"C": 2}),
    "dream_run": (climbed, {"C": None, "C's gradient": None}),
    "evaluation": (scored, {"evaluate": 5}),
    "evaluation, in the dream": (dreamt, {"dream": 5}),
}


@pytest.mark.parametrize("user", USERS)
def test_a_bar_that_ends_well_has_done_all_of_its_total(
    user: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bars: list[Progress] = []
    original = Progress.__enter__
    monkeypatch.setattr(Progress, "__enter__", lambda self: bars.append(self) or original(self))  # type: ignore[func-returns-value]
    work, wanted = USERS[user]
    work(tmp_path)
    assert {bar.stage for bar in bars} == wanted.keys()
    for bar in bars:
        assert bar.done > 0 and bar.done == bar.total
        assert wanted[bar.stage] in (None, bar.done)
        assert "(100%)" in bar.line()


def test_every_file_with_a_bar_is_in_this_table() -> None:
    def has_one(path: Path) -> bool:
        calls = (node.func for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call))
        return any(isinstance(called, ast.Name) and called.id == "Progress" for called in calls)

    assert {path.stem for path in PACKAGE.rglob("*.py") if has_one(path)} == {user.split(",")[0] for user in USERS}


def test_a_stage_that_stops_early_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        fit(scripted_job(tmp_path, [1.0] * 9, early_stopping_patience=2))
    assert "vae: stops early, after epoch 4 of 9: the loss has not improved for more than 2 epochs" in caplog.text


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"target_return": -1e9}, "C: the target is reached"),
        ({"max_generations": 1}, "C: a budget is used up"),
        ({"max_generations": None, "target_return": -1e9}, "no budget is set .* until a mean return of -1e\\+09"),
    ],
)
def test_evolution_says_what_ends_it(
    changes: dict[str, object], told: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        evolved(tmp_path, **changes)
    assert re.search(told, caplog.text)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()])
@pytest.mark.parametrize(("total", "done"), [(10, 4), (4, 10), (None, 3)])
def test_whatever_the_estimate_was_the_last_thing_seen_is_100_percent(
    stream: io.StringIO, total: int | None, done: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WORLD_MODELS_QUIET", raising=False)
    with Progress("vae", total, "batch", stream=stream) as progress:
        for _ in range(done):
            progress.update(1)
    last = stream.getvalue().replace("\r", "\n").strip().splitlines()[-1]
    assert "100%" in last and f"{done}/{done}" in last


def test_what_an_error_stops_keeps_its_total() -> None:
    with pytest.raises(KeyboardInterrupt), Progress("vae", 10, "batch", enabled=False) as progress:
        progress.update(4)
        raise KeyboardInterrupt
    assert (progress.done, progress.total) == (4, 10)
