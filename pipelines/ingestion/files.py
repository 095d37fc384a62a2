"""Find the files of a source, and say which columns each of them has.

A CSV file's header is read here, so that DuckDB never has to guess: each file is read with the
columns that it names, all of them as text.
"""

from __future__ import annotations

import csv
import glob
import gzip
import importlib.util
import shutil
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.config import SourceConfig
from pipelines.errors import ConfigError, SchemaError, SourceError


@dataclass(frozen=True)
class SourceFile:
    """One file of a source table.

    Parameters
    ----------
    path : Path
        What DuckDB opens: the file itself, or the copy that was taken out of a zip archive.
    name : str
        What a person calls it.
    columns : tuple of str
        As its header (CSV) or schema (Parquet) names them.
    """

    path: Path
    name: str
    columns: tuple[str, ...]


def locate(config: SourceConfig, *, sources: Path, scratch: Path) -> dict[str, list[SourceFile]]:
    """Return the files of each table of a source, sorted by path.

    Parameters
    ----------
    config : SourceConfig
        ``tables`` are files inside ``package`` (kind ``packaged``), or paths or globs.
    sources : Path
        What relative paths start from; ``HOLDFAST_SOURCES``.
    scratch : Path
        A folder that outlives the reading, for what comes out of zip archives.

    Raises
    ------
    ConfigError
        If the package is not installed, or has no such file.
    SourceError
        If no file is at the path, or it can't be opened.
    SchemaError
        If a file has no header, or names a column twice.
    """
    located: dict[str, list[SourceFile]] = {}
    for table, location in config.tables.items():
        paths = _packaged(config.package, location) if config.package else _matching(sources, table, location)
        located[table] = [_open(path, config, scratch) for path in paths]
    return located


def source_uri(config: SourceConfig, *, sources: Path) -> str:
    """Return the address of a source's files, as the record of an ingestion keeps it."""
    root = f"{config.package}:" if config.package else f"{sources}/"
    return ", ".join(
        location if Path(location).is_absolute() else root + location for location in config.tables.values()
    )


def _packaged(package: str, location: str) -> list[Path]:
    # The package is never imported: only its place is asked for.
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise ConfigError(f"source.package {package!r} is not installed here: `pip install {package}`.")
    path = Path(found.submodule_search_locations[0]) / location
    if not path.is_file():
        raise ConfigError(f"The installed package {package!r} has no file {location!r}.")
    return [path]


def _matching(sources: Path, table: str, location: str) -> list[Path]:
    pattern = str(sources / location)
    paths = sorted(Path(match) for match in glob.glob(pattern, recursive=True))  # noqa: PTH207 (absolute too)
    files = [path for path in paths if path.is_file()]
    if not files:
        raise SourceError(
            f"Table {table!r}: there is no file {pattern}. Put it there, or set HOLDFAST_SOURCES to the "
            f"folder that holds {location}."
        )
    return files


def _open(path: Path, config: SourceConfig, scratch: Path) -> SourceFile:
    try:
        if config.kind == "parquet":
            columns: Sequence[str] = pq.read_schema(path).names
            return SourceFile(path, str(path), _checked(columns, path))
        readable = _unzipped(path, scratch) if path.suffix == ".zip" else path
        return SourceFile(readable, str(path), _checked(_header(readable, path, config.csv.delimiter), path))
    except (OSError, zipfile.BadZipFile, pa.ArrowInvalid) as error:
        raise SourceError(f"Can't read {path}: {error}") from error


def _unzipped(archive: Path, scratch: Path) -> Path:
    with zipfile.ZipFile(archive) as opened:
        members = [member for member in opened.infolist() if not member.is_dir()]
        if len(members) != 1:
            raise SchemaError(f"{archive} holds {len(members)} files; a zipped table is exactly one.")
        target = scratch / f"{len(list(scratch.iterdir()))}.csv"
        with opened.open(members[0]) as packed, target.open("wb") as plain:
            shutil.copyfileobj(packed, plain, 1 << 20)
    return target


def _header(path: Path, named: Path, delimiter: str) -> list[str]:
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8-sig", newline="") as text:
            header = next(csv.reader(text, delimiter=delimiter), None)
    except UnicodeDecodeError as error:
        raise SchemaError(f"{named} is not UTF-8 text: {error}") from error
    except csv.Error as error:
        raise SchemaError(f"{named}: its header can't be read: {error}") from error
    if not header:
        raise SchemaError(f"{named} is empty: it has no header line.")
    # A table that was saved with its index has a first column without a name.
    return [name or f"column{position}" for position, name in enumerate(header)]


def _checked(columns: Sequence[str], path: Path) -> tuple[str, ...]:
    # DuckDB's names do not mind case, so neither does this.
    twice = [name for name, count in Counter(name.lower() for name in columns).items() if count > 1]
    if twice:
        raise SchemaError(f"{path} names the column {twice[0]!r} more than once.")
    return tuple(columns)
