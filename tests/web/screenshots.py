"""The pictures of the page in the docs: `python -m tests.web.screenshots SITE [FOLDER]`, from a trained run's site.

They are looked at by people, not compared by a test: a dream is another one with every training.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import Any

from PIL import Image

from tests.chromium import chromium
from tests.web_page import served, visit

DESKTOP = {"viewport": {"width": 1280, "height": 800}}
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "has_touch": True, "is_mobile": True}
SHOTS: dict[str, tuple[dict[str, Any], str]] = {
    "page-desktop": (DESKTOP | {"color_scheme": "light"}, "agent"),
    "page-replay-dark": (DESKTOP | {"color_scheme": "dark"}, "replay"),
    "page-phone": (PHONE | {"color_scheme": "light"}, "agent"),
    "page-phone-dark": (PHONE | {"color_scheme": "dark"}, "agent"),
}


def main() -> None:
    """Each of `SHOTS`, while the dream runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("site", type=Path)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("docs/images"))
    parser.add_argument("--start", type=int, default=0, help="which of the site's starts")
    parser.add_argument("--seed", type=int, default=1, help="of the dream's chances")
    parser.add_argument("--steps", type=int, default=110, help="dreamed before the picture is taken")
    parser.add_argument("--full", action="store_true", help="the whole page, not only what a screen shows")
    args = parser.parse_args()
    with served(args.site) as address, chromium() as browser:
        for path in take(browser, address, args.folder, args.start, args.seed, args.steps, args.full):
            print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def take(
    browser: Any, address: str, folder: Path, start: int = 0, seed: int = 1, steps: int = 110, full: bool = False
) -> list[Path]:
    """Writes each of `SHOTS` of the page at `address` into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, (context, driver) in SHOTS.items():
        with visit(browser, address, reduced_motion="reduce", **context) as seen:
            seen.dream("drive", driver)
            seen.dream("begin", start, seed)
            seen.walk(steps)
            seen.page.get_by_role("button", name="Play", exact=True).click()
            seen.page.mouse.move(0, 0)
            seen.page.evaluate("scrollTo(0, 0)")
            seen.page.wait_for_timeout(1100)
            picture = Image.open(io.BytesIO(seen.page.screenshot(full_page=full)))
            picture.convert("RGB").save(folder / f"{name}.png", optimize=True)
    return [folder / f"{name}.png" for name in SHOTS]


if __name__ == "__main__":
    main()
