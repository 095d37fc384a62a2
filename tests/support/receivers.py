"""Real servers that a test starts for messages to arrive at: a webhook, and a mail server."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Webhook:
    """What arrived at a webhook; ``statuses`` are given out first, then 200.

    ``on_arrival`` is called once a message is here, before its sender hears of it.
    """

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.statuses: list[int] = []
        self.on_arrival: Callable[[], None] = lambda: None
        self.port = 0

    @property
    def texts(self) -> list[str]:
        return [content["message"] for content in self.received]


@contextmanager
def webhook() -> Iterator[Webhook]:
    """Serve a webhook on a free port of loopback."""
    hook = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            hook.paths.append(self.path)
            status = hook.statuses.pop(0) if hook.statuses else 200
            if status == 200:
                hook.received.append(content)
            hook.on_arrival()
            with suppress(OSError):  # its sender may be gone
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hook.port = server.server_address[1]
    with _serving(server):
        yield hook


class Mailbox:
    """The mails that arrived, and to whom they were addressed."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.port = 0


@contextmanager
def mailbox() -> Iterator[Mailbox]:
    """Serve SMTP on a free port of loopback."""
    box = Mailbox()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self._say("220 mailbox")
            while line := self.rfile.readline():
                verb = line.decode().split()[0].split(":")[0].upper() if line.strip() else ""
                if verb == "RCPT":
                    box.recipients.append(line.decode().split("<")[1].split(">")[0])
                if verb == "DATA":
                    self._say("354 go on")
                    box.mails.append(self._mail())
                if verb == "QUIT":
                    self._say("221 bye")
                    return
                self._say("250 OK")

        def _mail(self) -> EmailMessage:
            lines = []
            while (line := self.rfile.readline()) not in (b".\r\n", b""):
                lines.append(line.removeprefix(b"."))
            mail = message_from_bytes(b"".join(lines), policy=policy.default)
            assert isinstance(mail, EmailMessage)
            return mail

        def _say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    box.port = server.server_address[1]
    with _serving(server):
        yield box


@contextmanager
def _serving(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
