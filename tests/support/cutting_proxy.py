"""A TCP proxy that cuts connections half-way, as often as a test says."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class CuttingProxy:
    """Passes bytes on between clients and one server.

    Set ``n_cuts``: so many answers are cut off after ``after_bytes`` bytes of them.
    """

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self.port: int = self._listener.getsockname()[1]
        self.n_cuts = 0
        self.after_bytes = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                threading.Thread(target=self._pass, args=(client, server, False), daemon=True).start()
                threading.Thread(target=self._pass, args=(server, client, True), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, is_answer: bool) -> None:
        n_passed = 0
        with suppress(OSError):
            while data := source.recv(65_536):
                n_passed += len(data)
                if is_answer and n_passed > self.after_bytes and self._takes_a_cut():
                    break
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _takes_a_cut(self) -> bool:
        with self._lock:
            if self.n_cuts <= 0:
                return False
            self.n_cuts -= 1
            return True


@contextmanager
def cutting_proxy(port: int) -> Iterator[CuttingProxy]:
    """Start a proxy in front of a server on loopback."""
    proxy = CuttingProxy(("127.0.0.1", port))
    try:
        yield proxy
    finally:
        proxy.close()
