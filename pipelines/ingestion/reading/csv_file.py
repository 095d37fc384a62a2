"""A CSV file as a stream of record batches, whatever its size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from pipelines.errors import SchemaError
from pipelines.ingestion.reading.batches import StagedBatch
from pipelines.ingestion.reading.careful import Record, careful_records, split_lines
from pipelines.ingestion.reading.cells import Cells, parse_carefully, parse_records, trimmed
from pipelines.ingestion.reading.decoding import MARKER, Decoder
from pipelines.ingestion.reading.options import ReadingOptions
from pipelines.ingestion.reading.packed import Plain
from pipelines.ingestion.reading.records import split_records
from pipelines.ingestion.reading.rejects import Reject
from pipelines.ingestion.reading.schema import checked_names
from pipelines.ingestion.reading.spacing import Spacing

_PIECE_BYTES = 4 << 20
TOO_LONG = "record too long"


class CsvFile:
    """One CSV file, read from its start to its end, once.

    Parameters
    ----------
    stream : Plain
        Its unpacked bytes.
    name : str
        What a person calls it.
    options : ReadingOptions
        How it is written, and what it may hold.
    piece_bytes : int
        How much is read at a time.

    Attributes
    ----------
    columns : tuple of str
        As the header (or the configuration) names them, renamed.

    Raises
    ------
    SchemaError
        If it has no header, or one that can't be taken.
    """

    def __init__(
        self, stream: Plain, *, name: str, options: ReadingOptions, piece_bytes: int = _PIECE_BYTES
    ) -> None:
        self._stream = stream
        self._name = name
        self._options = options
        self._piece_bytes = piece_bytes
        # A longer record is taken for a line that never ends, or a quote that was never closed.
        self._max_record_bytes = max(8 * piece_bytes, 2 * options.max_cell_bytes)
        self._decoder = Decoder(options.encoding)
        self._spacing = Spacing(options.dialect.quote)
        self._text = b""
        self._line = 1
        self._is_last = False
        self._fill()
        for _ in range(options.skip_lines):
            self._drop_line()
        self.columns = self._columns()

    def batches(self) -> Iterator[StagedBatch]:
        """Give the rows and the rejected records, in the order of their lines."""
        while True:
            yield from self._block()
            if self._is_last:
                return
            if len(self._text) > self._max_record_bytes:
                yield self._rejected_line()
            self._fill()

    def _block(self) -> Iterator[StagedBatch]:
        """Give the whole records of the text at hand, and leave what is behind them."""
        text, n_columns = self._text, len(self.columns)
        records = split_records(text, self._options.dialect, is_last=self._is_last)
        cells = (
            None
            if records is None
            else parse_records(text, records, n_columns=n_columns, options=self._options)
        )
        if records is not None and cells is not None:
            yield self._batch(cells)
            self._advance(records.n_bytes, records.n_lines)
            return
        lines = split_lines(text, is_last=self._is_last)
        n_done = 0
        for careful, n_lines in parse_carefully(
            lines, n_columns=n_columns, options=self._options, is_last=self._is_last
        ):
            yield self._batch(careful)
            n_done = n_lines
        self._advance(sum(map(len, lines[:n_done])), n_done)

    def _batch(self, cells: Cells) -> StagedBatch:
        rejects = [Reject(reject.line + self._line, reject.reason, reject.text) for reject in cells.rejects]
        return StagedBatch.of_rows(
            self.columns,
            cells.columns,
            lines=cells.lines + self._line,
            rejects=rejects,
            n_blank=cells.n_blank,
        )

    def _columns(self) -> tuple[str, ...]:
        record = self._first_record()
        if not self._options.header:
            names: Sequence[str] = self._options.names
            if not names:
                names = [""] * len(self._present(record, "has no row to count columns by"))
        else:
            header = self._present(record, "has no header line")
            names = [*([""] if self._options.row_names else []), *trimmed(header, self._options)]
            # What is before the header, blank lines alone, goes with it.
            assert record is not None  # noqa: S101 - else it was refused
            lines = split_lines(self._text, is_last=self._is_last)[: record.line + record.n_lines]
            self._advance(sum(map(len, lines)), len(lines))
        return checked_names(names, name=self._name, options=self._options)

    def _present(self, record: Record | None, lack: str) -> list[str]:
        if record is None:
            raise SchemaError(f"{self._name} is empty: it {lack}.")
        cells = record.cells
        if cells is None:
            raise SchemaError(f"{self._name}: its header can't be read: a quote is not closed in it.")
        for flaw, words in ((MARKER, f"bytes that are not {self._options.encoding}"), ("\0", "a NUL byte")):
            if self._options.header and any(flaw in cell for cell in cells):
                raise SchemaError(
                    f"{self._name}: its header holds {words}. Set source.csv.encoding to the one that it is "
                    "written in."
                )
        return cells

    def _first_record(self) -> Record | None:
        """Return the first record that is not blank; where rows are counted, the first whole one."""
        while True:
            lines = split_lines(self._text, is_last=self._is_last)
            for record in careful_records(lines, self._options.dialect, n_cells=None, is_last=self._is_last):
                if record.cells or (record.cells is None and self._options.header):
                    return record
            if self._is_last:
                return None
            if len(self._text) > self._max_record_bytes:
                raise SchemaError(f"{self._name}: its header can't be read: its first line does not end.")
            self._fill()

    def _rejected_line(self) -> StagedBatch:
        """Set the first line aside, though the record does not end with it or the line does not end."""
        line, start = self._line, self._text[:1024]
        self._drop_line()
        empty = [pa.array([], pa.string())] * len(self.columns)
        lines = np.array([], dtype=np.int64)
        return StagedBatch.of_rows(
            self.columns,
            empty,
            lines=lines,
            rejects=[Reject(line, TOO_LONG, start.splitlines()[0])],
            n_blank=0,
        )

    def _drop_line(self) -> None:
        while not (lines := split_lines(self._text[: self._line_bytes()], is_last=self._is_last)):
            if self._is_last:
                return
            # Of a line without an end only a last CR matters: half of a CR LF, perhaps.
            self._text = self._text[-1:]
            self._fill()
        self._advance(len(lines[0]), 1)

    def _line_bytes(self) -> int:
        """Return up to where the first line surely ends, if its end is at hand."""
        found = [place for mark in (b"\n", b"\r") if (place := self._text.find(mark)) >= 0]
        return min(found) + 2 if found else len(self._text)

    def _advance(self, n_bytes: int, n_lines: int) -> None:
        self._text = self._text[n_bytes:]
        self._line += n_lines

    def _fill(self) -> None:
        piece = self._stream.read(self._piece_bytes)
        self._is_last = len(piece) < self._piece_bytes
        text = self._decoder.decode(piece, is_last=self._is_last)
        if self._options.dialect.is_spaced:
            text = self._spacing.single_tabs(text, is_last=self._is_last)
        self._text += text
        if self._is_last and self._text and not self._text.endswith((b"\n", b"\r")):
            self._text += b"\n"
