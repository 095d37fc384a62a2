"""What a file is read with: plain values, which travel to the process that parses."""

from __future__ import annotations

import codecs
import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Literal

from pipelines.errors import ConfigError

if TYPE_CHECKING:
    from pipelines.config import SourceConfig

#: Raise it when staged files would come out otherwise than before: older ones are then made anew.
FORMAT_VERSION = 1
_SPACED = "whitespace"


@dataclass(frozen=True)
class Dialect:
    """How a text file is written; see :class:`~pipelines.config.CsvConfig`.

    With ``is_spaced``, cells stand apart by runs of spaces and tabs, which are made one tab each.
    """

    delimiter: str = ","
    quote: str | None = '"'
    escape: str | None = None
    trim: bool = False
    is_spaced: bool = False


@dataclass(frozen=True)
class ReadingOptions:
    """Everything that decides how the bytes of a file become a staged table.

    Parameters
    ----------
    missing : tuple of str
        Cells that mean "no value", besides the empty one.
    rename : mapping of str to str
        The file's column to its new name.
    max_file_bytes : int
        Of the file, and of what it unpacks to.
    """

    kind: Literal["csv", "parquet"] = "csv"
    dialect: Dialect = Dialect()
    encoding: str = "utf-8"
    skip_lines: int = 0
    header: bool = True
    names: tuple[str, ...] = ()
    row_names: bool = False
    missing: tuple[str, ...] = ("", "NA")
    rename: tuple[tuple[str, str], ...] = ()
    max_columns: int = 2_000
    max_cell_bytes: int = 1_000_000
    max_file_bytes: int = 64 * 1024**3
    max_memory_bytes: int = 1024**3

    def to_json(self) -> str:
        """Return the options as one line of JSON; equal options give equal lines."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> ReadingOptions:
        """Return the options that :meth:`to_json` wrote."""
        fields = json.loads(text)
        fields["dialect"] = Dialect(**fields["dialect"])
        fields["rename"] = tuple((old, new) for old, new in fields["rename"])
        return cls(**fields | {name: tuple(fields[name]) for name in ("names", "missing")})


def options_of(source: SourceConfig) -> ReadingOptions:
    """Return the options that a source's files are read with.

    Raises
    ------
    ConfigError
        If a mark of the dialect is not an ASCII character, or the encoding is none of text.
    """
    options = ReadingOptions(
        kind="parquet" if source.kind == "parquet" else "csv",
        rename=tuple(sorted(source.rename.items())),
        max_columns=source.limits.max_columns,
        max_cell_bytes=source.limits.max_cell_bytes,
        max_file_bytes=source.limits.max_file_bytes,
        max_memory_bytes=source.limits.max_memory_bytes,
    )
    if options.kind == "parquet":
        return options
    text = source.csv
    for mark in ("delimiter", "quote", "escape"):
        value = getattr(text, mark)
        if value is not None and value != _SPACED and (not value.isascii() or value in "\r\n\0"):
            raise ConfigError(
                f"source.csv.{mark} is {value!r}; it must be one ASCII character, and no line end."
            )
    if text.delimiter in (text.quote, text.escape):
        raise ConfigError(f"source.csv: the delimiter {text.delimiter!r} is a quote or escape mark too.")
    if not getattr(codecs.lookup(text.encoding), "_is_text_encoding", True):
        raise ConfigError(f"source.csv.encoding {text.encoding!r} is no encoding of text.")
    # A doubled quote within quotes is one quote in any case, so that mark says nothing more.
    escape = None if text.escape == text.quote else text.escape
    return replace(
        options,
        dialect=Dialect(
            delimiter="\t" if text.delimiter == _SPACED else text.delimiter,
            quote=text.quote,
            escape=escape,
            trim=text.trim,
            is_spaced=text.delimiter == _SPACED,
        ),
        encoding=text.encoding,
        skip_lines=text.skip_lines,
        header=text.header,
        names=text.names,
        row_names=text.row_names,
        missing=tuple(sorted(source.missing)),
    )
