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
    args.folder.mkdir(parents=True, exist_ok=True)
    with served(args.site) as address, chromium() as browser:
        for name, (context, driver) in SHOTS.items():
            with visit(browser, address, reduced_motion="reduce", **context) as seen:
                seen.dream("drive", driver)
                seen.dream("begin", args.start, args.seed)
                seen.walk(args.steps)
                seen.page.get_by_role("button", name="Play", exact=True).click()
                seen.page.mouse.move(0, 0)
                seen.page.evaluate("scrollTo(0, 0)")
                seen.page.wait_for_timeout(1100)
                path = args.folder / f"{name}.png"
                picture = Image.open(io.BytesIO(seen.page.screenshot(full_page=args.full)))
                picture.convert("RGB").save(path, optimize=True)
                print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
