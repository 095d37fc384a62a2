"""Looking into the quarantine, and amending rows in it, on a small table of meter readings."""

from __future__ import annotations

import csv
import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipelines.config import Params
from pipelines.errors import ConfigError, NotReadyError
from pipelines.records import (
    AmendmentRecord,
    IngestionRecord,
    PerformanceRecord,
    ScoringRecord,
    ValidationRecord,
)
from pipelines.runtime import Runtime
from pipelines.steps.amend import Request, release, repair, undo
from pipelines.steps.quarantine import export_rows, list_nights, show_rows
from pipelines.steps.validate import validate, validate_range
from pipelines.storage.columns import ARROW_TYPES

DAY, NEXT = "2013-07-04", "2013-07-05"
N = 40
# Names that would be something else in SQL or in JSON, if they were not quoted.
COLUMNS = {
    "site": "string",
    "at": "timestamp",
    "row": "integer",
    'le"vel~/x': "float",
    "name": "string",
    "day": "date",
    "is_open": "boolean",
}
LEVEL = 'le"vel~/x'
SUITE = """
expectations:
  - {type: expect_column_values_to_be_unique, severity: critical, column: row_id, mostly: 0.5}
  - {type: expect_column_values_to_be_between, severity: critical, column: 'le"vel~/x', min_value: 0,
     max_value: 100, mostly: 0.5}
  - {type: expect_column_values_to_be_in_set, severity: warning, column: name, value_set: [a, b], mostly: 0.9}
  - {type: expect_column_values_to_be_between, severity: info, column: row, min_value: 5}
"""


@pytest.fixture
def meters(tmp_path: Path, make_runtime: Callable[..., Runtime]) -> Runtime:
    """Return a Runtime with the one dataset `meters`."""
    path = tmp_path / "project" / "expectations" / "meters_raw.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(SUITE, encoding="utf-8")
    dataset = {
        "description": "Meters",
        "task": "regression",
        "source": {"kind": "csv", "tables": {"meters": "meters.csv"}},
        "key": ["site", "at"],
        "event_time": "at",
        "columns": COLUMNS,
        "target": "use",
        "labels": {"use": "float"},
        "features": {"sql": "meters.sql", "numeric": [LEVEL]},
        "quality": {"max_quarantined_fraction": 0.5},
    }
    shipped = make_runtime()
    settings = shipped.settings.model_copy(update={"project": path.parents[1]})
    return Runtime(settings=settings, params=Params.model_validate({"datasets": {"meters": dataset}}))


def readings(n: int = N, **cells: dict[int, Any]) -> pa.Table:
    """Return ``n`` good readings of a day, with single cells replaced: ``site={3: None}``."""
    moments = [datetime(2013, 7, 4, tzinfo=UTC) + timedelta(minutes=row) for row in range(n)]
    columns: dict[str, list[Any]] = {
        "site": [f"s{row:02}" for row in range(n)],
        "at": list(moments),
        "row": list(range(n)),
        "level": [float(row) for row in range(n)],
        "name": ["a"] * n,
        "day": [moments[0].date()] * n,
        "is_open": [True] * n,
        "miscast": [None] * n,
        "source_file": ["meters.csv"] * n,
        "source_line": list(range(2, n + 2)),
    }
    for name, replaced in cells.items():
        for row, value in replaced.items():
            columns[name][row] = value
    columns[LEVEL] = columns.pop("level")
    columns["event_time"] = columns["at"]
    columns["row_id"] = [
        f"{DAY}|{site or ''}|{'' if at is None else at.strftime('%Y-%m-%d %H:%M:%S')}"
        for site, at in zip(columns["site"], columns["at"], strict=True)
    ]
    order = sorted(range(n), key=lambda row: columns["row_id"][row])
    columns["position"] = [0] * n
    for position, row in enumerate(order):
        columns["position"][row] = position
    kinds = {
        **COLUMNS,
        "row_id": "string",
        "event_time": "timestamp",
        "miscast": "string",
        "source_file": "string",
        "source_line": "integer",
        "position": "integer",
    }
    return pa.table({name: pa.array(values, ARROW_TYPES[kinds[name]]) for name, values in columns.items()})


