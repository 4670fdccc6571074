"""Whether Weights & Biases can be used: a key, the network. Asked before anything is driven or trained."""

from __future__ import annotations

import configparser
import functools
import netrc
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path

from world_models.errors import ConfigError

_NO_NETWORK_NEEDED = ("offline", "disabled", "dryrun")
_OLD_HOST = "api.wandb.ai"  # whose entry an older `wandb login` wrote
_SECONDS = 8.0
_MEND = "set WANDB_MODE=offline, which writes the run to the disk for `wandb sync`, or leave --wandb out"


def check_access(default_server: Callable[[], str]) -> None:
    """W&B can be used as the machine is set up.

    Args:
        default_server: Gives the address that the package goes to where no setting names one.

    Raises:
        ConfigError: There is no key, or its server cannot be reached, and the mode is not offline.
    """
    if _setting("mode") in _NO_NETWORK_NEEDED or os.environ.get("WANDB_DISABLED", "").lower() == "true":
        return
    server = _setting("base_url") or default_server()
    if not _has_key({urllib.parse.urlsplit(server).hostname or "", _OLD_HOST}):
        raise ConfigError(
            f"--wandb needs a key for {server}, and there is none: run `wandb login` or set WANDB_API_KEY; or {_MEND}."
        )
    _check_reachable(server)


def _setting(name: str) -> str:
    """One of wandb's own settings: the environment's, the folder's, the user's, in this order; "" where none says."""
    here = Path(os.environ.get("WANDB_DIR", "."), "wandb", "settings")
    home = Path(os.environ.get("WANDB_CONFIG_DIR", Path.home() / ".config" / "wandb"), "settings")
    files = configparser.ConfigParser(interpolation=None)
    try:
        files.read([home, here], encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        files.clear()  # wandb itself will say what is wrong with it
    return os.environ.get(f"WANDB_{name.upper()}") or files.get("default", name, fallback="") or ""


def _has_key(hosts: set[str]) -> bool:
    if any(os.environ.get(name) for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE")):
        return True
    named = os.environ.get("NETRC")
    for path in [Path(named)] if named else [Path.home() / ".netrc", Path.home() / "_netrc"]:
        try:
            if hosts & netrc.netrc(path).hosts.keys():
                return True
        except (OSError, netrc.NetrcParseError):
            continue
    return False


@functools.cache  # once reached is enough: a network that fails later does not stop a run that is under way
def _check_reachable(server: str) -> None:
    try:
        urllib.request.urlopen(server, timeout=_SECONDS).close()
    except urllib.error.HTTPError:
        return  # somebody answers
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise ConfigError(f"--wandb: {server} cannot be reached ({reason}); {_MEND}.") from None
