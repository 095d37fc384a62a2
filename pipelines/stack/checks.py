"""What must hold before the stack starts; each failure is one sentence that says what to do."""

from __future__ import annotations

import shutil
import socket
import sys
from pathlib import Path

from pipelines.errors import StackError

_PYTHON = ((3, 11), (3, 14))
MIN_FREE_BYTES = 1024**3
_LAST_PORT = 65_535


def check_python(version: tuple[int, int]) -> None:
    """Refuse a Python that the pinned libraries do not run on."""
    first, beyond = _PYTHON
    if not first <= version < beyond:
        raise StackError(
            f"Holdfast runs on Python {first[0]}.{first[1]} to {beyond[0]}.{beyond[1] - 1}, and this is "
            f"{version[0]}.{version[1]} ({sys.executable}): make the virtual environment with another one."
        )


def check_disk(home: Path, *, min_free_bytes: int = MIN_FREE_BYTES) -> None:
    """Refuse a disk on which databases and logs would soon find no room.

    Raises
    ------
    StackError
        If less than ``min_free_bytes`` are free, or ``home`` can't be made or written.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
        free_bytes = shutil.disk_usage(home).free
    except OSError as error:
        raise StackError(f"Can't use {home}: {error.strerror}; point HOLDFAST_HOME elsewhere.") from error
    if free_bytes < min_free_bytes:
        raise StackError(
            f"The disk of {home} has {free_bytes / 1024**2:.0f} MiB free, and the stack wants "
            f"{min_free_bytes / 1024**2:.0f}: make room, or point HOLDFAST_HOME elsewhere."
        )


def check_port(port: int, *, purpose: str, option: str) -> None:
    """Refuse a port that something else listens on.

    Raises
    ------
    StackError
        If it is taken, or no port; names the port and the option that chooses another one.
    """
    if not 0 < port <= _LAST_PORT:
        raise StackError(f"{port} is no port for {purpose}: give {option} one between 1 and {_LAST_PORT}.")
    with socket.socket() as probe:
        # As servers do: a port that only waits out an old connection is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise StackError(
                f"Port {port}, wanted for {purpose}, can't be had ({error.strerror}): "
                f"stop what listens there, or choose another one with {option}."
            ) from error
