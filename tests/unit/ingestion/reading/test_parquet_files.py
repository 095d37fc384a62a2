"""Parquet files: typed, or text, or refused by name, in bounded memory whatever they claim."""

from __future__ import annotations

import datetime as dt
import decimal
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.config import Settings
from pipelines.errors import HoldfastError, SchemaError
from pipelines.ingestion.reading import StagedFile
from pipelines.ingestion.reading.batches import StagedContent
from pipelines.ingestion.reading.isolation import ParsingTask, parse_files
from pipelines.ingestion.reading.options import ReadingOptions

Parse = Callable[..., tuple[StagedContent, pa.Table]]
Stage = Callable[..., tuple[list[StagedFile], pa.Table]]
Write = Callable[[str, bytes], Path]


def save(settings: Settings, table: pa.Table, **options: Any) -> None:
    pq.write_table(table, settings.sources / "a.parquet", **options)


@pytest.mark.parametrize(
    ("column", "kind", "expected"),
    [
        pytest.param(pa.array([1, None], pa.uint16()), "uint16", [1, None], id="integer"),
        pytest.param(pa.array([1.5, None], pa.float16()), "float", [1.5, None], id="half"),
        pytest.param(pa.array(["a", None]).dictionary_encode(), "string", ["a", None], id="categories"),
        pytest.param(pa.array(["a", None], pa.large_string()), "string", ["a", None], id="large-text"),
        pytest.param(pa.array([None, None], pa.null()), "string", [None, None], id="nothing"),
        pytest.param(pa.array([b"\xc3\xa4", b"\xff"]), "string", ["ä", "\\xff"], id="bytes"),
        pytest.param(pa.array([[1, 2], None]), "string", ["[1, 2]", None], id="list"),
        pytest.param(
            pa.array([{"a": dt.date(2024, 1, 2)}, None]), "string", ['{"a": "2024-01-02"}', None], id="nested"
        ),
        pytest.param(
            pa.array([decimal.Decimal("1.50"), None], pa.decimal256(50, 2)),
            "string",
            ["1.50", None],
            id="wide-decimal",
        ),
        pytest.param(
            pa.array([decimal.Decimal("1.50")] * 2),
            "decimal128(3, 2)",
            [decimal.Decimal("1.50")] * 2,
            id="decimal",
        ),
        pytest.param(pa.array([dt.timedelta(hours=1), None]), "string", ["1:00:00", None], id="duration"),
        pytest.param(
            pa.array([0, None], pa.timestamp("us", tz="Europe/Rome")),
            "timestamp[us, tz=Europe/Rome]",
            [dt.datetime(1970, 1, 1, tzinfo=dt.UTC), None],
            id="moment",
        ),
    ],
)
def test_values_keep_their_type_or_are_text(
    settings: Settings, parse: Parse, column: pa.Array, kind: str, expected: list[object]
) -> None:
    save(settings, pa.table({"x": column, "y": [1, 2]}))
    content, rows = parse("a.parquet", kind="parquet", rename={"y": "z"})
    assert content.columns == ("x", "z")
    assert str(rows.schema.field("x").type) == kind
    assert rows["x"].to_pylist() == expected
    assert rows["holdfast_line"].to_pylist() == [1, 2]


def test_a_cell_that_is_no_text_or_too_long_costs_its_row(settings: Settings, parse: Parse) -> None:
    # Arrow's own writer does not look whether text is UTF-8.
    raw = pa.array([b"a", b"\xff", b"c", b"d" * 99, b"e"]).cast(pa.string(), safe=False)
    save(settings, pa.table({"x": pa.Array.from_buffers(pa.string(), 5, raw.buffers()), "y": range(5)}))
    content, rows = parse("a.parquet", kind="parquet", limits={"max_cell_bytes": 50})
    assert (content.n_rows, content.n_rejected) == (5, 2)
    assert rows["x"].to_pylist() == ["a", None, "c", None, "e"]
    assert rows["y"].to_pylist() == [0, None, 2, None, 4]
    assert rows["holdfast_reject"].to_pylist() == [None, "undecodable bytes: ", None, "cell too long: ", None]


