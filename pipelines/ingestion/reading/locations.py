"""Find the files of a source: in an installed package, on disk, in S3, or at an HTTP address."""

from __future__ import annotations

import glob
import importlib.util
import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pipelines.errors import ConfigError, SourceError, printable
from pipelines.ingestion.reading.deliveries import Delivery, for_days, no_file

if TYPE_CHECKING:
    from pipelines.config import SourceConfig

_HIDDEN_PARTS = re.compile(r"//[^/@]*@|[?#].*$")


def source_uri(config: SourceConfig, *, sources: Path) -> str:
    """Return the address of a source's files, as the record of an ingestion keeps it."""
    if config.kind == "sql":
        address = urlsplit(config.url or "")
        shown = (
            config.url
            if address.scheme == "env"
            else f"{address.scheme}://{address.hostname or ''}{address.path}"
        )
        return f"{shown}: {', '.join(config.tables)}"
    root = f"{config.package}:" if config.package else f"{sources}/"
    return ", ".join(
        shown_address(location) if is_remote(location) or Path(location).is_absolute() else root + location
        for location in config.tables.values()
    )


def is_remote(location: str) -> bool:
    """Return whether a location is an address of S3 or HTTP."""
    return location.startswith(("s3://", "http://", "https://"))


def shown_address(address: str) -> str:
    """Return an address without what may be secret in it: a user, a password, a query."""
    if not address.startswith(("http://", "https://")):
        return address
    return _HIDDEN_PARTS.sub(lambda found: "//" if found[0].startswith("//") else "", address)


def packaged_file(package: str, location: str) -> Delivery:
    """Return a file inside an installed package, which is not imported for it.

    Raises
    ------
    ConfigError
        If the package is not installed, or has no such file.
    """
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise ConfigError(f"source.package {package!r} is not installed here: `pip install {package}`.")
    path = Path(found.submodule_search_locations[0]) / location
    if not path.is_file():
        raise ConfigError(f"The installed package {package!r} has no file {location!r}.")
    return _delivery(path, f"{package}:{location}", None)


def local_files(table: str, location: str, *, sources: Path, days: Sequence[date]) -> list[Delivery]:
    """Return the files at a path or glob, in no particular order.

    Raises
    ------
    SourceError
        If there is none, and the location names no night; it says where was looked.
    """
    filled = for_days(location, days)
    found = [
        _delivery(path, _name(path, sources), day)
        for place, day in filled
        for path in _matching(sources, place)
    ]
    if found or filled != [(location, None)]:
        return found
    if (sources / location).is_dir():
        raise SourceError(
            f"Table {table!r}: {sources / location} is a folder. Write which of its files: "
            f"{location.rstrip('/')}/*.csv"
        )
    raise no_file(
        table,
        str(sources / location),
        f"Put it there, or set HOLDFAST_SOURCES to the folder that holds {location}.",
    )


def _matching(sources: Path, location: str) -> list[Path]:
    # A file whose own name looks like a pattern is that file.
    if (sources / location).is_file():
        return [sources / location]
    pattern = location if Path(location).is_absolute() else f"{glob.escape(str(sources))}/{location}"
    matches = glob.glob(pattern, recursive=True)  # noqa: PTH207 (absolute ones too)
    return [path for path in map(Path, matches) if path.is_file()]


def _name(path: Path, sources: Path) -> str:
    return printable(str(path.relative_to(sources) if path.is_relative_to(sources) else path))


def _delivery(path: Path, name: str, day: date | None) -> Delivery:
    try:
        stat = path.stat()
    except OSError as error:
        raise SourceError(f"{name} can't be read: {error}") from error
    identity = f"file:{path.resolve()}|{stat.st_size}|{stat.st_mtime_ns}|{stat.st_ino}"
    return Delivery(name, printable(identity), str(path), path=path, n_bytes=stat.st_size, day=day)