def land(runtime: Runtime, rows: pa.Table, day: str = DAY) -> None:
    """Put a raw partition into the lake and its ingestion into the ledger."""
    version = runtime.lake.replace("meters", "raw", day, rows)
    runtime.ledger.record(
        IngestionRecord(
            dataset="meters",
            partition_key=day,
            source_uri="test",
            raw_digest=version.digest,
            n_rows=version.n_rows,
        )
    )


def ids(runtime: Runtime, day: str = DAY) -> dict[str, str]:
    """Return the quarantine_id of each row in quarantine, by its site as it is shown."""
    shown = show_rows("meters", day, runtime=runtime, limit=1000)
    return {str(row.row["site"]): row.quarantine_id for row in shown}


def published(runtime: Runtime, day: str = DAY) -> dict[str, dict[str, Any]]:
    """Return the published rows by site; no site may be there twice."""
    rows = runtime.lake.read("meters", "validated", partitions=[day]).to_pylist()
    found = {row["site"]: row for row in rows}
    assert len(found) == len(rows) == len({row["row_id"] for row in rows})
    return found


def ask(reason: str = "seen with the operator", actor: str = "ann") -> Request:
    return Request("meters", DAY, actor, reason)


def newest(runtime: Runtime) -> ValidationRecord:
    """Return the newest verdict; its counts add up."""
    record = runtime.ledger.latest(ValidationRecord, "meters", DAY)
    assert record is not None
    if record.outcome != "refused":
        assert record.n_in == record.n_published + record.n_quarantined
    return record


BAD = {
    "level": {3: 500.0, 4: None, 5: -1.0},
    "miscast": {4: json.dumps({LEVEL: "12,5 m"})},
    "name": {5: "=cmd|' /C calc'!A0", 6: "c"},
}


@pytest.fixture
def bad_night(meters: Runtime) -> Runtime:
    """Return a Runtime of which DAY has four rows in quarantine."""
    land(meters, readings(**BAD))
    assert validate("meters", DAY, runtime=meters).n_quarantined == 4
    return meters


def test_a_row_shows_where_it_came_from_and_all_that_it_breaks(bad_night: Runtime) -> None:
    shown = {row.row["site"]: row for row in show_rows("meters", DAY, runtime=bad_night)}
    assert sorted(shown) == ["s03", "s04", "s05", "s06"]
    assert (shown["s05"].source_file, shown["s05"].source_line) == ("meters.csv", 7)
    assert [(r["rule"], r["column"], r["value"], r["severity"]) for r in shown["s05"].reasons] == [
        ("expect_column_values_to_be_between", LEVEL, -1.0, "critical"),
        ("expect_column_values_to_be_in_set", "name", "=cmd|' /C calc'!A0", "warning"),
    ]
    assert shown["s04"].row[LEVEL] == "12,5 m"
    assert [(r["rule"], r["value"]) for r in shown["s04"].reasons] == [(f"cast:{LEVEL}", "12,5 m")]
    by_rule = show_rows("meters", DAY, runtime=bad_night, rule="expect_column_values_to_be_in_set(name)")
    assert [row.row["site"] for row in by_rule] == ["s05", "s06"]
    assert [row.row["site"] for row in show_rows("meters", DAY, runtime=bad_night, limit=1)] == ["s03"]


def test_the_list_counts_rules_and_amendments(bad_night: Runtime) -> None:
    (night,) = list_nights("meters", runtime=bad_night)
    assert (night.n_in, night.n_published, night.n_quarantined, night.n_amended) == (N, N - 4, 4, 0)
    assert night.quarantined_fraction == pytest.approx(0.1)
    assert {(rule.column, rule.n_rows) for rule in night.rules} == {(LEVEL, 2), (LEVEL, 1), ("name", 2)}
    release(ask(), runtime=bad_night, ids=[ids(bad_night)["s06"]])
    (night,) = list_nights("meters", runtime=bad_night, rule=f"cast:{LEVEL}", first=DAY, last=DAY)
    assert (night.n_quarantined, night.n_released, len(night.rules)) == (3, 1, 1)
    assert list_nights("meters", runtime=bad_night, rule="cast:site") == []
    assert list_nights("meters", runtime=bad_night, first=NEXT) == []


