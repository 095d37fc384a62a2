"""Rows of the quarantine as files that people edit: written, and read back.

JSON lines hold every cell exactly. CSV is for spreadsheets: a text that one would take for a formula
gets an apostrophe in front, which is taken off again when the file is read; an empty cell is no value.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa

from pipelines.config.explanations import nearest
from pipelines.errors import ConfigError

#: An edited row: its line in the file, its key, and its cells as a JSON object of texts and nulls.
EDIT_SCHEMA = pa.schema(
    [("line", pa.int64()), ("quarantine_id", pa.string()), ("holdfast_cells", pa.string())]
)
_ABOUT = ("quarantine_id", "row_id", "source_file", "source_line")
_REASONS = "holdfast_reasons"
# What starts a formula in one spreadsheet or another, also in full width; and our own mark.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", "'")
_BATCH_ROWS = 5_000
_MAX_CELL_CHARS = 16 * 1024**2
_MAX_PROBLEMS = 20


@dataclass
class Problems:
    """What is wrong with an edited file: the first of it by line, and how much in all."""

    said: list[tuple[int, str]] = field(default_factory=list)
    n: int = 0

    def add(self, line: int, what: str) -> None:
        """Note one more."""
        self.n += 1
        if len(self.said) < _MAX_PROBLEMS:
            self.said.append((line, what))

    def refuse(self, name: str) -> None:
        """Raise the ConfigError that tells of all problems; do nothing if there is none."""
        if not self.n:
            return
        told = " ".join(f"line {line}: {what[:160]}." for line, what in sorted(self.said))
        more = f" And {self.n - len(self.said)} more." if self.n > len(self.said) else ""
        raise ConfigError(f"{name}: nothing was written; mend the file and try again. {told}{more}")


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> int:
    """Write rows of the quarantine to a ``.jsonl`` or ``.csv`` file, as they come; return how many.

    Parameters
    ----------
    rows : iterable of mapping
        ``quarantine_id``, ``row_id``, ``source_file``, ``source_line``, ``reasons`` (a list) and
        ``row`` (the cells, by name).
    columns : sequence of str
        The cells, in order.

    Raises
    ------
    ConfigError
        If the name ends otherwise, or the file can't be written.
    """
    write = {".jsonl": _write_json, ".csv": _write_csv}.get(path.suffix.lower())
    if write is None:
        raise ConfigError(f"{path}: rows are written as .jsonl or .csv; name the file so.")
    partial = path.with_name(f".{path.name}.part")
    try:
        with partial.open("w", encoding="utf-8", newline="") as file:
            n_rows = write(file, rows, columns)
        partial.replace(path)
    except OSError as error:
        raise ConfigError(f"Can't write {path}: {error.strerror}.") from error
    finally:
        partial.unlink(missing_ok=True)
    return n_rows


def read_edits(path: Path, columns: Sequence[str], problems: Problems) -> Iterator[pa.RecordBatch]:
    """Yield the edited rows of a file, a batch at a time.

    Parameters
    ----------
    columns : sequence of str
        The cells that may be there.
    problems : Problems
        Gets what can't be read: lines that are no rows, unknown columns, keys that are there twice
        are found later.

    Yields
    ------
    pyarrow.RecordBatch
        Of :data:`EDIT_SCHEMA`.

    Raises
    ------
    ConfigError
        If the file is neither ``.jsonl`` nor ``.csv``, or can't be read as text.
    """
    read = {".jsonl": _read_json, ".csv": _read_csv}.get(path.suffix.lower())
    if read is None:
        raise ConfigError(f"{path}: an edited export is a .jsonl or .csv file.")
    batch: list[tuple[int, str, str]] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for edit in read(file, columns, problems):
                batch.append(edit)
                if len(batch) == _BATCH_ROWS:
                    yield _batch(batch)
                    batch = []
    except OSError as error:
        raise ConfigError(f"Can't read {path}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text (byte {error.start}): save it as UTF-8.") from error
    if batch:
        yield _batch(batch)


def edits_of(
    cells: Mapping[str, Mapping[str, str | None]], columns: Sequence[str], problems: Problems
) -> Iterator[pa.RecordBatch]:
    """Yield edits that were given one by one, as :func:`read_edits` yields those of a file."""
    for line, (key, row) in enumerate(cells.items(), start=1):
        for name in row:
            if name not in columns:
                problems.add(line, f"unknown column {name[:60]!r}.{nearest(name, columns)}")
        yield _batch([(line, key, json.dumps(dict(row), ensure_ascii=False))])


def defused(text: str) -> str:
    """Return ``text`` such that no spreadsheet takes it for a formula.

    Examples
    --------
    >>> defused("=1+1"), defused("plain")
    ("'=1+1", 'plain')
    """
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def restored(text: str) -> str:
    """Return what :func:`defused` was given.

    Examples
    --------
    >>> restored("'=1+1"), restored("plain")
    ('=1+1', 'plain')
    """
    return text[1:] if text.startswith("'") else text


def _batch(edits: Sequence[tuple[int, str, str]]) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(
        [pa.array(column) for column in zip(*edits, strict=True)], schema=EDIT_SCHEMA
    )


def _write_json(file: TextIO, rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> int:
    n_rows = 0
    for row in rows:
        cells = {name: row["row"].get(name) for name in columns}
        kept = {**{name: row[name] for name in _ABOUT}, "reasons": row["reasons"], "row": cells}
        file.write(json.dumps(kept, ensure_ascii=False) + "\n")
        n_rows += 1
    return n_rows


def _write_csv(file: TextIO, rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> int:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*_ABOUT, _REASONS, *(defused(name) for name in columns)])
    n_rows = 0
    for row in rows:
        reasons = "; ".join(f"{reason['rule']}({reason['column']})" for reason in row["reasons"])
        cells = [*(row[name] for name in _ABOUT), reasons, *(row["row"].get(name) for name in columns)]
        writer.writerow([_csv_cell(cell) for cell in cells])
        n_rows += 1
    return n_rows


def _csv_cell(value: Any) -> Any:
    if isinstance(value, str):
        return defused(value)
    return str(value).lower() if isinstance(value, bool) else value


def _read_json(file: TextIO, columns: Sequence[str], problems: Problems) -> Iterator[tuple[int, str, str]]:
    known = set(columns)
    for line, text in enumerate(file, start=1):
        if not text.strip():
            continue
        try:
            # Numbers as they are written: 0.10 must not become another number on its way.
            content = json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
        except (ValueError, RecursionError):
            problems.add(line, "this is not a line of JSON")
            continue
        cells = content.get("row") if isinstance(content, dict) else None
        key = content.get("quarantine_id") if isinstance(content, dict) else None
        if not isinstance(cells, dict) or not isinstance(key, str):
            problems.add(line, "a row has a `quarantine_id` and a `row` of cells")
            continue
        wrong = [name for name in cells if name not in known]
        nested = [name for name, value in cells.items() if isinstance(value, dict | list)]
        for name in wrong:
            problems.add(line, f"unknown column {name[:60]!r}.{nearest(name, columns)}")
        for name in nested:
            problems.add(line, f"{name[:60]!r} is no single value")
        if not wrong and not nested:
            yield line, key, _texts(cells)


def _read_csv(file: TextIO, columns: Sequence[str], problems: Problems) -> Iterator[tuple[int, str, str]]:
    header = file.readline()
    delimiter = _delimiter(header)
    names = [restored(name) for name in next(csv.reader([header], delimiter=delimiter), [])]
    cells = [name for name in names if name not in (*_ABOUT, _REASONS)]
    if "quarantine_id" not in names:
        problems.add(1, "the first line names the columns, and there is no `quarantine_id`")
        return
    for name in cells:
        if name not in columns:
            problems.add(1, f"unknown column {name[:60]!r}.{nearest(name, columns)}")
    if len(set(names)) != len(names):
        problems.add(1, "a column is there twice")
    if problems.n:
        return
    before = csv.field_size_limit(_MAX_CELL_CHARS)
    try:
        yield from _csv_rows(csv.reader(file, delimiter=delimiter), names, cells, problems)
    finally:
        csv.field_size_limit(before)


def _delimiter(header: str) -> str:
    """Return what separates the cells: spreadsheets of other countries write semicolons."""
    found = re.match(r'"?quarantine_id"?([,;\t])', header)
    return found[1] if found else ","


def _csv_rows(
    reader: Any, names: Sequence[str], cells: Sequence[str], problems: Problems
) -> Iterator[tuple[int, str, str]]:
    while True:
        line = reader.line_num + 2  # the header was read apart
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            problems.add(line, str(error))
            continue
        if not values:
            continue
        if len(values) != len(names):
            problems.add(line, f"it has {len(values)} cells, and the header {len(names)}")
            continue
        row = dict(zip(names, values, strict=True))
        yield (
            line,
            restored(row["quarantine_id"]),
            _texts({name: restored(row[name]) or None for name in cells}),
        )


def _texts(cells: Mapping[str, Any]) -> str:
    texts = {name: str(value).lower() if isinstance(value, bool) else value for name, value in cells.items()}
    return json.dumps(texts, ensure_ascii=False)
