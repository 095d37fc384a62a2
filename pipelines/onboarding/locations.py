"""What a person calls a source: a path, a pattern, an address, a database."""

from __future__ import annotations

import glob
import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pipelines.errors import ConfigError
from pipelines.onboarding.names import dataset_name

_REMOTE = ("s3://", "http://", "https://")
_PARQUET = (".parquet", ".pq", ".parq")
_NOT_READ = {
    ".xlsx": "an Excel workbook",
    ".xls": "an Excel workbook",
    ".json": "JSON",
    ".jsonl": "JSON lines",
}


@dataclass(frozen=True)
class Location:
    """Where a source is, as params.yaml says it.

    Parameters
    ----------
    kind : str
        ``csv``, ``parquet`` or ``sql``; ``csv`` also where only the bytes can tell.
    where : str
        A path below ``HOLDFAST_SOURCES`` or an absolute one, an address, or a database's table.
    table : str
        A name for it.
    url : str, optional
        Of the database.
    """

    kind: str
    where: str
    table: str
    url: str | None = None

    @property
    def any_night(self) -> str:
        """The location with a ``*`` where it names a night, for a look at files of any."""
        return re.sub(r"\{\w+\}", "*", self.where)


def locate_source(source: str, *, sources: Path, table: str | None = None) -> Location:
    """Return where a source is.

    Parameters
    ----------
    source : str
        A path or pattern (from here, or from ``sources``), ``file://``, ``s3://``, ``http(s)://``,
        a SQLAlchemy URL or ``env:NAME`` for one.
    table : str, optional
        The table or SELECT of a database.

    Raises
    ------
    ConfigError
        If there is no such file, or a database lacks its table.
    """
    if source.startswith(_REMOTE):
        path = urlsplit(source).path.rstrip("/")
        return Location(_kind(path), source, dataset_name(_stem(path) or "rows"))
    if source.startswith("file://"):
        source = unquote(urlsplit(source).path)
    if source.startswith("env:") or "://" in source:
        if not table:
            raise ConfigError(f"{_shown(source)} is a database: say which table by --table NAME.")
        if not source.startswith("env:") and urlsplit(source).password:
            raise ConfigError(
                f"{_shown(source)}: a password does not belong in params.yaml. Put the address into a "
                "variable of the environment and say env:NAME in its place."
            )
        name = dataset_name(table) if re.fullmatch(r"[\w.]+", table) else "rows"
        return Location("sql", table, name, source)
    if table:
        raise ConfigError("--table belongs to a database; for files, the name of the file is enough.")
    return _local(source, sources)


def _local(source: str, sources: Path) -> Location:
    suffix = Path(source).suffix.lower()
    if suffix in _NOT_READ:
        raise ConfigError(
            f"{source} is {_NOT_READ[suffix]}, which is not read: save it as CSV or Parquet first."
        )
    expanded = Path(source).expanduser()
    for start in (Path.cwd(), sources):
        path = Path(os.path.normpath(start / expanded))
        pattern = re.sub(r"\{\w+\}", "*", str(path))
        if path.is_dir():
            raise ConfigError(
                f"{source} is a folder: say which of its files, for example {source.rstrip('/')}/*.csv."
            )
        if path.is_file() or _matches(pattern):
            where = str(path.relative_to(sources)) if path.is_relative_to(sources) else str(path)
            return Location(_kind(str(path)), where, dataset_name(_stem(str(path)) or "rows"))
    raise ConfigError(f"There is no file {source}, neither from here nor below {sources} (HOLDFAST_SOURCES).")


def _kind(path: str) -> str:
    return "parquet" if path.lower().endswith(_PARQUET) else "csv"


def _matches(pattern: str) -> bool:
    return next(glob.iglob(pattern), None) is not None  # noqa: PTH207 - the pattern may be absolute


def _stem(path: str) -> str:
    name = re.sub(r"\{\w+\}|[*?\[\]]", "", Path(path).name)
    return name.split(".")[0]


def _shown(source: str) -> str:
    """Return an address without its password."""
    return re.sub(r"(://[^:/@]*):[^@]*@", r"\1:***@", source)[:200]
