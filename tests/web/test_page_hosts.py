"""The exported page on hosts that serve it badly: it names the file and what is wrong with it, and soon."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("onnx", reason="the extra `web` is not installed")
pytest.importorskip("onnxscript", reason="the extra `web` is not installed")

from tests.chromium import chromium
from tests.web_hosts import Fault, badly_served
from tests.web_page import random_site

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

STATIC = files("world_models.web") / "static"
WASM, ORT, ORT_WASM = (
    f"vendor/ort/{name}" for name in ("ort-wasm-simd-threaded.wasm", "ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs")
)
LOADING = ("Loading", "Falling asleep")
LONGEST = 10_000  # milliseconds of the page's own waiting, which a busy machine does not change
PATIENCE = 60.0  # seconds for this machine to start a browser's page and to answer beside other tests


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_site(tmp_path_factory.mktemp("car"), "CarRacing-v3", actions=3)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as each:
        yield each


def text_of(page: Page) -> str:
    """What can be seen of the words on the page."""
    said: str = page.evaluate("document.body ? document.body.innerText : ''")
    return said


def hear(page: Page, pattern: str) -> str:
    """The page's words when they match; then they must no longer say that it loads."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        said = text_of(page)
        if re.search(pattern, said) and not any(word in said for word in LOADING):
            assert not page.locator("#progress").is_visible()
            return said
        page.wait_for_timeout(50)
    raise AssertionError(f"{pattern!r} is not said within {PATIENCE} s, but: {text_of(page)[:1500]}")


def visit(browser: Browser, site: Path, faults: Mapping[str, Fault], says: str) -> str:
    with badly_served(site, faults) as address, browser.new_context() as session:
        page = session.new_page()
        page.goto(address, wait_until="commit")
        return hear(page, says)


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def flipped(data: bytes) -> bytes:
    return data[:-9] + bytes([data[-9] ^ 255]) + data[-8:]


def named(value: Mapping[str, Fault] | str) -> str:
    """A case's name, the same in every process of the tests: a function's address is not."""
    if isinstance(value, str):
        return value
    return ", ".join(f"{path} {getattr(fault, '__name__', fault)}" for path, fault in value.items())


@pytest.mark.parametrize(
    ("faults", "says"),
    [
        # Scripts as text: modules are refused by every browser, classic scripts where it is told not to guess.
        ({"js/app.js": "plain"}, "js/app.js comes as “text/plain”, and browsers take only “text/javascript”"),
        ({"js/noise.js": "plain"}, "js/noise.js comes as “text/plain”"),
        ({"js/[!f]*.js": "plain"}, "js/[a-z]+.js comes as “text/plain”"),
        ({ORT: "plain"}, "vendor/ort/ort.wasm.min.mjs comes as “text/plain”"),
        ({ORT_WASM: "plain"}, "vendor/ort/ort-wasm-simd-threaded.mjs comes as “text/plain”"),
        # Hosts that answer everything with their own page.
        ({"js/app.js": "page"}, r"js/app.js is missing: .*\(HTML\)"),
        ({"js/dream.js": "page"}, r"js/dream.js is missing: .*\(HTML\)"),
        ({ORT: "page"}, r"ort.wasm.min.mjs is missing: .*\(HTML\)"),
        ({ORT_WASM: "page"}, r"ort-wasm-simd-threaded.mjs is missing: .*\(HTML\)"),
        ({WASM: "page"}, r"vendor/ort/ort-wasm-simd-threaded.wasm is missing: .*\(HTML\)"),
        ({"model/manifest.json": "page"}, r"model/manifest.json is missing: .*\(HTML\)"),
        ({"model/decoder.onnx": "page"}, r"model/decoder.onnx is missing: .*\(HTML\)"),
        # Files that were not uploaded.
        ({"js/clock.js": "missing"}, r"js/clock.js is missing \(HTTP 404\)"),
        ({WASM: "missing"}, r"ort-wasm-simd-threaded.wasm is missing \(HTTP 404\)"),
        ({ORT_WASM: "missing"}, r"ort-wasm-simd-threaded.mjs is missing \(HTTP 404\)"),
        ({"model/*": "missing"}, r"model/manifest.json is missing \(HTTP 404\)"),
        # Files that are damaged, or that break off on their way.
        ({"js/dream.js": cut}, r"js/dream.js could not be run \(.*SyntaxError"),
        ({WASM: cut}, r"ort-wasm-simd-threaded.wasm is damaged, it has \d+ bytes and should have 14239897"),
        ({"model/memory.onnx": cut}, r"model/memory.onnx is damaged, it has \d+ bytes and should have \d+"),
        ({"model/controller.onnx": flipped}, "model/controller.onnx is damaged, its contents"),
        ({"model/decoder.onnx": "broken off"}, "model/decoder.onnx broke off"),
        ({"model/manifest.json": cut}, "model/manifest.json is damaged, it is not JSON"),
        ({"model/manifest.json": lambda _: b"null"}, "model/manifest.json has format undefined"),
        ({"model/manifest.json": lambda _: b'{"format":1,"files":{}}'}, "manifest.json is damaged, it lacks starts"),
        # The style sheet alone: the page dreams, bare.
        ({"style.css": "missing"}, r"style.css is missing \(HTTP 404\).* The page is shown without its style"),
        ({"style.css": "page"}, r"style.css is missing: .*\(HTML\)"),
        ({"style.css": "plain"}, "style.css comes as “text/plain”, and browsers take only “text/css”"),
    ],
    ids=named,
)
def test_what_is_wrong_is_said_with_the_files_name(
    browser: Browser, site: Path, faults: dict[str, Fault], says: str
) -> None:
    visit(browser, site, faults, says)


