"""Any CSV text: the rows of Python's csv module, at their physical lines, however it is cut."""

from __future__ import annotations

import csv
import io

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.ingestion.reading.batches import StagedBatch
from pipelines.ingestion.reading.csv_file import CsvFile
from pipelines.ingestion.reading.options import Dialect, ReadingOptions
from pipelines.ingestion.reading.packed import Plain
from pipelines.ingestion.reading.staged import LINE_COLUMN, REJECT_COLUMN

Row = tuple[int, list[str | None] | None]

DIALECTS = [Dialect(), Dialect(delimiter=";"), Dialect(delimiter="\t", quote="'"), Dialect(quote=None)]
CELLS = st.text(alphabet="ab1\"';,\t \n\ré\\", max_size=6)
SCRAPS = st.lists(
    st.sampled_from(
        ["a", "é", "1", ",", ",", '"', '"', '""', "\n", "\n", "\r\n", "\r", ',"x', 'x"', '",', "\\"]
    ),
    max_size=60,
).map("".join)


def read(text: str, dialect: Dialect, piece_bytes: int, *, n_columns: int = 2) -> tuple[list[Row], int]:
    """Return each row (None where it is rejected) with its line, and the number of blank records."""
    data = text.encode()
    names = tuple("abcdefgh"[:n_columns])
    options = ReadingOptions(dialect=dialect, header=False, names=names, missing=())
    stream = Plain(io.BytesIO(data), name="x.csv", n_packed=len(data), max_bytes=1 << 30)
    file = CsvFile(stream, name="x.csv", options=options, piece_bytes=piece_bytes)
    batches: list[StagedBatch] = list(file.batches())
    table = pa.concat_tables([batch.table for batch in batches]).to_pylist()
    rows: list[Row] = [
        (row[LINE_COLUMN], None if row[REJECT_COLUMN] else [row[name] for name in names]) for row in table
    ]
    assert sum(batch.n_rejected for batch in batches) == sum(cells is None for _, cells in rows)
    return rows, sum(batch.n_blank for batch in batches)


def expected(text: str, dialect: Dialect, *, n_columns: int = 2) -> tuple[list[Row], int]:
    """Say what the rows are, line by line and slowly, by nothing but Python's csv module."""
    lines = [line.decode() for line in text.encode().splitlines(keepends=True)]
    if lines and not lines[-1].endswith(("\r", "\n")):
        lines[-1] += "\n"
    quoting = csv.QUOTE_MINIMAL if dialect.quote else csv.QUOTE_NONE
    how = {"delimiter": dialect.delimiter, "quotechar": dialect.quote, "escapechar": dialect.escape}
    rows: list[Row] = []
    n_blank = at = 0
    while at < len(lines):
        record, n_lines = None, 1
        for end in range(at + 1, len(lines) + 1):
            reader = csv.reader([*lines[at:end], "\n"], **how, quoting=quoting)
            cells = next(reader)
            if reader.line_num > end - at:
                continue
            if end - at == 1:
                record = cells
            else:
                try:
                    strict = next(csv.reader(lines[at:end], **how, quoting=quoting, strict=True))
                except csv.Error:
                    strict = []
                record, n_lines = (strict, end - at) if len(strict) == n_columns else (None, 1)
            break
        if record is not None and not any(record):
            n_blank += 1
        else:
            whole = record is not None and len(record) == n_columns
            rows.append((at + 1, [cell or None for cell in record] if record and whole else None))
        at += n_lines
    return rows, n_blank


# A busy machine may take long over any one example.
@settings(deadline=None)
@given(
    cells=st.lists(st.lists(CELLS, min_size=2, max_size=2), max_size=12),
    dialect=st.sampled_from(DIALECTS[:3]),
    line_end=st.sampled_from(["\n", "\r\n"]),
    piece_bytes=st.integers(5, 200),
)
def test_what_pythons_writer_wrote_is_read_back(
    cells: list[list[str]], dialect: Dialect, line_end: str, piece_bytes: int
) -> None:
    written = io.StringIO()
    # Python 3.11 leaves a lone CR without quotes, unless it is told to quote everything.
    has_return = any("\r" in cell for row in cells for cell in row)
    writer = csv.writer(
        written,
        delimiter=dialect.delimiter,
        quotechar=dialect.quote,
        lineterminator=line_end,
        quoting=csv.QUOTE_ALL if has_return else csv.QUOTE_MINIMAL,
    )
    rows: list[Row] = []
    for row in cells:
        line = len(written.getvalue().encode().splitlines()) + 1
        writer.writerow(row)
        if any(row):
            rows.append((line, [cell or None for cell in row]))
    found, n_blank = read(written.getvalue(), dialect, piece_bytes)
    assert found == rows
    assert n_blank == len(cells) - len(rows)


@settings(deadline=None)
@given(text=SCRAPS, dialect=st.sampled_from(DIALECTS), piece_bytes=st.integers(5, 200))
def test_any_text_gives_the_rows_of_pythons_csv_module(text: str, dialect: Dialect, piece_bytes: int) -> None:
    assert read(text, dialect, piece_bytes) == expected(text, dialect)


@settings(deadline=None)
@given(text=SCRAPS, piece_bytes=st.integers(5, 200))
def test_escape_marks_are_read_as_pythons_csv_module_does(text: str, piece_bytes: int) -> None:
    dialect = Dialect(escape="\\")
    assert read(text, dialect, piece_bytes) == expected(text, dialect)
