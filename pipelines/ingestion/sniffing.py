"""Guess how a text file is written: encoding, delimiter, quotes, header, and what stands above it.

The guess is made on the first bytes of a file. What the cells mean (numbers, dates, missing
values) is not asked here: :mod:`pipelines.onboarding` looks at the whole table for that.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from pipelines.config import CsvConfig
from pipelines.errors import SchemaError

WHITESPACE: Literal["whitespace"] = "whitespace"
_DELIMITERS = (",", ";", "\t", "|", WHITESPACE, ":", "~", "^")
_MAX_RECORDS = 2_000
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NUMBER = re.compile(r"[-+]?(\d[\d ,.']*|[.,]\d+)([eE][-+]?\d+)?\s*%?")
_MOMENT = re.compile(
    r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T]\d{1,2}[:.]\d{2}.*)?"
    r"|\d{1,2}[:.]\d{2}([:.]\d{2}(\.\d+)?)?( ?[AaPp][Mm])?"
)
_NOTHING = re.compile(r"\?+|-+|\.|NA|N/A|#N/A|NaN|nan|null|NULL|None|none|", re.ASCII)
_QUOTED = re.compile(r"\"((?:[^\"]|\"\")*)\"|'((?:[^']|'')*)'|(\S+)")


@dataclass(frozen=True)
class Sniffed:
    """How a text file seems to be written.

    Parameters
    ----------
    csv : CsvConfig
        Without ``decimal`` and ``thousands``, which the cells of the whole table decide.
    names : tuple of str
        The header's names as they are written; of a file without one, ``column0`` and so on.
    notes : tuple of str
        What was found, a sentence each.
    doubts : tuple of str
        What a person should look at.
    """

    csv: CsvConfig
    names: tuple[str, ...]
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


@dataclass
class _Table:
    """Records as one delimiter and quote split them, each with the physical line where it starts."""

    delimiter: str
    quote: str | None
    escape: str | None = None
    records: list[list[str]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)

    @property
    def width(self) -> int:
        """The cells of most records."""
        counts = Counter(len(record) for record in self.records if any(record))
        return max(counts, key=lambda n: (counts[n], n), default=0)

    @property
    def score(self) -> float:
        """How much this looks like a table, 0-1: even records, of cells that are whole."""
        filled = [record for record in self.records if any(record)]
        if not filled or self.width < 2:
            return 0.0
        even = [record for record in filled if len(record) == self.width]
        cells = [cell.strip() for record in even[:300] for cell in record]
        clean = sum(_is_clean(cell, self.delimiter) for cell in cells) / len(cells)
        return len(even) / len(filled) * clean**2


def sniff(data: bytes, *, name: str = "the file", is_whole: bool = False) -> Sniffed:
    """Guess how a text file is written.

    Parameters
    ----------
    data : bytes
        Its beginning; a megabyte is plenty.
    name : str
        What errors call the file.
    is_whole : bool
        ``data`` is all of it; otherwise its last line counts as cut off.

    Raises
    ------
    SchemaError
        If the file is empty, is no text, or is one endless line.
    """
    encoding, doubts = _encoding(data, name)
    text = (
        data.decode(encoding, errors="ignore")
        .removeprefix("\ufeff")
        .replace("\r\n", "\n")
        .replace("\r", "\n")
    )
    if not is_whole and "\n" in text:
        text = text[: text.rindex("\n") + 1]
    if not text.strip():
        raise SchemaError(f"{name} holds no text: there is nothing to learn a table from.")
    table = _best_table(text)
    if not any(map(any, table.records)):
        raise SchemaError(f"{name} can't be split into cells: its first line does not end, or is empty.")
    start, has_row_names, header = _start(table)
    body = [record for record in table.records[start:] if any(record)]
    names = _names(table, body, header=header, has_row_names=has_row_names)
    # A header that names too few columns, or one name twice, can't be read: its names are written down.
    is_short = header and not has_row_names and (len(body[0]) < table.width or names != _own_names(body[0]))
    config = CsvConfig(
        delimiter=table.delimiter,
        quote=table.quote,
        escape=table.escape,
        encoding=encoding,
        skip_lines=table.lines[start] - 1 + is_short,
        header=header and not is_short,
        names=tuple(names) if is_short else (),
        row_names=has_row_names,
        trim=_is_padded(text, table),
    )
    if table.width < 2:
        doubts.append("No delimiter was found: the file is taken as a table of one column.")
    return Sniffed(config, tuple(names), tuple(_notes(config, table)), tuple(doubts))


def _encoding(data: bytes, name: str) -> tuple[str, list[str]]:
    """Return the codec of ``data``, and what is unsure about it."""
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return encoding, []
    head = data[:4_000]
    if wide := _wide(head):
        return wide, [f"There is no byte order mark; every second byte is zero, so it is taken as {wide}."]
    if b"\0" in head:
        raise SchemaError(f"{name} holds zero bytes: it is no text. Is it another kind of file?")
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data)
        return "utf-8", []
    except UnicodeDecodeError:
        pass
    encoding = _eight_bit(data)
    return encoding, [f"The text is not UTF-8; {encoding} is a guess: look at a word with an accent."]


def _wide(head: bytes) -> str | None:
    half = len(head) // 2
    if half < 2:
        return None
    if head[1::2].count(0) > 0.7 * half and head[0::2].count(0) < 0.1 * half:
        return "utf-16-le"
    return "utf-16-be" if head[0::2].count(0) > 0.7 * half and head[1::2].count(0) < 0.1 * half else None


def _eight_bit(data: bytes) -> str:
    """Return the likeliest codec of text that is not UTF-8."""
    high = sum(byte > 0x7F for byte in data[:200_000])
    letters = sum(chr(byte).isalpha() for byte in data[:200_000] if byte < 0x80)
    if high > letters / 2:
        # Few languages of Latin letters have so many accents: ask who knows the others.
        from charset_normalizer import from_bytes

        found = from_bytes(data[:50_000]).best()
        if found is not None:
            return codecs.lookup(found.encoding).name
    if any(0x80 <= byte <= 0x9F for byte in data):
        try:
            data.decode("cp1252")
            return "cp1252"
        except UnicodeDecodeError:
            pass
    return "latin-1"


def _best_table(text: str) -> _Table:
    quotes = [quote for quote in ('"', "'") if _is_quote(text, quote)] or ['"']
    tables = [_split(text, delimiter, quotes[0]) for delimiter in _DELIMITERS]
    scores = [table.score for table in tables]
    best = max(range(len(tables)), key=lambda place: (round(scores[place], 2), -place))
    return tables[best] if scores[best] > 0.1 else tables[0]


def _is_quote(text: str, quote: str) -> bool:
    """Return whether ``quote`` wraps cells: it opens where a cell starts, and closes where one ends."""
    opened = len(re.findall(rf"(?:^|[,;\t| ]){quote}", text[:200_000], re.M))
    closed = len(re.findall(rf"{quote}(?:$|[,;\t| ])", text[:200_000], re.M))
    return opened >= 1 and closed >= 1 and (quote == '"' or min(opened, closed) > 0.8 * max(opened, closed))


def _split(text: str, delimiter: str, quote: str | None) -> _Table:
    if delimiter == WHITESPACE:
        return _split_by_spaces(text, quote)
    escape = "\\" if f"\\{quote}" in text and f"{quote}{quote}" not in text else None
    table = _Table(delimiter, quote, escape)
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=delimiter,
        quotechar=quote,
        doublequote=escape is None,
        escapechar=escape,
        skipinitialspace=True,
    )
    line = 1
    try:
        for record in reader:
            table.records.append(record)
            table.lines.append(line)
            line = reader.line_num + 1
            if len(table.records) >= _MAX_RECORDS:
                break
    except csv.Error:
        pass  # a cell as long as the whole file: what was split so far has to do
    return table


def _split_by_spaces(text: str, quote: str | None) -> _Table:
    table = _Table(WHITESPACE, quote)
    for line, record in enumerate(text.split("\n")[:_MAX_RECORDS], start=1):
        table.records.append([a or b or c for a, b, c in _QUOTED.findall(record)])
        table.lines.append(line)
    return table


def _is_clean(cell: str, delimiter: str) -> bool:
    """Return whether a cell looks whole: a number, a time, or a text that hides no other delimiter."""
    if not cell or _NUMBER.fullmatch(cell) or _MOMENT.fullmatch(cell):
        return True
    return not any(mark in cell for mark in (";", "\t", "|", ",", "  ") if mark != delimiter)


def _start(table: _Table) -> tuple[int, bool, bool]:
    """Return where the table starts, whether it has row names, and whether it has a header."""
    width = table.width
    for place, record in enumerate(table.records):
        if not any(record):
            continue
        body = [later for later in table.records[place + 1 :] if len(later) == width]
        if len(record) == width - 1 and width > 2 and body and _follows(table, place, width):
            return place, not all(later[-1] == "" for later in body), True
        if len(record) == width:
            return place, False, _is_header(record, body)
    return 0, False, False


def _follows(table: _Table, place: int, width: int) -> bool:
    """Return whether the table's rows come right after the record at ``place``."""
    return place + 1 < len(table.records) and len(table.records[place + 1]) == width