def test_wide_rows_are_read_in_small_batches(settings: Settings, parse: Parse) -> None:
    save(settings, pa.table({"x": ["a" * 300_000, "b" * 300_000] * 100}))
    content, rows = parse("a.parquet", kind="parquet")
    assert content.n_rows == 200
    assert rows["x"].to_pylist()[199] == "b" * 300_000


@pytest.mark.parametrize(
    ("table", "limits", "message"),
    [
        pytest.param({f"c{n}": [1] for n in range(30)}, {"max_columns": 20}, "30 columns", id="columns"),
        pytest.param({"x": [1], "X": [1]}, {}, "'x' more than once", id="twice"),
        pytest.param(
            {"x": ["y" * 1_000] * 9_999}, {"max_file_bytes": 50_000}, "holds more than", id="unpacked"
        ),
        pytest.param({"x": range(9_999)}, {"max_file_bytes": 500}, "more than 500", id="size"),
    ],
)
def test_more_than_a_file_may_hold_is_refused(
    settings: Settings, parse: Parse, table: dict[str, Any], limits: dict[str, int], message: str
) -> None:
    save(settings, pa.table(table))
    with pytest.raises(SchemaError, match=message) as caught:
        parse("a.parquet", kind="parquet", limits=limits)
    assert "a.parquet" in str(caught.value)


def test_a_dictionary_bomb_is_refused_within_its_memory(settings: Settings, stage: Stage) -> None:
    # One long value, said three million times: 3 TB out of a few kilobytes.
    codes = pa.array([0] * 3_000_000, pa.int32())
    bomb = pa.DictionaryArray.from_arrays(codes, pa.array(["x" * 900_000]))
    save(settings, pa.table({"x": bomb}), compression="zstd")
    assert (settings.sources / "a.parquet").stat().st_size < 100_000
    with pytest.raises(SchemaError, match=r"a\.parquet .*decompression bomb"):
        stage("a.parquet", kind="parquet", limits={"max_memory_bytes": 400 * 1024**2})


def test_what_does_not_fit_into_memory_is_refused(settings: Settings, stage: Stage) -> None:
    table = pa.table({"x": ["x" * 300_000_000]})
    save(settings, table, use_dictionary=False, compression="zstd", write_statistics=False)
    with pytest.raises(SchemaError, match=r"a\.parquet can't be read within 0\.25 GiB; it may be damaged"):
        stage("a.parquet", kind="parquet", limits={"max_memory_bytes": 256 * 1024**2})


def test_damaged_files_are_refused_one_by_one_and_the_others_are_read(
    settings: Settings, tmp_path: Path
) -> None:
    save(settings, pa.table({"a": [f"c{n % 7}" for n in range(900)], "b": range(900)}), row_group_size=300)
    sound = (settings.sources / "a.parquet").read_bytes()
    chance = random.Random(7)
    tasks = []
    for number in range(120):
        data = bytearray(sound)
        if number % 3 == 1:
            del data[chance.randrange(len(data)) :]
        elif number % 3 == 2:
            for _ in range(4):
                data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path = tmp_path / f"{number}.parquet"
        path.write_bytes(data)
        tasks.append(ParsingTask(path, path.name, tmp_path / f"{number}.staged"))
    outcomes = parse_files(tasks, ReadingOptions(kind="parquet"))
    assert all(isinstance(outcome, StagedContent) for outcome in outcomes[::3])
    assert all(isinstance(outcome, SchemaError) for outcome in outcomes[1::3])
    for task, outcome in zip(tasks, outcomes, strict=True):
        if isinstance(outcome, HoldfastError):
            assert isinstance(outcome, SchemaError)
            assert str(outcome).startswith(task.name)
