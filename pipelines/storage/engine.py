"""DuckDB as this project opens it: closed to the network, in UTC, with a bound on its memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

_CLOSED: dict[str, str | int | float | bool | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}


@contextmanager
def connect(
    *, memory: str = "512MB", threads: int = 1, scratch: Path | None = None
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open an in-memory DuckDB that spills what its memory does not hold to a folder of its own.

    Parameters
    ----------
    memory : str
        DuckDB's ``memory_limit``, such as ``512MB``.
    threads : int
        One keeps rows in the order that they were read in; more cost memory each.
    scratch : Path, optional
        Where the folder is made; the system's temporary folder by default. It is removed at the end.
    """
    with tempfile.TemporaryDirectory(prefix="holdfast-", dir=scratch) as spill:
        settings = {**_CLOSED, "memory_limit": memory, "threads": threads, "temp_directory": spill}
        with duckdb.connect(config=settings) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            # Its bars would be drawn into logs.
            connection.execute("SET enable_progress_bar = false")
            yield connection
