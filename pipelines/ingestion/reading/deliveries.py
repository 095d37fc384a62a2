"""A file of a source before it is staged."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pipelines.errors import IntegrityError, SourceError


@dataclass(frozen=True)
class Delivery:
    """One file that a source has.

    Parameters
    ----------
    name : str
        What a person calls it; deliveries are in the order of their names.
    identity : str
        Equal for equal bytes at the same place, and cheap to know.
    address : str
        Where it is fetched from: a path, ``s3://bucket/key`` or a URL.
    path : Path, optional
        Where its bytes lie, once they are on this machine.
    n_bytes : int
        Its size, where that is known.
    etag : str, optional
        As the server that has it names its present version.
    day : date, optional
        The night that its location names.
    """

    name: str
    identity: str
    address: str
    path: Path | None = None
    n_bytes: int = 0
    etag: str | None = None
    day: date | None = None


def fingerprint_of(path: Path) -> str:
    """Return ``sha256:<hex>`` of a file's bytes."""
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def fill_in(location: str, day: date) -> str:
    """Return a location with the placeholders of a night filled in."""
    values = {
        "partition_key": day.isoformat(),
        "year": f"{day.year:04}",
        "month": f"{day.month:02}",
        "day": f"{day.day:02}",
    }
    for name, value in values.items():
        location = location.replace(f"{{{name}}}", value)
    return location


def for_days(location: str, days: Sequence[date]) -> list[tuple[str, date | None]]:
    """Return a location for each wanted night, without repeats.

    The night goes with it where the location names a single one; ``{year}`` and ``{month}`` alone do
    not.
    """
    if location == fill_in(location, date.min):
        return [(location, None)]
    names_day = "{partition_key}" in location or "{day}" in location
    filled = {fill_in(location, day): day if names_day else None for day in sorted(days)}
    return list(filled.items())


def no_file(table: str, where: str, advice: str) -> SourceError:
    """Return the error that a location matches no file."""
    return SourceError(f"Table {table!r}: there is no file {where}. {advice}")


def wrong_checksum(name: str, fingerprint: str, checksum: str) -> IntegrityError:
    """Return the error that a file is not the one that was declared."""
    return IntegrityError(
        f"{name} has the checksum {fingerprint}, not {checksum} as source.checksums says. Deliver the right "
        "file, or mend the checksum."
    )