NO_SCRIPT = "The dream did not start: js/fallback.js did not run"


# Waiting is all that these do, so the pages of a row wait side by side.
SILENT: dict[str, list[tuple[dict[str, Fault], str]]] = {
    "scripts": [
        ({"js/app.js": "silent"}, r"js/app.js has not come: the host \(127.0.0.1:\d+\) does not answer"),
        ({"js/noise.js": "silent"}, "js/noise.js has not come"),
        ({"js/[!f]*.js": "silent"}, rf"js/[a-z]+\.js has not come|{NO_SCRIPT}"),  # it may have no connection left
        ({"style.css": "silent"}, "style.css has not come"),
    ],
    "runtime": [
        ({ORT: "silent"}, "vendor/ort/ort.wasm.min.mjs does not come"),
        ({ORT_WASM: "silent"}, "vendor/ort/ort-wasm-simd-threaded.mjs does not come"),
        ({WASM: "silent"}, "vendor/ort/ort-wasm-simd-threaded.wasm does not come"),
    ],
    "model": [
        ({"model/manifest.json": "silent"}, "model/manifest.json does not come"),
        ({"model/*.onnx": "silent"}, "model/[a-z]+.onnx does not come"),
        ({"model/memory.onnx": "silent"}, "model/memory.onnx does not come"),
    ],
    # Not even the first script: the page has only itself to speak.
    "nothing": [
        ({"*.js": "silent"}, NO_SCRIPT),
        ({"*.js": "plain"}, NO_SCRIPT),
        ({"*.js": "page"}, NO_SCRIPT),
        ({"*.js": "missing"}, NO_SCRIPT),
        ({"[!i]*": "silent"}, NO_SCRIPT),
    ],
}


@pytest.mark.long
@pytest.mark.parametrize("row", SILENT)
def test_a_host_that_is_silent_is_not_waited_for(browser: Browser, site: Path, row: str) -> None:
    with ExitStack() as open_pages:
        pages = []
        for faults, says in SILENT[row]:
            address = open_pages.enter_context(badly_served(site, faults))
            page = open_pages.enter_context(browser.new_context()).new_page()
            page.goto(address, wait_until="commit")
            pages.append((page, says))
        for page, says in pages:
            hear(page, says)


def test_what_the_page_waits_for_by_itself_is_over_within_ten_seconds() -> None:
    """A silent file, the first look at the scripts with its second question, and the page without any script."""
    script = {name: (STATIC / "js" / name).read_text("utf-8") for name in ("files.js", "fallback.js")}

    def milliseconds(name: str, constant: str) -> int:
        found = re.search(rf"{constant} = (\d+);", script[name])
        assert found, constant
        return int(found[1])

    style = (STATIC / "style.css").read_text("utf-8")
    alone = [1000 * int(each) for each in re.findall(r"animation: (?:appear|leave) 0s (\d+)s forwards", style)]
    assert len(alone) == 2
    waits = [milliseconds("files.js", "SILENCE"), *alone]
    waits.append(milliseconds("fallback.js", "PATIENCE") + milliseconds("fallback.js", "PROBE"))
    assert min(waits) > 0 and max(waits) < LONGEST, waits


def test_a_page_opened_as_a_file_no_longer_says_that_it_loads(browser: Browser, site: Path) -> None:
    with browser.new_context() as session:
        page = session.new_page()
        page.goto((site / "index.html").as_uri(), wait_until="commit")
        hear(page, "from a web server only.*python -m http.server")


def test_a_page_without_a_fault_says_nothing_of_the_kind(browser: Browser, site: Path) -> None:
    with badly_served(site, {}) as address, browser.new_context(reduced_motion="reduce") as session:
        page = session.new_page()
        errors: list[str] = []
        page.on("console", lambda message: message.type in ("error", "warning") and errors.append(message.text))
        page.goto(address)
        assert "Paused, as your device asks" in hear(page, "Paused")
        page.wait_for_timeout(500)
        assert not page.locator("#trouble").is_visible() and not errors


def test_the_page_names_all_of_its_modules_so_that_each_can_be_looked_at() -> None:
    html = (STATIC / "index.html").read_text("utf-8")
    named = re.findall(r'<link rel="modulepreload" href="js/(\w+\.js)">', html)
    there = {path.name for path in (STATIC / "js").iterdir()} - {"app.js", "fallback.js"}
    assert len(named) == len(set(named)) and set(named) == there


def test_the_runtimes_size_in_the_page_is_the_files(site: Path) -> None:
    said = re.search(r"RUNTIME_BYTES = (\d+);", (STATIC / "js" / "model.js").read_text("utf-8"))
    assert said and int(said[1]) == (site / WASM).stat().st_size
