"""The lines that are hashed are, byte for byte, those of the CSV by which digests are defined."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import date
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import csv

from pipelines.storage import lines
from pipelines.storage.lines import write_lines

PLAIN: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "text": (pa.string(), st.text(max_size=8) | st.sampled_from(['"', 'a"b""', "", "a,b\r\nc", "é\0"])),
    "at": (pa.timestamp("us", "UTC"), st.integers(-(2**61), 2**61) | st.integers(0, 2**51)),
    "naive": (pa.timestamp("us"), st.integers(0, 2**51)),
    "seconds": (pa.timestamp("s", "UTC"), st.integers(0, 2**32)),
    "day": (pa.date32(), st.dates(date(1, 1, 1), date(9999, 12, 31))),
    "x": (pa.float64(), st.floats()),
    "f": (pa.float32(), st.floats(width=32)),
    "n": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "small": (pa.int8(), st.integers(-128, 127)),
    "yes": (pa.bool_(), st.booleans()),
}


def written(rows: pa.Table) -> bytes:
    sink = io.BytesIO()
    csv.write_csv(rows, sink, csv.WriteOptions(include_header=False, quoting_style="needed"))
    return sink.getvalue()


def taken(rows: pa.Table) -> list[bytes]:
    pieces: list[bytes] = []
    write_lines(rows, lambda piece: pieces.append(bytes(piece)))
    return pieces


@pytest.fixture(autouse=True, params=[0, 500], ids=["put-together", "by-size"], scope="module")
def least_times(request: pytest.FixtureRequest) -> Iterator[None]:
    """With 0, tables of any types and size go the way of many times."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "_MIN_TIMES", request.param)
        yield


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    names = draw(st.lists(st.sampled_from(sorted(PLAIN)), min_size=1, unique=True))
    n = draw(st.integers(1, 8))
    cells = {name: st.lists(st.none() | PLAIN[name][1], min_size=n, max_size=n) for name in names}
    table = pa.table({name: pa.array(draw(cells[name]), PLAIN[name][0]) for name in names})
    return table.slice(draw(st.integers(0, n - 1)))


@given(tables())
def test_lines_are_those_of_the_csv(rows: pa.Table) -> None:
    assert b"".join(taken(rows)) == written(rows)


@pytest.mark.parametrize(
    "microseconds",
    [
        pytest.param(-62_135_596_800_000_000, id="first-usual"),
        pytest.param(-62_135_596_800_000_001, id="before-the-first"),
        pytest.param(253_402_300_799_999_999, id="last-usual"),
        pytest.param(253_402_300_800_000_000, id="after-the-last"),
        pytest.param(-1, id="before-the-epoch"),
    ],
)
def test_times_at_the_edges_are_written_alike(microseconds: int) -> None:
    rows = pa.table({"at": pa.array([microseconds, None], pa.timestamp("us", "UTC"))})
    assert b"".join(taken(rows)) == written(rows)


def test_many_rows_give_the_same_text_in_pieces() -> None:
    n = 40_000
    times = pa.array([i if i % 3 else None for i in range(n)], pa.timestamp("us", "UTC"))
    rows = pa.table({"at": times, "t": pa.array([f"r{i}" for i in range(n)])})
    pieces = taken(rows)
    assert len(pieces) == 3
    assert b"".join(pieces) == written(rows)


@pytest.mark.parametrize("rows", [pa.table({}), pa.table({"n": pa.array([], pa.int64())})])
def test_no_rows_have_no_lines(rows: pa.Table) -> None:
    assert taken(rows) == []
