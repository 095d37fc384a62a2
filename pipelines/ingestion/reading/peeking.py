"""Look at the first bytes of a source's files, for whoever must guess how they are written."""

from __future__ import annotations

import re
import tempfile
import zlib
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.errors import ConfigError, SchemaError
from pipelines.ingestion.reading.cache import SCRATCH_PREFIX, StagingCache
from pipelines.ingestion.reading.deliveries import Delivery, fill_in
from pipelines.ingestion.reading.locations import shown_address
from pipelines.ingestion.reading.options import options_of
from pipelines.ingestion.reading.packed import open_plain
from pipelines.ingestion.reading.staged import Peeked
from pipelines.ingestion.reading.stores import Stores

if TYPE_CHECKING:
    from pipelines.config import Settings, SourceConfig

_FILES_A_TABLE = 3


def peek(source: SourceConfig, settings: Settings, *, n_bytes: int, day: date | None = None) -> list[Peeked]:
    """Return the first bytes of the first files of a source, unpacked from .gz and .zip.

    Parameters
    ----------
    n_bytes : int
        At most so many bytes of each file; of each table at most three files.
    day : date, optional
        Which night's files, where the location names one; without it any night's.

    Raises
    ------
    ConfigError, SourceError, SchemaError
        As :func:`~pipelines.ingestion.reading.staging.stage_source` does. A database has no bytes to
        look at: the list is empty.
    """
    if source.kind == "sql":
        return []
    located = source.model_copy(update={"tables": {t: _some(at, day) for t, at in source.tables.items()}})
    folder = settings.home / "staging"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=SCRATCH_PREFIX, dir=folder) as scratch:
        cache = StagingCache(folder, options_of(source))
        with Stores(located, settings, cache=cache, scratch=Path(scratch)) as stores:
            return [
                Peeked(delivery.name, _start(delivery, stores, n_bytes, source.limits.max_file_bytes))
                for table in located.tables
                for delivery in _first_files(stores, table, located.tables[table])
            ]


def _some(location: str, day: date | None) -> str:
    """Return a location of one night, or a pattern for any night's."""
    if day is not None:
        return fill_in(location, day)
    pattern = re.sub(r"\{\w+\}", "*", location)
    if pattern != location and location.startswith(("http://", "https://")):
        raise ConfigError(
            f"{shown_address(location)} names a night, and HTTP has no list of files: say which night."
        )
    return pattern


def _first_files(stores: Stores, table: str, location: str) -> list[Delivery]:
    if location.startswith(("http://", "https://")):
        return [Delivery(shown_address(location), location, location)]
    found = stores.find(table, [])
    return sorted(found, key=lambda delivery: delivery.name)[:_FILES_A_TABLE]


def _start(delivery: Delivery, stores: Stores, n_bytes: int, max_bytes: int) -> bytes:
    if delivery.path is not None:
        with open_plain(delivery.path, name=delivery.name, max_bytes=max_bytes) as stream:
            return stream.read(n_bytes)
    start = stores.read_start(delivery, n_bytes)
    if start.startswith(b"\x1f\x8b"):
        try:
            return zlib.decompressobj(wbits=31).decompress(start, n_bytes)
        except zlib.error as error:
            raise SchemaError(f"{delivery.name} can't be unpacked: {error}. It may be damaged.") from error
    if start.startswith(b"PK\x03\x04"):
        # What an archive holds is said at its end.
        return _start(stores.fetch_whole(delivery), stores, n_bytes, max_bytes)
    return start