def test_a_released_row_rejoins_as_it_is_and_undo_restores_every_digest(bad_night: Runtime) -> None:
    before = newest(bad_night)
    record = release(ask(), runtime=bad_night, ids=[ids(bad_night)["s03"]])
    assert (record.n_rows, record.n_rejoined, record.n_staying, record.outcome) == (1, 1, 0, "passed")
    assert published(bad_night)["s03"][LEVEL] == 500.0
    assert (newest(bad_night).n_released, newest(bad_night).n_quarantined) == (1, 3)
    again = release(ask(), runtime=bad_night, ids=[ids_of(bad_night, "s03")])
    assert again.digest == record.digest
    back = undo(ask(), runtime=bad_night, is_all=True)
    assert (back.n_rows, back.n_rejoined, back.n_staying) == (1, 0, 1)
    assert newest(bad_night).digest == before.digest
    assert newest(bad_night).validated_digest == before.validated_digest


def ids_of(runtime: Runtime, site: str) -> str:
    """Return the quarantine_id of an amended row."""
    rows = runtime.lake.read("meters", "amendments", partitions=[DAY]).to_pylist()
    return next(str(row["quarantine_id"]) for row in rows if json.loads(row["row"])["site"] == site)


def test_rows_that_cannot_be_released_are_told(bad_night: Runtime) -> None:
    with pytest.raises(ConfigError, match=r"1 rows can't be released.*of another type"):
        release(ask(), runtime=bad_night, ids=[ids(bad_night)["s04"]])
    assert newest(bad_night).n_quarantined == 4
    assert not bad_night.lake.exists("meters", "amendments")
    record = release(ask(), runtime=bad_night, is_all=True)
    assert (record.n_rows, record.n_rejoined) == (3, 3)
    assert len(record.not_released) == 1
    assert newest(bad_night).n_quarantined == 1
    with pytest.raises(ConfigError, match="has no row q0 in quarantine"):
        release(ask(), runtime=bad_night, ids=["q0"])


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_an_edited_export_repairs_only_what_changed(suffix: str, bad_night: Runtime, tmp_path: Path) -> None:
    path = tmp_path / f"rows.{suffix}"
    assert export_rows("meters", DAY, path, runtime=bad_night) == 4
    untouched = repair(ask(), runtime=bad_night, path=path, is_dry_run=True)
    assert untouched == 0
    edit(path, "s04", LEVEL, "12.5")
    edit(path, "s05", LEVEL, "1")
    edit(path, "s06", "name", "b")
    assert repair(ask(), runtime=bad_night, path=path, is_dry_run=True) == 3
    record = repair(ask(), runtime=bad_night, path=path)
    assert isinstance(record, AmendmentRecord)
    assert (record.n_rows, record.n_rejoined, record.n_staying) == (4, 2, 2)
    rows = published(bad_night)
    assert (rows["s04"][LEVEL], rows["s06"]["name"]) == (12.5, "b")
    assert len(rows) == N - 2
    amended = bad_night.lake.read("meters", "amendments", partitions=[DAY]).to_pylist()
    assert sorted(row["cells"] for row in amended) == sorted(
        [json.dumps({LEVEL: "12.5"}), json.dumps({LEVEL: "1.0"}), '{"name": "b"}']
    )
    again = repair(ask(), runtime=bad_night, path=path)
    assert isinstance(again, AmendmentRecord)
    assert again.digest == record.digest
    assert bad_night.lake.read("meters", "amendments", partitions=[DAY]).to_pylist() == amended


