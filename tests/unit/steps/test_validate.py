"""The step that publishes, quarantines or refuses a night, on the shipped suite of flights."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from pipelines.errors import (
    ConfigError,
    ConflictError,
    EngineError,
    NotReadyError,
    SchemaError,
    ValidationFailed,
)
from pipelines.records import IngestionRecord, PartitionVersion, ValidationRecord
from pipelines.runtime import Runtime
from pipelines.steps.validate import validate, validate_range
from pipelines.storage.lake import Lake
from pipelines.validation.engine import Examiner

DAY, NEXT, LAST = "2013-07-04", "2013-07-05", "2013-07-06"
N = 700
TYPES = {
    "string": pa.string(),
    "integer": pa.int64(),
    "float": pa.float64(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "date": pa.date32(),
}


def night(runtime: Runtime, day: str = DAY, *, n: int = N, **cells: Mapping[int, Any]) -> pa.Table:
    """Return a good night of flights, with single cells replaced: ``distance={3: None}``."""
    start = datetime.fromisoformat(day).replace(tzinfo=UTC)
    moments = [start + timedelta(minutes=300 + row) for row in range(n)]
    columns: dict[str, list[Any]] = {
        "row_id": [f"{day}|UA|{row}" for row in range(n)],
        "event_time": list(moments),
        "carrier": [f"{'ABCDEFGHIJKLM'[row % 13]}A" for row in range(n)],
        "flight": [row + 1 for row in range(n)],
        "origin": [("EWR", "JFK", "LGA")[row % 3] for row in range(n)],
        "dest": ["BOS"] * n,
        "scheduled_at": list(moments),
        "departure_minute": [300 + row for row in range(n)],
        "scheduled_minutes": [90] * n,
        "distance": [187.0] * n,
        "temp": [70.0] * n,
        "humid": [50.0] * n,
        "wind_speed": [7.0] * n,
        "wind_gust": [None] * n,
        "precip": [0.0] * n,
        "pressure": [1012.0] * n,
        "visib": [10.0] * n,
        "miscast": [None] * n,
        "source_file": ["flights.csv"] * n,
        "source_line": list(range(2, n + 2)),
        "position": list(range(n)),
    }
    for name, replaced in cells.items():
        for row, value in replaced.items():
            columns[name][row] = value
    types = {"row_id": "string", "event_time": "timestamp", "miscast": "string"}
    types |= {"source_file": "string", "source_line": "integer", "position": "integer"}
    types |= runtime.dataset("flights").columns
    return pa.table({name: pa.array(values, TYPES[types[name]]) for name, values in columns.items()})


def land(runtime: Runtime, rows: pa.Table, day: str = DAY) -> PartitionVersion:
    """Put a raw partition into the lake and its ingestion into the ledger."""
    # Positions count the rows in canonical order, in which the row key comes first.
    order = pc.rank(rows["row_id"], tiebreaker="first").to_numpy() - 1
    rows = rows.set_column(rows.column_names.index("position"), "position", pa.array(order, pa.int64()))
    version = runtime.lake.replace("flights", "raw", day, rows)
    runtime.ledger.record(
        IngestionRecord(
            dataset="flights",
            partition_key=day,
            source_uri="test",
            raw_digest=version.digest,
            n_rows=version.n_rows,
            delta_version=version.delta_version,
        )
    )
    return version


def rows_of(runtime: Runtime, table: str, day: str = DAY) -> list[dict[str, Any]]:
    """Return the rows of one partition of the lake; none where there is no table."""
    if not runtime.lake.exists("flights", table):
        return []
    return list(runtime.lake.read("flights", table, partitions=[day]).to_pylist())


def reasons_of(runtime: Runtime, day: str = DAY) -> list[list[tuple[str, Any]]]:
    """Return the rules and values of each row in quarantine."""
    return [
        [(reason["rule"], reason["value"]) for reason in json.loads(row["reasons"])]
        for row in rows_of(runtime, "quarantine", day)
    ]


def latest(runtime: Runtime, day: str = DAY) -> ValidationRecord:
    """Return the newest validation of a night."""
    record = runtime.ledger.latest(ValidationRecord, "flights", day)
    assert record is not None
    return record


def test_a_good_night_is_published_as_it_is(runtime: Runtime) -> None:
    version = land(runtime, night(runtime))
    record = validate("flights", DAY, runtime=runtime)
    assert (record.outcome, record.reasons) == ("passed", ())
    assert (record.n_in, record.n_published, record.n_quarantined) == (N, N, 0)
    assert record.raw_digest == version.digest
    published = rows_of(runtime, "validated")
    own = {"miscast", "source_file", "source_line", "position"}
    raw = [{k: v for k, v in row.items() if k not in own} for row in rows_of(runtime, "raw")]
    assert published == raw
    assert rows_of(runtime, "quarantine") == []
    assert latest(runtime) == record
    assert all(found.is_met for found in record.expectations)
    assert record.docs_path == f"flights/{DAY}/validation.html"
    page = (runtime.settings.reports / record.docs_path).read_text(encoding="utf-8")
    assert "flights 2013-07-04: passed" in page


def test_a_text_where_a_number_belongs_sends_its_row_to_quarantine(runtime: Runtime) -> None:
    land(runtime, night(runtime, distance={5: None}, miscast={5: '{"distance": "far"}'}))
    record = validate("flights", DAY, runtime=runtime)
    assert (record.outcome, record.n_published, record.n_quarantined) == ("passed", N - 1, 1)
    assert reasons_of(runtime) == [[("cast:distance", "far")]]
    assert record.reasons == ("quarantine: cast:distance: 1 row of another type",)


def test_rows_of_one_key_go_to_quarantine_together_and_the_night_goes_on(runtime: Runtime) -> None:
    rows = night(runtime, row_id={8: f"{DAY}|UA|7"}, distance={8: 188.0})
    land(runtime, rows)
    record = validate("flights", DAY, runtime=runtime)
    assert (record.outcome, record.n_published, record.n_quarantined) == ("passed", N - 2, 2)
    key = f"{DAY}|UA|7"
    assert reasons_of(runtime) == [[("expect_column_values_to_be_unique", key)]] * 2
    kept = sorted(json.loads(row["row"])["distance"] for row in rows_of(runtime, "quarantine"))
    assert kept == [187.0, 188.0]
    assert key not in {row["row_id"] for row in rows_of(runtime, "validated")}


def test_a_night_with_too_many_repeated_keys_is_refused(runtime: Runtime) -> None:
    land(runtime, night(runtime, row_id=dict.fromkeys(range(1, 10), f"{DAY}|UA|0")))
    with pytest.raises(ValidationFailed, match=r"expect_column_values_to_be_unique.* 10 of 700 rows"):
        validate("flights", DAY, runtime=runtime)
    assert rows_of(runtime, "validated") == []
    assert len(rows_of(runtime, "quarantine")) == 10
    record = latest(runtime)
    assert (record.outcome, record.n_in, record.n_published, record.n_quarantined) == ("refused", N, 0, 10)


def test_an_empty_night_is_refused_with_the_reason(runtime: Runtime) -> None:
    land(runtime, night(runtime, n=0))
    with pytest.raises(ValidationFailed, match="the partition is empty"):
        validate("flights", DAY, runtime=runtime)
    record = latest(runtime)
    assert (record.outcome, record.n_in, record.validated_digest) == ("refused", 0, None)


def test_an_empty_night_among_others_is_refused_too(runtime: Runtime) -> None:
    land(runtime, night(runtime, NEXT), NEXT)
    land(runtime, night(runtime, n=0))
    with pytest.raises(ValidationFailed, match="the partition is empty"):
        validate("flights", DAY, runtime=runtime)


def test_a_raw_table_without_a_declared_column_is_refused(runtime: Runtime) -> None:
    land(runtime, night(runtime).drop_columns(["distance"]))
    with pytest.raises(SchemaError, match="no column 'distance'"):
        validate("flights", DAY, runtime=runtime)
    record = latest(runtime)
    assert (record.outcome, record.n_in, record.n_published) == ("refused", N, 0)
    page = runtime.settings.reports / "flights" / DAY / "validation.html"
    assert "no column &#x27;distance&#x27;" in page.read_text(encoding="utf-8")


def test_a_night_that_landed_before_a_column_was_declared_must_be_ingested_again(runtime: Runtime) -> None:
    land(runtime, night(runtime, NEXT), NEXT)
    land(runtime, night(runtime).drop_columns(["wind_gust"]))
    with pytest.raises(ConflictError, match="Run `holdfast ingest flights 2013-07-04`"):
        validate("flights", DAY, runtime=runtime)
    land(runtime, night(runtime))
    assert validate("flights", DAY, runtime=runtime).outcome == "passed"


def test_too_many_bad_rows_refuse_a_night_that_its_suite_would_let_pass(runtime: Runtime) -> None:
    spoilt = dict.fromkeys(range(40))
    miscast = dict.fromkeys(range(40), '{"temp": "hot"}')
    land(runtime, night(runtime, temp=spoilt, miscast=miscast))
    with pytest.raises(ValidationFailed, match="40 of 700 rows belong in quarantine"):
        validate("flights", DAY, runtime=runtime)
    assert len(rows_of(runtime, "quarantine")) == 40


def test_a_warning_publishes_and_says_so(runtime: Runtime) -> None:
    land(runtime, night(runtime, temp=dict.fromkeys(range(100))))
    record = validate("flights", DAY, runtime=runtime)
    assert (record.outcome, record.n_published) == ("warned", N)
    (reason,) = record.reasons
    assert reason.startswith("warned: expect_column_proportion_of_non_null_values_to_be_between(temp)")
    assert reason.endswith("(min_value=0.9)")


def test_a_repeat_changes_nothing_and_adds_no_record(runtime: Runtime) -> None:
    land(runtime, night(runtime, distance={5: 3.0}))
    first = validate("flights", DAY, runtime=runtime)
    versions = [runtime.lake.version("flights", table) for table in ("quarantine", "validated")]
    again = validate("flights", DAY, runtime=runtime)
    assert again.digest == first.digest
    assert again.validated_digest == first.validated_digest
    assert [runtime.lake.version("flights", table) for table in ("quarantine", "validated")] == versions
    assert latest(runtime) == first


def test_a_mended_night_replaces_its_quarantine_and_its_refusal(runtime: Runtime) -> None:
    land(runtime, night(runtime, origin=dict.fromkeys(range(60), "BOS")))
    with pytest.raises(ValidationFailed):
        validate("flights", DAY, runtime=runtime)
    land(runtime, night(runtime))
    assert validate("flights", DAY, runtime=runtime).outcome == "passed"
    assert rows_of(runtime, "quarantine") == []
    assert len(rows_of(runtime, "validated")) == N


def test_a_refusal_leaves_what_was_published_and_says_so_each_time_alike(runtime: Runtime) -> None:
    land(runtime, night(runtime))
    published = validate("flights", DAY, runtime=runtime)
    land(runtime, night(runtime, n=50))
    for _ in range(2):
        with pytest.raises(ValidationFailed, match="an earlier version"):
            validate("flights", DAY, runtime=runtime)
    refused = latest(runtime)
    assert (refused.outcome, refused.validated_digest, refused.n_published) == ("refused", None, 0)
    assert f"700 rows, digest {str(published.validated_digest)[:12]}" in refused.reasons[-1]
    assert len(rows_of(runtime, "validated")) == N
    history = runtime.ledger.history(ValidationRecord, "flights")
    assert [record.digest for record in history] == [refused.digest]


def test_a_night_that_was_never_ingested_is_not_ready(runtime: Runtime) -> None:
    with pytest.raises(NotReadyError, match="run `holdfast ingest flights 2013-07-04`"):
        validate("flights", DAY, runtime=runtime)
    runtime.lake.replace("flights", "raw", DAY, night(runtime))
    with pytest.raises(NotReadyError):
        validate("flights", DAY, runtime=runtime)
    with pytest.raises(ConfigError, match="no partition key"):
        validate("flights", "2013-07", runtime=runtime)


@pytest.mark.parametrize("n", [0, 10])
def test_raw_rows_that_no_ingestion_recorded_are_not_published(n: int, runtime: Runtime) -> None:
    land(runtime, night(runtime))
    runtime.lake.replace("flights", "raw", DAY, night(runtime, n=n))
    with pytest.raises(ConflictError, match="not the one that its newest ingestion recorded"):
        validate("flights", DAY, runtime=runtime)
    assert runtime.ledger.latest(ValidationRecord, "flights", DAY) is None


def test_a_column_that_is_no_longer_declared_does_not_stand_in_the_way(runtime: Runtime) -> None:
    older = night(runtime, NEXT)
    land(runtime, older.append_column("gate", pa.array(["A1"] * N)), NEXT)
    land(runtime, night(runtime))
    assert validate("flights", DAY, runtime=runtime).outcome == "passed"
    assert validate("flights", NEXT, runtime=runtime).outcome == "passed"
    assert "gate" not in runtime.lake.read("flights", "validated").column_names


class PowerCut(BaseException):
    """Nothing that code could catch by mistake."""


class CutLake(Lake):
    """A real lake whose process dies right after, or right before, it writes a table."""

    def __init__(self, root: str, table: str, *, is_written: bool) -> None:
        super().__init__(root)
        self._cut, self._is_written = table, is_written

    def replace_many(
        self, dataset: str, table: str, partitions: Mapping[str, pa.Table]
    ) -> list[PartitionVersion]:
        if table == self._cut and not self._is_written:
            raise PowerCut
        versions = super().replace_many(dataset, table, partitions)
        if table == self._cut:
            raise PowerCut
        return versions


@pytest.mark.parametrize(
    ("table", "is_written", "n_visible"),
    [
        pytest.param("quarantine", False, 0, id="before-quarantine"),
        pytest.param("quarantine", True, 0, id="after-quarantine"),
        pytest.param("validated", True, N - 1, id="after-validated"),
    ],
)
def test_a_kill_leaves_no_half_night_and_the_retry_completes_it(
    table: str, is_written: bool, n_visible: int, runtime: Runtime, make_runtime: Callable[..., Runtime]
) -> None:
    rows = night(runtime, distance={5: 3.0})
    land(runtime, rows)
    dying = make_runtime()
    dying.__dict__["lake"] = CutLake(runtime.settings.lake_uri, table, is_written=is_written)
    with pytest.raises(PowerCut):
        validate("flights", DAY, runtime=dying)
    assert runtime.ledger.latest(ValidationRecord, "flights", DAY) is None
    assert len(rows_of(runtime, "validated")) == n_visible
    record = validate("flights", DAY, runtime=runtime)
    assert (record.n_published, record.n_quarantined) == (N - 1, 1)
    assert len(rows_of(runtime, "validated")) == N - 1
    assert len(rows_of(runtime, "quarantine")) == 1
    assert record.digest == validate("flights", DAY, runtime=runtime).digest


def test_a_range_gives_each_night_what_it_gets_alone(
    tmp_path: Path, make_runtime: Callable[..., Runtime]
) -> None:
    alone, together = make_runtime(home=tmp_path / "alone"), make_runtime(home=tmp_path / "together")
    nights = {
        DAY: night(alone),
        NEXT: night(alone, NEXT, distance={4: 17.0}, miscast={9: '{"flight": "x"}'}, flight={9: None}),
        LAST: night(alone, LAST, n=100),
    }
    for day, rows in nights.items():
        for each in (alone, together):
            land(each, rows, day)
    for day in nights:
        try:
            validate("flights", day, runtime=alone)
        except ValidationFailed:
            assert day == LAST
    told: list[tuple[str, int, int]] = []
    records = validate_range("flights", DAY, LAST, runtime=together, progress=lambda *args: told.append(args))
    assert told == [(DAY, 1, 3), (NEXT, 2, 3), (LAST, 3, 3)]
    assert [record.outcome for record in records] == ["passed", "passed", "refused"]
    assert [record.digest for record in records] == [latest(alone, day).digest for day in nights]
    for day in nights:
        for table in ("validated", "quarantine"):
            assert rows_of(together, table, day) == rows_of(alone, table, day)


def test_a_range_has_pages_only_for_nights_to_look_into(runtime: Runtime) -> None:
    land(runtime, night(runtime, distance={4: 17.0}))
    land(runtime, night(runtime, NEXT, distance={4: 17.0}), NEXT)
    first = validate_range("flights", DAY, NEXT, runtime=runtime)
    assert [record.docs_path is not None for record in first] == [True, True]
    land(runtime, night(runtime))
    mended = validate_range("flights", DAY, NEXT, runtime=runtime)
    assert [record.docs_path is not None for record in mended] == [False, True]
    pages = sorted(path.parent.name for path in runtime.settings.reports.glob("flights/*/validation.html"))
    assert pages == [NEXT]


def test_a_night_that_is_not_there_does_not_stop_the_others_and_is_told(runtime: Runtime) -> None:
    land(runtime, night(runtime))
    land(runtime, night(runtime, LAST), LAST)
    with pytest.raises(NotReadyError, match=r"1 of 3 nights .* could not be validated.*2013-07-05"):
        validate_range("flights", DAY, LAST, runtime=runtime)
    assert [latest(runtime, day).outcome for day in (DAY, LAST)] == ["passed", "passed"]


def test_a_long_range_is_taken_in_pieces(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.steps.validate._CHUNK_ROWS", N + 1)
    for day in (DAY, NEXT, LAST):
        land(runtime, night(runtime, day), day)
    records = validate_range("flights", DAY, LAST, runtime=runtime)
    assert [record.outcome for record in records] == ["passed"] * 3
    assert len({record.delta_version for record in records}) == 3


def with_suite(runtime: Runtime, tmp_path: Path, expectations: Sequence[str]) -> Runtime:
    """Return the runtime of a project whose suite of flights is another one."""
    path = tmp_path / "project" / "expectations" / "flights_raw.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = "\n".join(f"  - {{{each}}}" for each in expectations)
    path.write_text(f"expectations:\n{lines}\n", encoding="utf-8")
    settings = runtime.settings.model_copy(update={"project": path.parents[1]})
    return Runtime(settings=settings, params=runtime.params)


def test_a_stricter_suite_refuses_what_was_published_before(runtime: Runtime, tmp_path: Path) -> None:
    land(runtime, night(runtime))
    before = validate("flights", DAY, runtime=runtime)
    strict = with_suite(
        runtime,
        tmp_path,
        ["type: expect_table_row_count_to_be_between, severity: critical, min_value: 5000"],
    )
    with pytest.raises(ValidationFailed, match=r"observed 700 \(min_value=5000"):
        validate("flights", DAY, runtime=strict)
    after = latest(runtime)
    assert (after.outcome, after.suite_digest == before.suite_digest) == ("refused", False)


def test_an_expectation_that_fails_to_run_is_no_verdict_and_stops_no_other_night(
    runtime: Runtime, tmp_path: Path
) -> None:
    # A z-score of texts: Great Expectations runs it, and fails where there is something to compare.
    odd = with_suite(
        runtime,
        tmp_path,
        [
            "type: expect_column_value_z_scores_to_be_less_than, severity: critical, column: carrier, "
            "threshold: 3, double_sided: true"
        ],
    )
    land(runtime, night(runtime))
    with pytest.raises((EngineError, ConfigError)) as caught:
        validate("flights", DAY, runtime=odd)
    assert "carrier" in str(caught.value)
    assert runtime.ledger.latest(ValidationRecord, "flights", DAY) is None
    assert not runtime.lake.exists("flights", "validated")


class FailingExaminer:
    """An engine that breaks down on one night."""

    def __init__(self, examiner: Any, day: str) -> None:
        self._examiner, self._day = examiner, day

    def examine(self, connection: Any, view: str, partitions: Sequence[str]) -> Any:
        if self._day in partitions:
            raise EngineError("the engine broke down, which says nothing about the data")
        return self._examiner.examine(connection, view, partitions)


def test_an_engine_that_fails_on_one_night_judges_the_others(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "pipelines.steps.validate.Examiner",
        lambda suite, reference: FailingExaminer(Examiner(suite, reference=reference), DAY),
    )
    land(runtime, night(runtime))
    land(runtime, night(runtime, NEXT, distance={4: 17.0}), NEXT)
    land(runtime, night(runtime, LAST), LAST)
    with pytest.raises(EngineError, match=r"was not judged: the engine failed, not the data"):
        validate("flights", DAY, runtime=runtime)
    with pytest.raises(EngineError, match="1 of 3 nights"):
        validate_range("flights", DAY, LAST, runtime=runtime)
    assert runtime.ledger.latest(ValidationRecord, "flights", DAY) is None
    assert [
        (latest(runtime, day).n_published, latest(runtime, day).n_quarantined) for day in (NEXT, LAST)
    ] == [
        (N - 1, 1),
        (N, 0),
    ]


def test_a_large_night_is_streamed_and_comes_out_as_a_small_one(
    runtime: Runtime, tmp_path: Path, make_runtime: Callable[..., Runtime], monkeypatch: pytest.MonkeyPatch
) -> None:
    spoilt = {"distance": {5: 3.0, 9: None}, "miscast": {9: '{"distance": "far"}'}}
    streamed = make_runtime(home=tmp_path / "streamed")
    for each in (runtime, streamed):
        land(each, night(each, **spoilt))
    small = validate("flights", DAY, runtime=runtime)
    monkeypatch.setattr("pipelines.steps.validate._CHUNK_ROWS", N - 1)
    large = validate("flights", DAY, runtime=streamed)
    assert large.digest == small.digest
    for table in ("validated", "quarantine"):
        assert rows_of(streamed, table) == rows_of(runtime, table)
