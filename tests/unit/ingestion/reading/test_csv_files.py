"""CSV files as people write them, and records that are no rows."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipelines.errors import ConfigError, SchemaError
from pipelines.ingestion.reading import StagedFile
from pipelines.ingestion.reading.batches import StagedContent

Write = Callable[[str, bytes], Path]
Stage = Callable[..., tuple[list[StagedFile], pa.Table]]
Parse = Callable[..., tuple[StagedContent, pa.Table]]


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name.replace("__SLASH__", "/"), data)
    return buffer.getvalue()


def cells(rows: pa.Table) -> list[list[str | None]]:
    return [list(row.values())[:-2] for row in rows.to_pylist()]


PLAIN = [["1", "2"], ["3", None]]


@pytest.mark.parametrize(
    ("name", "content", "csv", "expected"),
    [
        pytest.param("a.csv", b"x,y\n1,2\n3,\n", {}, PLAIN, id="plain"),
        pytest.param("a.csv", b"\xef\xbb\xbfx,y\r\n1,2\r\n3,NA\r\n", {}, PLAIN, id="byte-order-mark"),
        pytest.param("a.csv", b"x,y\r1,2\r3,", {}, PLAIN, id="cr-without-a-last-line-end"),
        pytest.param("a.csv", b'"x","y"\n"1","2"\n"3","NA"', {}, PLAIN, id="quoted-tokens-are-missing-too"),
        pytest.param("a.csv", b"\n\nx,y\n\n1,2\n,\n3,\n\n", {}, PLAIN, id="blank-lines"),
        pytest.param("a.csv", b"x\ty\n1\t2\n3\t\n", {"delimiter": "\t"}, PLAIN, id="tabs"),
        pytest.param(
            "a.csv", b"about\n\nx;y\n1;2\n3;\n", {"delimiter": ";", "skip_lines": 2}, PLAIN, id="preamble"
        ),
        pytest.param("a.csv", b"1,2\n3,\n", {"header": False, "names": ["x", "y"]}, PLAIN, id="no-header"),
        pytest.param("a.csv", "x,y\n1,2\n3,\n".encode("utf-16"), {"encoding": "utf-16"}, PLAIN, id="utf-16"),
        pytest.param("a.csv.gz", gzip.compress(b"x,y\n1,2\n3,\n"), {}, PLAIN, id="gzip"),
        pytest.param("a.dat", gzip.compress(b"x,y\n1,2\n3,\n"), {}, PLAIN, id="gzip-by-its-first-bytes"),
        pytest.param("a.zip", zipped(inner=b"x,y\n1,2\n3,\n"), {}, PLAIN, id="zip"),
        pytest.param(
            "a.zip",
            zipped(**{"..__SLASH__up.csv": b"x,y\n1,2\n3,\n"}),
            {},
            PLAIN,
            id="zip-whose-member-climbs",
        ),
        pytest.param(
            "a.csv", "x,y\né,ß\n".encode("latin-1"), {"encoding": "latin-1"}, [["é", "ß"]], id="latin-1"
        ),
        pytest.param(
            "a.csv", "x,y\n€,2\n".encode("cp1252"), {"encoding": "cp1252"}, [["€", "2"]], id="cp1252"
        ),
        pytest.param("a.csv", b"x,y\n'a,b',2\n", {"quote": "'"}, [["a,b", "2"]], id="other-quote"),
        pytest.param("a.csv", b'x,y\n"a,2\n', {"quote": None}, [['"a', "2"]], id="no-quote"),
        pytest.param("a.csv", b'x,y\n"a\\"b",2\n', {"escape": "\\"}, [['a"b', "2"]], id="escape"),
        pytest.param("a.csv", b'x,y\n"a""b",2\n', {"escape": '"'}, [['a"b', "2"]], id="escape-is-quote"),
        pytest.param(
            "a.csv",
            b' x , y\n 1, NA \n"3 ", "a, b"\n',
            {"trim": True},
            [["1", None], ["3", "a, b"]],
            id="trim",
        ),
        pytest.param("a.csv", b"x, y\n1 , 2\n , \n", {"trim": True}, [["1", "2"]], id="trim-without-quotes"),
        pytest.param(
            "a.csv",
            b'  x   y\n\n 1.5 \t "a  b"  \r\n2 NA\n',
            {"delimiter": "whitespace"},
            [["1.5", "a  b"], ["2", None]],
            id="runs-of-spaces",
        ),
        pytest.param(
            "a.csv", b"x y\n1  2\n", {"delimiter": "whitespace", "quote": None}, [["1", "2"]], id="spaces"
        ),
        pytest.param("a.csv", b'x,y\n"r1",1,2\n', {"row_names": True}, [["r1", "1", "2"]], id="row-names"),
    ],
)
def test_a_file_is_read_as_its_dialect_says(
    write: Write,
    parse: Parse,
    name: str,
    content: bytes,
    csv: dict[str, Any],
    expected: list[list[str | None]],
) -> None:
    write(name, content)
    file, rows = parse(name, csv=csv)
    assert cells(rows) == expected
    assert (file.n_rows, file.n_rejected) == (len(expected), 0)
    assert file.columns[-2:] == ("x", "y")


@pytest.mark.parametrize(
    ("content", "fields", "columns"),
    [
        pytest.param(b",y,\n0,2,3\n", {}, ("column0", "y", "column2"), id="without-names"),
        pytest.param(b"1,2\n", {"csv": {"header": False}}, ("column0", "column1"), id="counted"),
        pytest.param(b"x,Y\n", {"rename": {"x": "Y", "Y": "x"}}, ("Y", "x"), id="renamed"),
        pytest.param(b"x,y\n", {"csv": {"row_names": True}}, ("column0", "x", "y"), id="row-names"),
        pytest.param(b"", {"csv": {"header": False, "names": ["x"]}}, ("x",), id="empty-but-named"),
    ],
)
def test_columns_have_names(
    write: Write, parse: Parse, content: bytes, fields: dict[str, Any], columns: tuple[str, ...]
) -> None:
    write("a.csv", content)
    assert parse("a.csv", **fields)[0].columns == columns


@pytest.mark.parametrize(
    ("content", "line", "reason"),
    [
        pytest.param(b"x,y\n1,2\n3\n5,6\n", 3, "too few cells (1 of 2): 3", id="too-short"),
        pytest.param(b"x,y\n1,2\n3,4,\n5,6\n", 3, "too many cells (3 of 2): 3,4,", id="too-long"),
        pytest.param(b"x,y\n1,2\n3,\xff\n5,6\n", 3, "undecodable bytes: 3,\ufffd", id="undecodable"),
        pytest.param(b"x,y\n1,2\n3,\0\n5,6\n", 3, "NUL byte: 3,\ufffd", id="nul"),
        pytest.param(b'x,y\n1,2\n3,"a\n5,6\n', 3, 'unclosed quote: 3,"a', id="unclosed"),
        pytest.param(b'x,y\n1,2\n3,"a\n5,6\n"7","8"\n', 3, 'unclosed quote: 3,"a', id="closed-by-another"),
        pytest.param(b'x,y\n"1",2\n"3\n\n4"\n5,6\n', 3, 'unclosed quote: "3', id="ragged-over-lines"),
        pytest.param(
            b'x,y\n1,2\n3,"\xff"x\n5,6\n', 3, 'undecodable bytes: 3,"\ufffd"x', id="odd-and-undecodable"
        ),
        pytest.param(b'x,y\n1,2\n3,"\0"x\n5,6\n', 3, 'NUL byte: 3,"\ufffd"x', id="odd-and-nul"),
        pytest.param(b'x,y\n1,2\n"3"x,4,5\n5,6\n', 3, 'too many cells (3 of 2): "3"x,4,5', id="odd-and-long"),
        pytest.param(
            b"x,y\n1,2\n3," + b"z" * 999 + b"\n5,6\n", 3, "cell too long: 3," + "z" * 198, id="cell"
        ),
        pytest.param(
            b'x,y\n1,2\n"3"q,' + b"z" * 999 + b"\n5,6\n", 3, 'cell too long: "3"q,' + "z" * 195, id="odd-cell"
        ),
    ],
)
def test_a_record_that_is_no_row_costs_itself_alone(
    write: Write, parse: Parse, content: bytes, line: int, reason: str
) -> None:
    write("a.csv", content)
    file, rows = parse("a.csv", limits={"max_cell_bytes": 500})
    table = {row["holdfast_line"]: row for row in rows.to_pylist()}
    assert file.n_rejected >= 1
    assert table[line] == {"x": None, "y": None, "holdfast_line": line, "holdfast_reject": reason}
    assert table[2]["holdfast_reject"] is None
    assert any((row["x"], row["y"]) == ("5", "6") for row in table.values())
    assert list(table) == sorted(table)


def test_a_line_that_never_ends_is_one_rejected_record_in_bounded_memory(write: Write, stage: Stage) -> None:
    path = write("a.csv", b"x,y\n1,2\n")
    with path.open("ab") as file:
        for _ in range(100):
            file.write(b"z" * 1_000_000)
        file.write(b"\n3,4\n")
    (staged,), rows = stage("a.csv", limits={"max_memory_bytes": 400 * 1024**2})
    assert (staged.n_rows, staged.n_rejected) == (3, 1)
    assert rows["holdfast_reject"].to_pylist()[1].startswith("record too long: zzz")
    assert rows["holdfast_line"].to_pylist() == [2, 3, 4]


def test_a_token_is_missing_only_where_it_is_the_whole_cell(write: Write, parse: Parse) -> None:
    write("a.csv", b"x,y\n?,a?\nNA,-\n?,?\n")
    file, rows = parse("a.csv", missing=["?", "-"])
    assert cells(rows) == [[None, "a?"], ["NA", None], [None, None]]
    assert file.n_blank == 0


def test_rows_without_any_cell_are_counted_and_dropped(write: Write, parse: Parse) -> None:
    write("a.csv", b'x;y\n1;2\n;\n"";""\n;;;;\n\n')
    file, _ = parse("a.csv", csv={"delimiter": ";"})
    assert (file.n_rows, file.n_rejected, file.n_blank) == (1, 0, 4)


@pytest.mark.parametrize(
    ("name", "content", "fields", "message"),
    [
        pytest.param("a.csv", b"", {}, "a.csv is empty: it has no header line", id="empty"),
        pytest.param(
            "a.csv", b"", {"csv": {"header": False}}, "has no row to count columns by", id="no-rows"
        ),
        pytest.param("a.csv", b"x,X\n", {}, "column 'x' more than once", id="twice"),
        pytest.param(
            "a.csv", b"x,y\n", {"rename": {"x": "y"}}, "column 'y' more than once", id="renamed-twice"
        ),
        pytest.param("a.csv", b"x,\xff\n", {}, "header holds bytes that are not utf-8", id="not-utf-8"),
        pytest.param("a.csv", b"x,\0\n", {}, "header holds a NUL byte", id="nul"),
        pytest.param("a.csv", b'x,"y\n1,2\n', {}, "a quote is not closed", id="unclosed"),
        pytest.param("a.csv", b"x" * 40_000_000, {}, "first line does not end", id="endless-header"),
        pytest.param("a.csv", b"x,holdfast_line\n", {}, "a name that Holdfast uses", id="our-name"),
        pytest.param("a.csv", b"c," * 10_000 + b"\n", {}, "10,001 columns", id="columns"),
        pytest.param("a.zip", b"no zip", {}, "a.zip can't be unpacked", id="broken-zip"),
        pytest.param("a.zip", zipped(a=b"x\n", b=b"x\n"), {}, "holds 2 files", id="zip-of-two"),
        pytest.param(
            "a.gz", gzip.compress(b"x\n1\n" * 999)[:-20], {}, "a.gz can't be unpacked", id="cut-off"
        ),
        pytest.param("a.csv", b"x\n" * 99, {"limits": {"max_file_bytes": 100}}, "has 198 bytes", id="large"),
        pytest.param(
            "a.gz",
            gzip.compress(b"x\n" * 999),
            {"limits": {"max_file_bytes": 999}},
            "holds more than 999",
            id="bomb",
        ),
    ],
)
def test_a_file_that_can_not_be_read_at_all_is_refused_by_name(
    write: Write, parse: Parse, name: str, content: bytes, fields: dict[str, Any], message: str
) -> None:
    write(name, content)
    with pytest.raises(SchemaError, match=message) as caught:
        parse(name, **fields)
    assert str(caught.value).startswith(name)


@pytest.mark.parametrize(
    ("csv", "message"),
    [
        pytest.param({"delimiter": "¦"}, "must be one ASCII character", id="delimiter"),
        pytest.param({"quote": ","}, "is a quote or escape mark too", id="same"),
        pytest.param({"encoding": "hex"}, "is no encoding of text", id="no-text"),
    ],
)
def test_a_dialect_that_can_not_be_is_a_matter_of_configuration(
    write: Write, parse: Parse, csv: dict[str, Any], message: str
) -> None:
    write("a.csv", b"x\n")
    with pytest.raises(ConfigError, match=message):
        parse("a.csv", csv=csv)