def edit(path: Path, site: str, column: str, value: str) -> None:
    """Set one cell of an export, as a person would."""
    if path.suffix == ".jsonl":
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        for row in rows:
            if row["row"]["site"] == site:
                row["row"][column] = value
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = list(csv.reader(file))
    for row in rows:
        if row[header.index("site")] == site:
            row[header.index(column)] = value
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def test_a_formula_is_defused_in_the_file_and_comes_back_as_it_was(
    bad_night: Runtime, tmp_path: Path
) -> None:
    path = tmp_path / "rows.csv"
    export_rows("meters", DAY, path, runtime=bad_night)
    text = path.read_text(encoding="utf-8")
    assert ",'=cmd|" in text
    assert ",=cmd" not in text
    assert repair(ask(), runtime=bad_night, path=path, is_dry_run=True) == 0


def test_every_mistake_of_a_file_is_told_with_its_line_and_nothing_is_written(
    bad_night: Runtime, tmp_path: Path
) -> None:
    path = tmp_path / "rows.jsonl"
    found = ids(bad_night)
    lines = [
        {"quarantine_id": found["s03"], "row": {LEVEL: "far", "at": "2013-02-30"}},
        {"quarantine_id": "q123", "row": {"row": 1}},
        {"quarantine_id": found["s04"], "row": {"levl": 1}},
        {"quarantine_id": found["s05"], "row": {"day": [1]}},
        {"quarantine_id": found["s03"], "row": {LEVEL: 1}},
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + "{\n[]\n\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        repair(ask(), runtime=bad_night, path=path)
    said = str(caught.value)
    for part in (
        "nothing was written",
        "must be of type float",
        "line 1: at must be of type timestamp",
        "line 2: there is no row q123 in quarantine",
        "line 3: unknown column 'levl'",
        "line 4: 'day' is no single value",
        "line 5: the row",
        "line 6: this is not a line of JSON",
        "line 7: a row has a `quarantine_id`",
    ):
        assert part in said
    assert not bad_night.lake.exists("meters", "amendments")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        pytest.param("x.txt", b"", "is a .jsonl or .csv file", id="another-kind"),
        pytest.param("x.csv", b"\xff\xfe\x00", "is not UTF-8", id="bytes"),
        pytest.param("x.csv", b"site,level\n1,2\n", "there is no `quarantine_id`", id="no-key"),
        pytest.param("x.csv", b"quarantine_id,sit\nq,1\n", "unknown column 'sit'", id="unknown-column"),
        pytest.param("x.csv", b"quarantine_id,site,site\nq,1,2\n", "a column is there twice", id="twice"),
        pytest.param(
            "x.csv", b"quarantine_id;site\nq;1;2\n", "line 2: it has 3 cells", id="ragged-semicolons"
        ),
    ],
)
def test_a_file_that_is_no_export_is_refused(
    name: str, content: bytes, said: str, bad_night: Runtime, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=said):
        repair(ask(), runtime=bad_night, path=tmp_path / name)
    with pytest.raises(ConfigError, match=r"Can't read|jsonl"):
        repair(ask(), runtime=bad_night, path=tmp_path / f"none.{name}")
    with pytest.raises(ConfigError, match=r"written as .jsonl or .csv"):
        export_rows("meters", DAY, tmp_path / "rows.html", runtime=bad_night)
    with pytest.raises(ConfigError, match="Can't write"):
        export_rows("meters", DAY, tmp_path / "none" / "rows.csv", runtime=bad_night)


def test_a_repaired_key_gives_the_row_the_id_and_time_that_ingestion_would(bad_night: Runtime) -> None:
    key = ids(bad_night)["s03"]
    cells = {key: {"site": "s99", "at": "2013-07-04T23:59:00+00:00", LEVEL: "7", "is_open": None}}
    record = repair(ask(), runtime=bad_night, cells=cells)
    assert isinstance(record, AmendmentRecord)
    assert record.n_rejoined == 1
    row = published(bad_night)["s99"]
    moment = datetime(2013, 7, 4, 23, 59, tzinfo=UTC)
    assert row["row_id"] == f"{DAY}|s99|2013-07-04 23:59:00"
    assert (row["event_time"], row["at"], row[LEVEL], row["is_open"]) == (moment, moment, 7.0, None)


