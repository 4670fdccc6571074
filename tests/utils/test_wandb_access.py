"""W&B asked for without a key or a network is refused in one sentence; offline it needs neither."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from world_models.errors import ConfigError
from world_models.utils import wandb_access
from world_models.utils.wandb_access import check_access

SERVER = "https://api.new.ai"
NAMES = ("MODE", "API_KEY", "BASE_URL", "DIR", "CONFIG_DIR", "DISABLED", "IDENTITY_TOKEN_FILE")


class Network:
    """What the server answers; counts how often it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.error: Exception | None = None

    def __call__(self, server: str, timeout: float) -> Any:
        assert 0 < timeout < 10
        self.asked.append(server)
        if self.error:
            raise self.error
        return SimpleNamespace(close=lambda: None)


@pytest.fixture(autouse=True)
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Network:
    """A machine that has neither key nor settings, in an empty folder."""
    for name in NAMES:
        monkeypatch.delenv(f"WANDB_{name}", raising=False)
    monkeypatch.delenv("NETRC", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path)
    wandb_access._check_reachable.cache_clear()
    network = Network()
    monkeypatch.setattr(urllib.request, "urlopen", network)
    return network


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o600)


def in_environment(name: str, value: str) -> Callable[[Path, pytest.MonkeyPatch], None]:
    return lambda folder, monkeypatch: monkeypatch.setenv(name, value)


def in_file(place: str, text: str) -> Callable[[Path, pytest.MonkeyPatch], None]:
    return lambda folder, monkeypatch: write(folder / place, text)


KEYS = {
    "key": in_environment("WANDB_API_KEY", "k" * 40),
    "token": in_environment("WANDB_IDENTITY_TOKEN_FILE", "token.jwt"),
    "netrc": in_file("home/.netrc", "machine api.wandb.ai\n  login user\n  password kkk\n"),
    "netrc of the server": in_file("home/.netrc", "machine api.new.ai login user password kkk\n"),
    "netrc of Windows": in_file("home/_netrc", "machine api.wandb.ai login user password kkk\n"),
}
OFFLINE = {
    "offline": in_environment("WANDB_MODE", "offline"),
    "disabled": in_environment("WANDB_MODE", "disabled"),
    "`wandb offline`, of this folder": in_file("wandb/settings", "[default]\nmode = offline\n"),
    "of the user": in_file("home/.config/wandb/settings", "[default]\nmode = offline\n"),
}


@pytest.mark.parametrize("way", KEYS)
def test_with_a_key_and_a_network_it_can_be_used_and_the_network_is_asked_once(
    way: str, network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    KEYS[way](tmp_path, monkeypatch)
    check_access(lambda: SERVER)
    network.error = OSError("gone in the middle of a run")
    check_access(lambda: SERVER)
    assert network.asked == [SERVER]


@pytest.mark.parametrize("way", OFFLINE)
def test_offline_it_needs_neither(way: str, network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    OFFLINE[way](tmp_path, monkeypatch)
    check_access(lambda: SERVER)
    assert network.asked == []


@pytest.mark.parametrize(
    "way", [in_file("home/.netrc", "machine github.com login a password b\n"), in_file("home/.netrc", "rub bish\n")]
)
def test_without_a_key_it_is_refused_and_the_network_is_not_asked(
    way: Callable[[Path, pytest.MonkeyPatch], None], network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        with pytest.raises(ConfigError, match=r"a key for https://api\.new\.ai.*wandb login.*WANDB_MODE=offline"):
            check_access(lambda: SERVER)
        way(tmp_path, monkeypatch)
    assert network.asked == []


@pytest.mark.parametrize("error", [urllib.error.URLError("no route to host"), TimeoutError("timed out")])
def test_without_a_network_it_is_refused(error: Exception, network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.example.org")
    network.error = error
    with pytest.raises(ConfigError, match=r"https://wandb\.example\.org cannot be reached.*WANDB_MODE=offline"):
        check_access(lambda: SERVER)


def test_a_server_that_answers_with_an_error_is_there(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    network.error = urllib.error.HTTPError(SERVER, 404, "not found", {}, None)  # type: ignore[arg-type]
    check_access(lambda: SERVER)