def _is_header(first: Sequence[str], body: Sequence[Sequence[str]]) -> bool:
    """Return whether the first record names the columns, by how it differs from the rows below it."""
    if any(_is_value(cell) for cell in first):
        return False
    if not body:
        return True
    named = [cell.strip() for cell in first if cell.strip()]
    if len(set(named)) < len(named) / 2:
        return False
    for place, cell in enumerate(first):
        below = [row[place].strip() for row in body]
        present = [text for text in below if not _NOTHING.fullmatch(text)]
        if present and cell and sum(map(_is_value, present)) > 0.8 * len(present):
            # A name over a column of values; unless the first row lacks its value.
            return not _NOTHING.fullmatch(cell.strip())
    # Columns of words: a name does not come again below itself.
    return not any(cell and cell in {row[place] for row in body} for place, cell in enumerate(first))


def _is_value(cell: str) -> bool:
    text = cell.strip()
    return bool(_NUMBER.fullmatch(text) or _MOMENT.fullmatch(text))


def _names(table: _Table, body: Sequence[Sequence[str]], *, header: bool, has_row_names: bool) -> list[str]:
    if not header:
        return [f"column{place}" for place in range(table.width)]
    names = _own_names(body[0])
    if has_row_names:
        return ["row_name", *names]
    names += [f"column{place}" for place in range(len(names), table.width)]
    taken: set[str] = set()
    for place, name in enumerate(names):
        number = 1
        while names[place].lower() in taken:
            number += 1
            names[place] = f"{name}_{number}"
        taken.add(names[place].lower())
    return names


def _own_names(header: Sequence[str]) -> list[str]:
    return [name.strip() or f"column{place}" for place, name in enumerate(header)]


def _is_padded(text: str, table: _Table) -> bool:
    """Return whether there are spaces around cells."""
    if table.delimiter == WHITESPACE:
        return False
    lines = text.split("\n")[:_MAX_RECORDS]
    return any(f"{table.delimiter} " in line or f" {table.delimiter}" in line for line in lines)


def _notes(config: CsvConfig, table: _Table) -> list[str]:
    mark = {"\t": "tabs", WHITESPACE: "runs of spaces", " ": "spaces"}.get(
        config.delimiter, repr(config.delimiter)
    )
    notes = [f"{config.encoding} text of {table.width} columns between {mark}"]
    notes.append("a header" if config.header else "its first line is a row, not a header")
    if config.names:
        notes[-1] = "a header that does not name each column once, so `names` does"
    if config.row_names:
        notes.append("row names in front, which the header does not name")
    if config.skip_lines and not config.names:
        notes.append(f"{config.skip_lines} line(s) above the table")
    if config.trim:
        notes.append("spaces around cells, which are cut off")
    return ["; ".join(notes) + "."]