def test_a_repair_into_the_key_of_a_good_row_holds_back_the_repaired_row_alone(bad_night: Runtime) -> None:
    key = ids(bad_night)["s03"]
    cells = {key: {"site": "s10", "at": "2013-07-04 00:10:00", LEVEL: "7"}}
    record = repair(ask(), runtime=bad_night, cells=cells)
    assert isinstance(record, AmendmentRecord)
    assert (record.n_rejoined, record.n_staying, newest(bad_night).n_quarantined) == (0, 1, 4)
    assert any(why.startswith("amendment:row_id") for why in record.still_broken)
    assert published(bad_night)["s10"][LEVEL] == 10.0


def test_of_two_rows_of_one_key_one_can_be_released_and_the_other_repaired(meters: Runtime) -> None:
    rows = readings(site={8: "s07"}, at={8: datetime(2013, 7, 4, 0, 7, tzinfo=UTC)})
    land(meters, rows)
    assert validate("meters", DAY, runtime=meters).n_quarantined == 2
    twins = show_rows("meters", DAY, runtime=meters)
    record = release(ask(), runtime=meters, is_all=True)
    assert (record.n_rows, len(record.not_released)) == (0, 2), "together they would be there twice"
    assert meters.ledger.latest(AmendmentRecord, "meters") is None
    first, second = (row.quarantine_id for row in twins)
    assert release(ask(), runtime=meters, ids=[first]).n_rejoined == 1
    with pytest.raises(ConfigError, match="would be there twice"):
        release(ask(), runtime=meters, ids=[second])
    record = repair(ask(), runtime=meters, cells={second: {"site": "s08"}})
    assert isinstance(record, AmendmentRecord)
    assert (record.n_rejoined, newest(meters).n_quarantined) == (1, 0)
    assert len(published(meters)) == N


def test_a_correction_of_the_source_makes_its_amendment_lapse(bad_night: Runtime) -> None:
    release(ask(), runtime=bad_night, ids=[ids(bad_night)["s03"]])
    corrected = {**BAD, "level": {3: 3.0, 4: None, 5: -1.0}}
    land(bad_night, readings(**corrected))
    record = validate("meters", DAY, runtime=bad_night)
    assert (record.n_released, record.n_quarantined) == (0, 3)
    assert published(bad_night)["s03"][LEVEL] == 3.0


def test_a_record_that_could_not_be_parsed_can_be_written_out_by_hand(meters: Runtime) -> None:
    nulls = {name: {39: None} for name in ("site", "at", "row", "level", "name", "day", "is_open")}
    land(meters, readings(**nulls, miscast={39: '{"record": "too few cells: s39;x"}'}))
    validate("meters", DAY, runtime=meters)
    (row,) = show_rows("meters", DAY, runtime=meters)
    assert [reason["rule"] for reason in row.reasons] == ["cast:record"]
    assert row.row["record"] == "too few cells: s39;x"
    cells = {"site": "s39", "at": "2013-07-04 00:39:00", LEVEL: "3", "name": "a"}
    record = repair(ask(), runtime=meters, cells={row.quarantine_id: cells})
    assert isinstance(record, AmendmentRecord)
    assert record.n_rejoined == 1
    assert published(meters)["s39"]["event_time"] == datetime(2013, 7, 4, 0, 39, tzinfo=UTC)


def test_a_repair_that_is_still_bad_stays_and_the_next_one_builds_on_it(bad_night: Runtime) -> None:
    key = ids(bad_night)["s05"]
    first = repair(ask(), runtime=bad_night, cells={key: {LEVEL: "50"}})
    assert isinstance(first, AmendmentRecord)
    assert (first.n_staying, first.still_broken) == (1, ("expect_column_values_to_be_in_set(name): 1",))
    (row,) = show_rows("meters", DAY, runtime=bad_night, ids=[key])
    assert (row.quarantine_id, row.row[LEVEL]) == (key, 50.0)
    second = repair(ask(), runtime=bad_night, cells={key: {"name": "b"}})
    assert isinstance(second, AmendmentRecord)
    assert second.n_rejoined == 1
    assert (published(bad_night)["s05"][LEVEL], published(bad_night)["s05"]["name"]) == (50.0, "b")
    both = release(ask(), runtime=bad_night, ids=[ids(bad_night)["s06"]])
    assert (both.n_published, both.n_quarantined) == (N - 2, 2)
    assert undo(ask(), runtime=bad_night, ids=[key]).n_staying == 1
    assert newest(bad_night).n_quarantined == 3


