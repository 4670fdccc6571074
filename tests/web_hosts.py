"""Hosts that serve a site badly, each in a way that real ones do, on this machine alone."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

Fault = str | Callable[[bytes], bytes]
"""What is wrong with a file.

"missing": 404; "page": the host's own page with 200, as for every address that it does not know; "plain": text/plain,
and browsers shall not guess; "silent": the connection is taken and nothing comes; "broken off": half of what was
announced, then the end; a function: other contents.
"""
_TYPES = {".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript", ".css": "text/css"}
_PAGE = b"<!doctype html><title>Not here</title><p>This host knows no such page."


class _Host(http.server.BaseHTTPRequestHandler):
    folder: Path
    faults: Mapping[str, Fault]
    over: threading.Event

    def do_GET(self) -> None:
        name = self.path.split("?")[0].lstrip("/") or "index.html"
        fault = next((fault for pattern, fault in self.faults.items() if fnmatch(name, pattern)), "")
        path = self.folder / name
        if fault == "silent":
            self.over.wait(60)
        elif fault == "missing" or not path.is_file():
            self.send_error(404)
        elif fault == "page":
            self._answer(_PAGE, "text/html")
        else:
            self._file(path, fault)

    def _file(self, path: Path, fault: Fault) -> None:
        data = path.read_bytes()
        kind = "text/plain" if fault == "plain" else _TYPES.get(path.suffix, "application/octet-stream")
        if fault == "broken off":
            self._answer(data[: len(data) // 2], kind, len(data))
        else:
            self._answer(fault(data) if callable(fault) else data, kind)

    def _answer(self, data: bytes, kind: str, length: int | None = None) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Content-Length", str(len(data) if length is None else length))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@contextmanager
def badly_served(folder: Path, faults: Mapping[str, Fault]) -> Iterator[str]:
    """The folder on a host with these faults, by patterns of names ("js/*.js"); gives its address."""
    over = threading.Event()
    handler = type("Host", (_Host,), {"folder": folder, "faults": faults, "over": over})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            over.set()
            server.shutdown()
            thread.join()
