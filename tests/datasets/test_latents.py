"""The latents file: what is saved is loaded, and stale or damaged latents are refused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from world_models.datasets.latents import Latents, load_latents, save_latents, vae_fingerprint
from world_models.datasets.rollout_files import list_rollouts
from world_models.errors import DataError


def make_latents(**changes: Any) -> Latents:
    rng = np.random.default_rng(0)
    rows = 12
    fields: dict[str, Any] = {
        "mu": rng.normal(size=(rows, 4)).astype(np.float32),
        "logsigma": rng.normal(size=(rows, 4)).astype(np.float32),
        "actions": rng.normal(size=(rows, 3)).astype(np.float32),
        "rewards": rng.normal(size=rows).astype(np.float32),
        "terminals": np.zeros(rows, dtype=np.float32),
        "lengths": np.array([5, 7]),
        "fingerprint": "of this V",
        "data_fingerprint": "of these rollouts",
    }
    return Latents(**(fields | changes))


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    latents = make_latents()
    save_latents(tmp_path / "latents" / "latents_4.npz", latents)
    loaded = load_latents(tmp_path / "latents" / "latents_4.npz")
    for name in ("mu", "logsigma", "actions", "rewards", "terminals", "lengths"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(latents, name))
    assert (loaded.fingerprint, loaded.data_fingerprint) == ("of this V", "of these rollouts")
    assert loaded.offsets.tolist() == [0, 5]


def test_the_documented_keys_are_there(tmp_path: Path) -> None:
    save_latents(tmp_path / "latents_4.npz", make_latents())
    with np.load(tmp_path / "latents_4.npz", allow_pickle=False) as data:
        assert {"latents", "actions", "rewards", "terminals"} <= set(data.keys())
        np.testing.assert_array_equal(data["latents"], data["mu"])


def test_latents_of_another_v_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "latents_4.npz"
    save_latents(path, make_latents())
    load_latents(path, fingerprint="of this V")
    with pytest.raises(DataError, match=r"latents_4\.npz.*another V.*;"):
        load_latents(path, fingerprint="of that V")


def test_latents_of_other_rollouts_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "latents_4.npz"
    save_latents(path, make_latents())
    load_latents(path, data_fingerprint="of these rollouts")
    with pytest.raises(DataError, match=r"another set of rollouts.*;"):
        load_latents(path, data_fingerprint="of those rollouts")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"lengths": np.array([5, 6])}, "episode lengths"),
        ({"lengths": np.array([12, 0])}, "episode lengths"),
        ({"rewards": np.zeros(11, np.float32)}, "rewards"),
        ({"mu": np.zeros((12, 4))}, "mu is float64"),
        ({"logsigma": np.zeros((12, 5), np.float32)}, "logsigma"),
        ({"actions": np.full((12, 3), np.nan, np.float32)}, "actions.*not finite"),
    ],
)
def test_latents_that_do_not_fit_together_are_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(DataError, match=told):
        make_latents(**changes)


@pytest.mark.parametrize("damage", ["missing", "truncated", "another layout", "wrong rows"])
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "latents_4.npz"
    if damage != "missing":
        save_latents(path, make_latents())
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:600])
    elif damage == "another layout":
        np.savez(path, latents=np.zeros((3, 4), np.float32))
    elif damage == "wrong rows":
        with np.load(path) as data:
            np.savez(path, **(dict(data) | {"lengths": np.array([3])}))
    with pytest.raises(DataError, match=r"latents_4\.npz.*precompute_latents"):
        load_latents(path)


def test_an_interrupted_save_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "latents_4.npz"
    save_latents(path, make_latents())

    def interrupted(fd: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_latents(path, make_latents(fingerprint="new"))
    assert list(tmp_path.iterdir()) == [path]
    assert load_latents(path).fingerprint == "of this V"


def test_latents_are_not_taken_for_rollouts(tmp_path: Path) -> None:
    save_latents(tmp_path / "latents" / "latents_4.npz", make_latents())
    with pytest.raises(DataError, match="no rollout"):
        list_rollouts(tmp_path)


def test_the_fingerprint_follows_the_weights_and_nothing_else() -> None:
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    mark = vae_fingerprint(state)
    assert mark == vae_fingerprint(dict(reversed(list(model.state_dict().items()))))
    assert mark == vae_fingerprint({f"_orig_mod.{name}": tensor for name, tensor in state.items()})
    state["bias"][0] += 1e-6
    assert mark != vae_fingerprint(state)
    assert mark != vae_fingerprint({"weight": model.weight.detach()})


def test_the_fingerprint_takes_scalars_half_precision_and_views() -> None:
    tensor = torch.arange(6, dtype=torch.bfloat16).reshape(2, 3)
    assert vae_fingerprint({"a": tensor.T, "n": torch.tensor(3)}) == vae_fingerprint(
        {"a": tensor.T.contiguous(), "n": torch.tensor(3)}
    )