def test_a_refused_night_passes_once_its_rows_are_released_or_repaired(meters: Runtime) -> None:
    land(meters, readings(level=dict.fromkeys(range(30), -5.0)))
    (refused,) = validate_range("meters", DAY, DAY, runtime=meters)
    assert (refused.outcome, refused.n_quarantined) == ("refused", 30)
    few = list(ids(meters).values())[:2]
    assert release(ask(), runtime=meters, ids=few).outcome == "refused"
    record = release(ask(), runtime=meters, rule=f"expect_column_values_to_be_between({LEVEL})")
    assert (record.outcome, record.n_published, record.n_quarantined) == ("passed", N, 0)
    assert all(found.is_met for found in newest(meters).expectations if found.severity != "info")


def test_what_depends_on_the_former_rows_is_named_with_the_next_command(bad_night: Runtime) -> None:
    former = str(newest(bad_night).validated_digest)
    bad_night.ledger.record(
        ScoringRecord(
            dataset="meters",
            partition_key=DAY,
            model_version="3",
            bundle_digest="b",
            validated_digest=former,
            features_digest="f",
            predictions_digest="p",
            n_rows=N - 4,
            device="cpu",
        )
    )
    bad_night.ledger.record(
        PerformanceRecord(
            dataset="meters",
            partition_key=DAY,
            model_version="3",
            known_at=NEXT,
            labels_digest="l",
            predictions_digest="p",
            n_rows=N - 4,
            metrics={},
        )
    )
    record = release(ask(), runtime=bad_night, ids=[ids(bad_night)["s03"]])
    assert [what.split("run ")[-1] for what in record.dependents] == [
        f"`holdfast score meters {DAY}`",
        f"`holdfast monitor meters {NEXT}`",
    ]
    assert undo(ask(), runtime=bad_night, is_all=True).dependents == ()


def test_who_and_why_go_on_record(bad_night: Runtime) -> None:
    with pytest.raises(ConfigError, match="Say a --reason"):
        ask(reason=" ")
    with pytest.raises(ConfigError, match="exactly one of"):
        release(ask(), runtime=bad_night, is_all=True, rule="x")
    record = release(ask(), runtime=bad_night, rule="expect_column_values_to_be_in_set")
    kept = bad_night.ledger.latest(AmendmentRecord, "meters", DAY)
    assert kept is not None
    assert kept == record
    assert (kept.actor, kept.reason, kept.action) == ("ann", "seen with the operator", "release")
    assert kept.amendments_digest == newest(bad_night).amendments_digest


def test_two_people_at_once_are_both_heard(bad_night: Runtime) -> None:
    found = ids(bad_night)
    problems: list[Exception] = []

    def let(site: str) -> None:
        try:
            mine = Runtime(settings=bad_night.settings, params=bad_night.params)
            release(ask(actor=site), runtime=mine, ids=[found[site]])
        except Exception as error:  # noqa: BLE001 (shown by the assertion)
            problems.append(error)

    people = [threading.Thread(target=let, args=(site,)) for site in ("s03", "s05", "s06")]
    for person in people:
        person.start()
    for person in people:
        person.join()
    assert problems == []
    assert {"s03", "s05", "s06"} <= published(bad_night).keys()
    assert newest(bad_night).n_released == 3


def test_a_night_that_was_not_validated_has_no_quarantine_yet(meters: Runtime) -> None:
    land(meters, readings())
    with pytest.raises(NotReadyError, match="run `holdfast validate meters 2013-07-04`"):
        show_rows("meters", DAY, runtime=meters)
    with pytest.raises(ConfigError, match="no partition key"):
        show_rows("meters", "2013-07", runtime=meters)
    with pytest.raises(ConfigError, match="no dataset"):
        list_nights("meter", runtime=meters)
