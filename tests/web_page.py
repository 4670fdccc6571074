"""What the tests of the page share: a site of a random run, a server for it, and Chromium as its visitor."""

from __future__ import annotations

import functools
import http.server
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
import torch
from gymnasium import spaces

from tests.small_envs import SteerEnv
from world_models.models.controller import Controller
from world_models.models.mdrnn import MDRNN
from world_models.runs.evaluation import run_recipe
from world_models.utils.run_dir import best_path, save_checkpoint
from world_models.vision.VAE.ConvVAE import ConvVAE
from world_models.web.site import export_site

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

Opened = tuple["Browser", str]
"""A browser, and the address of a site."""

LATENTS, HIDDENS, GAUSSIANS = 8, 16, 3
SEED, STARTS, STEPS, WARM_UP = 10_000, 2, 40, 10
SIDEWAYS = "tests.web_page:SmallTakeCover-v0"
# Nothing of the browser's own may reach for the network, and no sandbox is needed for pages of ours.


class SidewaysEnv(SteerEnv):
    """One action, left to right, under a name from which the page knows its controls."""

    def __init__(self, render_mode: str | None = "rgb_array") -> None:
        super().__init__(render_mode)
        self.action_space = spaces.Box(-1.0, 1.0, (1,), np.float32)

    def step(self, action: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        return super().step(np.repeat(action, 2))


gym.register(id="SmallTakeCover-v0", entry_point=SidewaysEnv, max_episode_steps=50)


def random_run(logdir: Path, env_name: str, actions: int, terminal_bias: float | None = None) -> Path:
    """Random V, M and C in a folder; with `terminal_bias`, an M that knows terminals and expects them that much."""
    torch.manual_seed(4)
    vae = ConvVAE(3, LATENTS)
    mdrnn = MDRNN(LATENTS, actions, HIDDENS, GAUSSIANS)
    controller = Controller(LATENTS, HIDDENS, actions)
    with torch.no_grad():
        for weight in (*vae.decoder.parameters(), *mdrnn.rnn.parameters()):
            weight *= 3  # fresh weights paint one grey, and hardly listen to the action
        mdrnn.gmm_linear.bias[-1] = -9 if terminal_bias is None else terminal_bias
    sizes = {"latent_size": LATENTS, "hidden_size": HIDDENS, "action_size": actions, "env_name": env_name}
    facts = mdrnn.sizes | {"terminal_trained": terminal_bias is not None}
    save_checkpoint(best_path(logdir, "vae"), {"state_dict": vae.state_dict(), "latent_size": LATENTS})
    save_checkpoint(best_path(logdir, "mdrnn"), {"state_dict": mdrnn.state_dict(), **facts})
    save_checkpoint(best_path(logdir, "ctrl"), {"state_dict": controller.state_dict(), **sizes})
    return logdir


def random_site(folder: Path, env_name: str, actions: int, **changes: Any) -> Path:
    """The site of a `random_run`, in folder/site; the run stays in folder/run."""
    run = random_run(folder / "run", env_name, actions, **changes)
    recipe = run_recipe(run, None, "auto")
    export_site(recipe, folder / "site", starts=STARTS, seed=SEED, steps=STEPS, warm_up=WARM_UP)
    return folder / "site"


def manifest_of(site: Path) -> Any:
    return json.loads((site / "model" / "manifest.json").read_text("utf-8"))


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the tests watch the requests themselves."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The folder as any static host would serve it, on this machine alone; gives its address."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


@dataclass
class Visit:
    """A page that was opened, and what was seen of it: the console's errors, and every address asked for."""

    page: Page
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def dream(self, call: str, *arguments: Any) -> Any:
        """What `dream.<call>(...)` gives in the page; promises are awaited."""
        return self.page.evaluate(f"(args) => window.dream.{call}(...args)", list(arguments))

    def walk(self, steps: int) -> list[dict[str, Any]]:
        """That many steps by whoever drives, with the seed's chances; the states after each."""
        script = """async (n) => {
          const states = [];
          for (let i = 0; i < n; i += 1) states.push(await window.dream.step());
          return states;
        }"""
        states: list[dict[str, Any]] = self.page.evaluate(script, steps)
        return states

    def wait_for(self, condition: str, seconds: float = 30.0) -> None:
        """Asks again and again: Playwright's own waiting evaluates text in the page, which the page forbids."""
        end = time.monotonic() + seconds
        while not self.page.evaluate(condition):
            assert time.monotonic() < end, f"not within {seconds} s: {condition}"
            self.page.wait_for_timeout(20)


@contextmanager
def visit(browser: Browser, address: str, *, ready: bool = True, script: str = "", **context: Any) -> Iterator[Visit]:
    """Opens the page in a fresh context; `script` runs before the page's own. Waits until the dream is ready."""
    with browser.new_context(**context) as session:
        seen = Visit(session.new_page())
        seen.page.on("console", lambda message: message.type == "error" and seen.errors.append(message.text))
        seen.page.on("pageerror", lambda error: seen.errors.append(str(error)))
        seen.page.on("request", lambda request: seen.requests.append(request.url))
        if script:
            seen.page.add_init_script(script)
        seen.page.goto(address)
        if ready:
            seen.wait_for("Boolean(window.dream?.ready)")  # before, window.dream is the canvas of that id
            seen.page.evaluate("window.dream.ready")
        yield seen


def latents(states: list[dict[str, Any]]) -> npt.NDArray[np.float64]:
    """z of states, (T, Z)."""
    return np.array([state["z"] for state in states])
