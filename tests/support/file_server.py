"""A small HTTP server of files that misbehaves as a test says."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class FileServer:
    """What the server gives, and what it was asked.

    Parameters
    ----------
    files : dict of str to bytes
        By path.
    statuses : list of int
        Answers to give first, in place of what was asked for.
    cuts : list of int
        Of the next answers, after how many bytes each is cut off.
    has_etag, has_date : bool
        Which validators an answer has.
    redirects : dict of str to str
        Addresses to send a client on to, by path.
    asked : list of dict
        The headers of each request (lower case), and its path.
    """

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    statuses: list[int] = field(default_factory=list)
    cuts: list[int] = field(default_factory=list)
    has_etag: bool = True
    has_date: bool = False
    redirects: dict[str, str] = field(default_factory=dict)
    asked: list[dict[str, str]] = field(default_factory=list)

    def url(self, name: str) -> str:
        return f"{self.address}/{name}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: FileServer

    def log_message(self, format: str, *args: object) -> None:
        return

    def do_GET(self) -> None:
        state, path = self.state, self.path.partition("?")[0].lstrip("/")
        state.asked.append({name.lower(): value for name, value in self.headers.items()} | {"path": path})
        if state.statuses:
            return self._answer(state.statuses.pop(0), {}, b"")
        if path in state.redirects:
            return self._answer(302, {"Location": state.redirects[path]}, b"")
        if path not in state.files:
            return self._answer(404, {}, b"none")
        body = state.files[path]
        etag = f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
        date = "Mon, 01 Jan 2024 00:00:00 GMT"
        headers = ({"ETag": etag} if state.has_etag else {}) | (
            {"Last-Modified": date} if state.has_date else {}
        )
        if state.has_etag and self.headers.get("If-None-Match") == etag:
            return self._answer(304, headers, None)
        start = self._start(etag, date)
        if start is None:
            return self._answer(200, headers, body)
        headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        return self._answer(206, headers, body[start:])

    def _start(self, etag: str, date: str) -> int | None:
        wanted = self.headers.get("Range")
        if wanted is None or self.headers.get("If-Range", etag) not in (etag, date):
            return None
        return int(wanted.removeprefix("bytes=").partition("-")[0])

    def _answer(self, status: int, headers: dict[str, str], body: bytes | None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if body is not None:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if body and self.state.cuts:
            self.wfile.write(body[: self.state.cuts.pop(0)])
            self.wfile.flush()
            self.close_connection = True
        elif body:
            self.wfile.write(body)


@contextmanager
def file_server() -> Iterator[FileServer]:
    """Start a server on a free loopback port."""
    state = FileServer()
    handler = type("Handler", (_Handler,), {"state": state})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        state.address = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()
