"""Entries go into params.yaml as text, files are written all or not at all, and sources are located."""

from __future__ import annotations

import pytest
import yaml

from pipelines.config import PROJECT_ROOT
from pipelines.errors import ConfigError
from pipelines.onboarding.entry import comment, scalar
from pipelines.onboarding.insertion import insert_entry
from pipelines.onboarding.locations import locate_source
from pipelines.onboarding.writing import require_free, write_all

ENTRY = "  mine:\n    a: 1 # one\n"
PARAMS = (
    "# top\ndatasets:\n  one:\n    x: 1 # kept\n\n  # about two\n  two:\n    y: 2\n\n"
    "# about run\nrun:\n  z: 3\n"
)


def test_an_entry_becomes_the_last_dataset_and_every_comment_stays():
    text = insert_entry(PARAMS, "mine", ENTRY)
    assert text == PARAMS.replace("    y: 2\n", "    y: 2\n\n" + ENTRY)
    content = yaml.safe_load(text)
    assert content == {"datasets": {"one": {"x": 1}, "two": {"y": 2}, "mine": {"a": 1}}, "run": {"z": 3}}


def test_the_shipped_params_take_an_entry():
    shipped = (PROJECT_ROOT / "params.yaml").read_text()
    text = insert_entry(shipped, "mine", ENTRY)
    before, after = yaml.safe_load(shipped), yaml.safe_load(text)
    assert after["datasets"].pop("mine") == {"a": 1}
    assert after == before
    assert {line for line in shipped.splitlines() if "#" in line} <= set(text.splitlines())


def test_an_entry_takes_the_place_of_one_of_its_name_only_if_that_is_wanted():
    with pytest.raises(ConfigError, match="already"):
        insert_entry(PARAMS, "one", ENTRY)
    text = insert_entry(PARAMS, "one", ENTRY.replace("mine", "one"), replace=True)
    assert text == PARAMS.replace("    x: 1 # kept\n", "    a: 1 # one\n")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", "datasets:\n" + ENTRY, id="no-file-yet"),
        pytest.param("run: {}\n", "run: {}\n\ndatasets:\n" + ENTRY, id="no-datasets-yet"),
        pytest.param("datasets:\n    one:\n        x: 1", "datasets:\n    one:\n        x: 1\n"
            "\n    mine:\n      a: 1 # one\n",
                     id="another-indent-and-no-last-newline"),
    ],
)  # fmt: skip
def test_any_params_take_an_entry(text, expected):
    assert insert_entry(text, "mine", ENTRY) == expected


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("datasets: {one: {x: 1}}\n", id="flow"),
        pytest.param("datasets: [\n", id="no-yaml"),
        pytest.param("- 1\n", id="no-mapping"),
    ],
)
def test_params_that_take_no_entry_are_refused(text):
    with pytest.raises(ConfigError, match=r"params\.yaml"):
        insert_entry(text, "mine", ENTRY)


@pytest.mark.parametrize(
    "text",
    ["plain", "no", "Yes", "1", "a: b", "- x", "#", "", "ä", 'quo"te', "a\nb", "\x85", "%d/%m", "{}", "null"],
)
def test_a_scalar_is_read_back_as_it_was(text):
    assert yaml.safe_load(f"x: {scalar(text)} # why\n") == {"x": text}


def test_a_comment_is_one_bounded_line():
    assert "\n" not in comment("a\nb: 1\u2028\x85 c")
    assert len(comment("x" * 1000)) == 160


def test_files_are_written_all_or_not_at_all(tmp_path):
    old, blocked = tmp_path / "old.txt", tmp_path / "file" / "new.txt"
    old.write_text("before")
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ConfigError, match="Nothing was written"):
        write_all({old: "after", tmp_path / "sub" / "first.txt": "first", blocked: "x"})
    assert old.read_text() == "before"
    assert not (tmp_path / "sub" / "first.txt").exists()
    write_all({old: "after", tmp_path / "sub" / "first.txt": "first"})
    assert (old.read_text(), (tmp_path / "sub" / "first.txt").read_text()) == ("after", "first")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "old.txt", "sub"]


def test_a_file_that_is_there_is_overwritten_only_if_that_is_wanted(tmp_path):
    path = tmp_path / "a.sql"
    path.write_text("edited")
    with pytest.raises(ConfigError, match="--force"):
        require_free({path: "new"}, force=False)
    require_free({path: "new"}, force=True)
    require_free({path: "edited"}, force=False)


@pytest.mark.parametrize(
    ("source", "kind", "where", "table"),
    [
        pytest.param("s3://bucket/day/*.parquet", "parquet", "s3://bucket/day/*.parquet", "rows", id="s3"),
        pytest.param(
            "https://host/My%20Data.csv", "csv", "https://host/My%20Data.csv", "my_20data", id="http"
        ),
        pytest.param("a/Hour.CSV", "csv", "a/Hour.CSV", "hour", id="below-the-sources"),
        pytest.param("a/*.CSV", "csv", "a/*.CSV", "rows", id="a-pattern"),
        pytest.param(
            "a/day-{partition_key}.pq", "parquet", "a/day-{partition_key}.pq", "day", id="one-a-night"
        ),
    ],
)
def test_sources_are_located(tmp_path, source, kind, where, table):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "Hour.CSV").touch()
    (tmp_path / "a" / "day-2021-01-01.pq").touch()
    found = locate_source(source, sources=tmp_path)
    assert (found.kind, found.where, found.table) == (kind, where, table)
    assert locate_source((tmp_path / "a" / "Hour.CSV").as_uri(), sources=tmp_path).where == "a/Hour.CSV"


def test_a_database_needs_a_table_and_keeps_no_password(tmp_path):
    found = locate_source("sqlite:///x.db", sources=tmp_path, table="trips")
    assert (found.kind, found.where, found.table, found.url) == ("sql", "trips", "trips", "sqlite:///x.db")
    assert locate_source("env:DB", sources=tmp_path, table="SELECT 1").table == "rows"
    with pytest.raises(ConfigError, match="--table"):
        locate_source("env:DB", sources=tmp_path)
    with pytest.raises(ConfigError) as caught:
        locate_source("postgresql://me:hunter2@host/db", sources=tmp_path, table="trips")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "table", "words"),
    [
        pytest.param("nix.csv", None, "There is no file", id="missing"),
        pytest.param("folder", None, "is a folder", id="folder"),
        pytest.param("book.xlsx", None, "Excel", id="excel"),
        pytest.param("x.csv", "t", "--table belongs", id="table-of-a-file"),
    ],
)
def test_what_can_not_be_located_is_said(tmp_path, source, table, words):
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigError, match=words):
        locate_source(source, sources=tmp_path, table=table)
