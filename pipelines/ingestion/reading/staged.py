"""What reading hands on: staged files, and the first bytes of files."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

#: Columns that staging adds to the source's own.
LINE_COLUMN, REJECT_COLUMN = "holdfast_line", "holdfast_reject"


@dataclass(frozen=True)
class StagedFile:
    """One file of a source table (or one read of a database), as a Parquet file.

    Parameters
    ----------
    path : Path
        The Parquet file: the source's columns, renamed; then ``holdfast_line`` (BIGINT, 1-based: the
        physical line where the record starts, or the number of the row) and ``holdfast_reject``
        (VARCHAR: null, or why the record is no row, and its text; its cells are null then). It is
        whole for as long as ``stage_source`` is open.
    name : str
        What a person calls the file: relative to ``HOLDFAST_SOURCES`` where it lies below.
    columns : tuple of str
        The source's columns by their new names, in the file's order.
    n_rows : int
        Records in ``path``, rejected ones among them.
    n_rejected : int
        Records that are no rows.
    fingerprint : str
        ``sha256:<hex>`` of the file's bytes (of the rows, under SQL): equal on every machine.
    day : date, optional
        The night that the file belongs to, where its location names one.
    n_blank : int
        Records whose every cell is empty; they are not in ``path``.
    refusal : str, optional
        Why the file can't be read as a whole. Then it has no rows, and ``path`` is not there. Only
        where ``stage_source`` was asked to keep such files.
    """

    path: Path
    name: str
    columns: tuple[str, ...]
    n_rows: int
    n_rejected: int
    fingerprint: str
    day: date | None = None
    n_blank: int = 0
    refusal: str | None = None


@dataclass(frozen=True)
class Peeked:
    """The first bytes of a file, unpacked from .gz or .zip."""

    name: str
    data: bytes
