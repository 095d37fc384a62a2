"""Where a dataset's rows come from, and how its files are written."""

from __future__ import annotations

import re
from collections import Counter
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from pipelines.config.base import Closed, Name

Checksum = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
OneCharacter = Annotated[str, Field(min_length=1, max_length=1)]

#: What a location may name of the night that is read; a location that has one is read for that night alone.
PLACEHOLDERS = ("partition_key", "year", "month", "day")


class CsvConfig(Closed):
    """How text files are written.

    ``encoding`` is a codec's name (``utf-8`` takes a byte order mark too). ``skip_lines`` lines stand
    before the header (or the first row). ``header: false`` means that the first line is a row; then
    ``names`` names the columns, else they are ``column0``, ``column1`` and so on. ``delimiter:
    whitespace`` is any run of spaces and tabs. With ``trim``, spaces around a cell are not part of it.
    ``row_names`` means that each row has one cell more than the header, in front of the others.
    """

    delimiter: OneCharacter | Literal["whitespace"] = ","
    quote: OneCharacter | None = '"'
    escape: OneCharacter | None = None
    encoding: str = "utf-8"
    decimal: OneCharacter = "."
    thousands: OneCharacter | None = None
    skip_lines: int = Field(default=0, ge=0)
    header: bool = True
    names: tuple[str, ...] = ()
    trim: bool = False
    row_names: bool = False

    @field_validator("encoding")
    @classmethod
    def _is_known(cls, name: str) -> str:
        import codecs

        try:
            return codecs.lookup(name).name
        except LookupError as error:
            raise ValueError(f"{name!r} is no encoding that Python knows (utf-8, latin-1)") from error

    @model_validator(mode="after")
    def _marks_differ(self) -> CsvConfig:
        if self.header and self.names:
            raise ValueError("`names` belongs to files without a header: set `header: false` too")
        if self.row_names and not self.header:
            raise ValueError("`row_names` belongs to files with a header: name all columns in `names`")
        if self.decimal in (self.delimiter, self.thousands):
            raise ValueError("`decimal` must differ from `delimiter` and `thousands`")
        return self


class LimitsConfig(Closed):
    """What a source may hold; more of it is refused, whatever a file claims about itself."""

    max_columns: int = Field(default=2_000, ge=1)
    max_cell_bytes: int = Field(default=1_000_000, ge=1)
    max_file_bytes: int = Field(default=64 * 1024**3, ge=1)
    max_memory_bytes: int = Field(default=1024**3, ge=256 * 1024**2)


class SourceConfig(Closed):
    """Where a dataset's rows come from.

    ``tables`` says where each table lies: inside the installed ``package`` (kind ``packaged``); as a
    path or glob below ``HOLDFAST_SOURCES`` or absolute, an ``s3://bucket/prefix`` or glob, or an
    ``http(s)://`` address (kinds ``csv`` and ``parquet``); or as a table's name or a SELECT with the
    bound parameters ``:start``, ``:end`` and ``:day`` (kind ``sql``, at the database ``url``). ``sql``
    is a DuckDB query over those tables that gives one row an event; without it the only table is
    taken as it is.

    Parameters
    ----------
    url : str, optional
        SQLAlchemy's address of the database, without a password; ``env:NAME`` reads it from the
        environment.
    headers : mapping, optional
        Sent with every HTTP request; a value ``env:NAME`` is read from the environment.
    checksums : mapping, optional
        Of a table: the SHA-256 (``sha256:<hex>``) that its one file must have.
    rename : mapping
        A source's column to the name that it has from there on, also in ``sql`` and ``event_time``.
    formats : mapping
        Of date and timestamp columns: how their text is written, in the words of strptime.
    timezone : str
        In which times without an offset are to be read; an IANA name.
    version : str, optional
        The column that says which of several rows with one key is the newest; the largest wins.
        Without it the file that sorts last wins.
    lookback_days : int
        How many nights before the one that is ingested are read again, for rows that came late.
    replay_year : int, optional
        Maps every calendar date to the same day of that year.
    """

    kind: Literal["packaged", "csv", "parquet", "sql"]
    package: str | None = None
    url: str | None = None
    tables: dict[Name, str] = Field(min_length=1)
    sql: str | None = None
    csv: CsvConfig = CsvConfig()
    missing: tuple[str, ...] = ("", "NA")
    headers: dict[str, str] = Field(default_factory=dict)
    checksums: dict[Name, Checksum] = Field(default_factory=dict)
    rename: dict[str, str] = Field(default_factory=dict)
    formats: dict[str, str] = Field(default_factory=dict)
    timezone: str = "UTC"
    version: str | None = None
    lookback_days: int = Field(default=7, ge=0, le=366)
    replay_year: int | None = None
    limits: LimitsConfig = LimitsConfig()

    @model_validator(mode="after")
    def _kind_has_what_it_needs(self) -> SourceConfig:
        if (self.kind == "packaged") != (self.package is not None):
            raise ValueError("`package` belongs to kind `packaged`, and only there")
        if (self.kind == "sql") != (self.url is not None):
            raise ValueError("`url` belongs to kind `sql`, and only there")
        if self.sql is None and len(self.tables) != 1:
            raise ValueError("several `tables` need an `sql` query that joins them")
        if self.kind != "sql":
            self._require_known_placeholders()
        if unknown := sorted(set(self.checksums) - set(self.tables)):
            raise ValueError(f"checksums: {', '.join(unknown)} is not among `tables`")
        if twice := sorted(name for name, n in Counter(self.rename.values()).items() if n > 1):
            raise ValueError(f"rename: {', '.join(twice)}: two columns would have that name")
        return self

    def _require_known_placeholders(self) -> None:
        for location in self.tables.values():
            for name in re.findall(r"\{(\w*)\}", location):
                if name not in PLACEHOLDERS:
                    raise ValueError(
                        f"{location}: unknown placeholder {{{name}}}; known: {', '.join(PLACEHOLDERS)}"
                    )

    @field_validator("url")
    @classmethod
    def _holds_no_secret(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith("env:") and urlsplit(url).password:
            raise ValueError("a password does not belong in params.yaml: write `url: env:NAME` and set NAME")
        return url

    @field_validator("timezone")
    @classmethod
    def _is_a_zone(cls, name: str) -> str:
        from zoneinfo import ZoneInfo

        try:
            ZoneInfo(name)
        except (ValueError, OSError) as error:
            raise ValueError(f"{name!r} is no IANA time zone, such as Europe/Rome") from error
        return name
