"""The exported page in headless Chromium, all of it on one core: steps a second, and what the networks take of them.

Networks of the paper's sizes; `python -m benchmarks.page SITE` measures a site that was exported before.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from benchmarks.common import interleaved, rate_of, report, size
from benchmarks.networks import ACTIONS, HIDDENS, LATENTS, controllers, save_networks
from tests.chromium import chromium
from tests.web_page import Visit, served, visit
from world_models.models.controller import Controller, load_parameters
from world_models.runs.evaluation import run_recipe
from world_models.utils.run_dir import best_path, save_checkpoint
from world_models.web.site import export_site

STEPS, SECONDS, LEAST_FPS = size(150), size(3, "seconds"), 25.0
FREE = "async (n) => { for (let i = 0; i < n; i += 1) await dream.step(); return n; }"
# The sessions are the page's kind, but of their own: nothing is drawn, and no slider moves.
ALONE = """async (n) => {
  const { loadManifest, Networks } = await import("/js/model.js");
  if (!window.alone) {
    const manifest = await loadManifest();
    window.alone = await Networks.load(manifest, () => {});
    const { z, h, c } = manifest.starts[0];
    window.still = { z: Float32Array.from(z), h: Float32Array.from(h), c: Float32Array.from(c), temperature: 1,
                     pick: 0.5, noise: new Float32Array(z.length), action: new Float32Array(manifest.action_size) };
  }
  for (let i = 0; i < n; i += 1) {
    const next = await alone.expect({ ...still, action: await alone.act(still) });
    await alone.paint(next.z);
  }
  return n;
}"""


@contextmanager
def a_site() -> Iterator[Path]:
    """The site named on the command line, else one of untrained networks."""
    if len(sys.argv) > 1:
        yield Path(sys.argv[1])
        return
    with tempfile.TemporaryDirectory() as folder:
        logdir = Path(folder) / "run"
        save_networks(logdir)
        torch.manual_seed(0)
        controller = Controller(LATENTS, HIDDENS, ACTIONS)
        load_parameters(controllers(1)[0], controller)
        sizes = {"latent_size": LATENTS, "hidden_size": HIDDENS, "action_size": ACTIONS, "env_name": "CarRacing-v3"}
        save_checkpoint(best_path(logdir, "ctrl"), {"state_dict": controller.state_dict(), **sizes})
        recipe = run_recipe(logdir, None, "auto")
        yield export_site(recipe, Path(folder) / "site", starts=1, steps=80).folder


def pace(seen: Visit) -> float:
    """Steps a second of the page as visitors see it; its own goal, the manifest's fps, is the most it does."""
    before = seen.dream("state")["steps"]
    started = time.perf_counter()
    seen.dream("play")
    seen.page.wait_for_timeout(1000 * SECONDS)
    steps, seconds = seen.dream("state")["steps"] - before, time.perf_counter() - started
    seen.dream("pause")
    return float(steps / seconds)


def main() -> None:
    """Three seconds of the page, 150 steps without its clock, 150 steps of the networks without the page."""
    with a_site() as site:
        if hasattr(os, "sched_setaffinity"):  # the browser's processes inherit it
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        with served(site) as address, chromium() as browser:
            started = time.perf_counter()
            with visit(browser, address, viewport={"width": 1280, "height": 800}) as seen:
                loaded = time.perf_counter() - started
                seen.dream("pause")
                rates = interleaved(
                    {
                        "the page": lambda: pace(seen),
                        "without its clock": lambda: rate_of(lambda: float(seen.page.evaluate(FREE, STEPS))),
                        "networks alone": lambda: rate_of(lambda: float(seen.page.evaluate(ALONE, STEPS))),
                    }
                )
                facts = {"milliseconds": seen.dream("milliseconds"), "load_seconds": round(loaded, 2)}
                version = browser.version
    rates[f"{LEAST_FPS:.0f} a second"] = [LEAST_FPS] * len(rates["the page"])
    goals = {("the page", f"{LEAST_FPS:.0f} a second"): 1.0, ("without its clock", "networks alone"): 0.6}
    report("page", "steps/s", rates, goals, browser=version, **facts)


if __name__ == "__main__":
    try:
        main()
    except pytest.skip.Exception as reason:
        raise SystemExit(f"benchmarks/page.py: {reason}") from None
