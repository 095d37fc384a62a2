"""Holding nights of meter readings, and all the ways in which they are let go again."""

from __future__ import annotations

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
    DataBug,
    DriftRecord,
    IngestionRecord,
    ScoringRecord,
    ValidationRecord,
)
from pipelines.runtime import Runtime
from pipelines.steps.amend import Request, release, repair, undo
from pipelines.steps.faulty_nights import hold_faulty_nights, is_held
from pipelines.steps.hold import HoldRecord, hold, lift
from pipelines.steps.quarantine import list_nights, show_rows
from pipelines.steps.validate import validate, validate_range
from pipelines.steps.versions import render_partition, show_partition, stale_partitions
from pipelines.storage.columns import ARROW_TYPES
from pipelines.training.planning import plan_snapshot

DAYS = ["2013-07-03", "2013-07-04", "2013-07-05"]
DAY = DAYS[1]
N = 20
COLUMNS = {"site": "string", "temp": "float", "name": "string"}
SUITE = """
expectations:
  - {type: expect_column_values_to_be_in_set, severity: warning, column: name, value_set: [a, b], mostly: 0.9}
"""


@pytest.fixture
def meters(tmp_path: Path, make_runtime: Callable[..., Runtime]) -> Runtime:
    """Return a Runtime with three validated nights, each with one row in quarantine."""
    path = tmp_path / "project" / "expectations" / "meters_raw.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(SUITE, encoding="utf-8")
    dataset = {
        "description": "Meters",
        "task": "regression",
        "source": {"kind": "csv", "tables": {"meters": "meters.csv"}},
        "key": ["site"],
        "columns": COLUMNS,
        "target": "use",
        "labels": {"use": "float"},
        "features": {"sql": "meters.sql", "numeric": ["temp"]},
        "training": {"min_days": 1, "split": "rows"},
    }
    shipped = make_runtime()
    settings = shipped.settings.model_copy(update={"project": path.parents[1]})
    runtime = Runtime(settings=settings, params=Params.model_validate({"datasets": {"meters": dataset}}))
    for day in DAYS:
        land(runtime, day)
        validate("meters", day, runtime=runtime)
    return runtime


def land(runtime: Runtime, day: str = DAY, n: int = N, **cells: dict[int, Any]) -> None:
    """Land a night of ``n`` readings, with single cells replaced; the last one has an unknown name."""
    moment = datetime.fromisoformat(day).replace(tzinfo=UTC)
    columns: dict[str, list[Any]] = {
        "site": [f"s{row:02}" for row in range(n)],
        "temp": [float(row) for row in range(n)],
        "name": ["a"] * (N - 1) + ["c"] + ["a"] * (n - N),
        "row_id": [f"{day}|s{row:02}" for row in range(n)],
        "event_time": [moment + timedelta(minutes=row) for row in range(n)],
        "miscast": [None] * n,
        "source_file": ["meters.csv"] * n,
        "source_line": list(range(2, n + 2)),
        "position": list(range(n)),
    }
    for name, replaced in cells.items():
        for row, value in replaced.items():
            columns[name][row] = value
    kinds = {"event_time": "timestamp", "temp": "float", "source_line": "integer", "position": "integer"}
    arrays = {name: pa.array(rows, ARROW_TYPES[kinds.get(name, "string")]) for name, rows in columns.items()}
    version = runtime.lake.replace("meters", "raw", day, pa.table(arrays))
    runtime.ledger.record(
        IngestionRecord(
            dataset="meters",
            partition_key=day,
            source_uri="test",
            raw_digest=version.digest,
            n_rows=version.n_rows,
        )
    )
    labels = pa.table({"row_id": arrays["row_id"], "use": arrays["temp"]})
    runtime.lake.replace("meters", "labels", day, labels)


def held(runtime: Runtime, *nights: str, columns: tuple[str, ...] = ("temp",)) -> HoldRecord:
    return hold("meters", nights or [DAY], columns=columns, reason="Fahrenheit", runtime=runtime, actor="ann")


def ask() -> Request:
    return Request("meters", DAY, "bob", "looked at it")


def newest(runtime: Runtime, day: str = DAY) -> ValidationRecord:
    """Return the newest verdict; its counts add up, and are those of the tables."""
    record = runtime.ledger.latest(ValidationRecord, "meters", day)
    assert record is not None
    if record.outcome != "refused":
        assert record.n_published == rows_of(runtime, "validated", day)
        assert record.n_in == record.n_published + record.n_quarantined
    assert record.n_quarantined == rows_of(runtime, "quarantine", day)
    return record


def rows_of(runtime: Runtime, table: str, day: str = DAY) -> int:
    return runtime.lake.read("meters", table, partitions=[day]).num_rows


def ids(runtime: Runtime) -> dict[str, str]:
    shown = show_rows("meters", DAY, runtime=runtime, limit=1000)
    return {str(row.row["site"]): row.quarantine_id for row in shown}


def test_a_held_night_has_every_row_in_quarantine_and_nothing_published(meters: Runtime) -> None:
    before = newest(meters)
    assert (before.n_published, before.n_quarantined) == (N - 1, 1)

    (night,) = held(meters).nights

    assert (night.action, night.actor, night.reason) == ("hold", "ann", "Fahrenheit")
    assert (night.n_rows, night.n_rejoined, night.n_staying) == (N - 1, 0, N - 1)
    after = newest(meters)
    assert (after.outcome, after.n_in, after.n_published, after.n_quarantined) == ("refused", N, 0, N)
    assert after.validated_digest is None
    assert meters.lake.partition_keys("meters", "validated") == [DAYS[0], DAYS[2]]
    assert not any("left in place" in reason for reason in after.reasons)
    assert f"quarantine: held(temp): {N - 1} rows held, until somebody releases them" in after.reasons
    assert newest(meters, DAYS[0]).outcome == "passed"


def test_a_held_row_shows_the_column_its_value_and_the_reason(meters: Runtime) -> None:
    held(meters, columns=("temp", "name"))

    shown = {row.row["site"]: row.reasons for row in show_rows("meters", DAY, runtime=meters)}

    assert shown["s03"] == (
        {"rule": "held", "column": "name", "value": "a", "severity": "critical", "why": "Fahrenheit"},
        {"rule": "held", "column": "temp", "value": 3.0, "severity": "critical", "why": "Fahrenheit"},
    )
    assert [reason["rule"] for reason in shown["s19"]] == ["expect_column_values_to_be_in_set"]
    (listed,) = list_nights("meters", runtime=meters, first=DAY, last=DAY)
    assert {(rule.rule, rule.column): rule.n_rows for rule in listed.rules} == {
        ("held", "temp"): N - 1,
        ("held", "name"): N - 1,
        ("expect_column_values_to_be_in_set", "name"): 1,
    }
    by_rule = show_rows("meters", DAY, runtime=meters, rule="held(temp)", limit=100)
    assert len(by_rule) == N - 1


def test_several_nights_are_held_at_once_and_a_repeat_does_nothing(meters: Runtime) -> None:
    first = held(meters, *DAYS[:2])
    amendments = meters.lake.version("meters", "amendments")
    decisions = len(meters.ledger.revisions(AmendmentRecord, "meters"))

    again = held(meters, *DAYS[:2])

    assert first.n_rows == 2 * (N - 1)
    assert [night.digest for night in again.nights] == [night.digest for night in first.nights]
    assert meters.lake.version("meters", "amendments") == amendments
    assert len(meters.ledger.revisions(AmendmentRecord, "meters")) == decisions


def test_a_repeat_with_another_column_names_both(meters: Runtime) -> None:
    held(meters)
    held(meters, columns=("name",))

    reasons = show_rows("meters", DAY, runtime=meters, ids=[ids(meters)["s00"]])[0].reasons

    assert [reason["column"] for reason in reasons] == ["name", "temp"]


def let_go(runtime: Runtime, how: str) -> None:
    if how == "lift":
        lift("meters", [DAY], reason="it was right", runtime=runtime)
    elif how == "release":
        release(ask(), runtime=runtime, rule="held")
    else:
        undo(ask(), runtime=runtime, is_all=True)


@pytest.mark.parametrize("how", ["lift", "release", "undo"])
def test_a_night_that_is_let_go_is_what_it_was_to_the_digest(how: str, meters: Runtime) -> None:
    before = newest(meters)
    held(meters)

    let_go(meters, how)

    assert newest(meters).digest == before.digest
    assert newest(meters).validated_digest == before.validated_digest
    let_go(meters, how)
    assert newest(meters).digest == before.digest


@pytest.mark.parametrize("how", ["lift", "release"])
def test_what_people_made_of_rows_before_is_so_again_after_a_hold(how: str, meters: Runtime) -> None:
    repair(ask(), runtime=meters, cells={ids(meters)["s19"]: {"name": "b", "temp": "7.5"}})
    before = newest(meters)
    assert (before.n_published, before.n_amended) == (N, 1)

    assert held(meters).n_rows == N
    assert newest(meters).n_quarantined == N
    let_go(meters, how)

    assert newest(meters).digest == before.digest
    rows = meters.lake.read("meters", "validated", partitions=[DAY]).to_pylist()
    assert next(row["temp"] for row in rows if row["site"] == "s19") == 7.5


def test_releasing_all_frees_the_rows_that_break_a_rule_too(meters: Runtime) -> None:
    held(meters)

    record = release(ask(), runtime=meters, is_all=True)

    assert (record.n_rows, record.n_rejoined, record.outcome) == (N, N, "passed")
    assert (newest(meters).n_published, newest(meters).n_released) == (N, 1)


def test_rows_that_are_released_one_by_one_wait_until_enough_of_them_are(meters: Runtime) -> None:
    held(meters)
    found = ids(meters)
    first = release(ask(), runtime=meters, ids=[found["s00"]])
    assert (first.outcome, first.n_quarantined) == ("refused", N - 1)
    again = release(ask(), runtime=meters, ids=[found["s00"]])
    assert again.digest == first.digest

    rest = release(ask(), runtime=meters, ids=[found[f"s{row:02}"] for row in range(1, N - 1)])

    assert (rest.outcome, rest.n_published, rest.n_quarantined) == ("passed", N - 1, 1)


def test_a_repaired_row_is_held_no_longer(meters: Runtime) -> None:
    held(meters)
    found = ids(meters)
    cells = {found[f"s{row:02}"]: {"temp": str((row - 32) / 1.8)} for row in range(N - 1)}

    record = repair(ask(), runtime=meters, cells=cells)

    assert (record.outcome, record.n_rejoined, record.n_published) == ("passed", N - 1, N - 1)
    assert newest(meters).n_amended == N - 1


def test_a_hold_outlasts_validations_and_rows_that_come_late(meters: Runtime) -> None:
    held(meters)
    digest = newest(meters).digest

    (again,) = validate_range("meters", DAY, DAY, runtime=meters)
    assert again.digest == digest
    land(meters, n=N + 1)
    (late,) = validate_range("meters", DAY, DAY, runtime=meters)

    assert (late.outcome, late.n_in, late.n_quarantined) == ("refused", N + 1, N)


def test_rows_that_the_source_corrects_are_held_no_longer(meters: Runtime) -> None:
    held(meters)

    land(meters, temp={row: (row - 32) / 1.8 for row in range(N - 1)})
    (corrected,) = validate_range("meters", DAY, DAY, runtime=meters)

    assert (corrected.outcome, corrected.n_published, corrected.n_quarantined) == ("passed", N - 1, 1)


def test_nobody_learns_from_a_held_night(meters: Runtime) -> None:
    def learned() -> list[str]:
        snapshot = plan_snapshot(
            "meters",
            DAYS[-1],
            first=None,
            config=meters.dataset("meters"),
            lake=meters.lake,
            ledger=meters.ledger,
        )
        return [day.partition_key for day in snapshot.days]

    assert learned() == DAYS
    held(meters)
    assert learned() == [DAYS[0], DAYS[2]]
    lift("meters", [DAY], reason="it was right", runtime=meters)
    assert learned() == DAYS


def test_predictions_of_a_held_night_stay_and_are_told_as_stale(meters: Runtime) -> None:
    scored = ScoringRecord(
        dataset="meters",
        partition_key=DAY,
        model_version="3",
        bundle_digest="b",
        validated_digest=str(newest(meters).validated_digest),
        features_digest="f",
        predictions_digest="p",
        n_rows=N - 1,
        device="cpu",
    )
    meters.ledger.record(scored)

    (night,) = held(meters).nights

    assert night.dependents == (
        "the predictions of v3 stay, of rows that are not published any more: "
        f"once the night is published again, run `holdfast score meters {DAY}`",
    )
    assert meters.ledger.latest(ScoringRecord, "meters", DAY) == scored
    history = show_partition("meters", DAY, runtime=meters)
    assert [event.is_stale for event in history.events if event.kind == "scoring"] == [True]
    assert "STALE: these rows are not published any more" in render_partition(history)
    assert "hold by ann: Fahrenheit" in render_partition(history)
    # It can't be scored again, and nobody tries to.
    assert stale_partitions("meters", runtime=meters) == []
    lift("meters", [DAY], reason="it was right", runtime=meters)
    history = show_partition("meters", DAY, runtime=meters)
    assert [event.is_stale for event in history.events if event.kind == "scoring"] == [False]


def test_amendments_of_before_there_were_holds_are_kept(meters: Runtime) -> None:
    release(ask(), runtime=meters, ids=[ids(meters)["s19"]])
    before = newest(meters)
    older = meters.lake.read("meters", "amendments").drop_columns(["held", "partition_key"])
    folder = Path(meters.lake.uri("meters", "amendments"))
    folder.rename(folder.with_name("amendments_newer"))
    meters.lake.replace("meters", "amendments", DAY, older)

    assert validate("meters", DAY, runtime=meters).digest == before.digest
    assert held(meters).n_rows == N
    lift("meters", [DAY], reason="it was right", runtime=meters)
    assert newest(meters).digest == before.digest


def test_a_night_that_has_nothing_published_leaves_no_trace(meters: Runtime) -> None:
    land(meters, name=dict.fromkeys(range(N), "c"))
    validate_range("meters", DAY, DAY, runtime=meters)

    assert held(meters).n_rows == 0
    assert lift("meters", [DAY], reason="none", runtime=meters).n_rows == 0
    assert meters.ledger.latest(AmendmentRecord, "meters", DAY) is None


@pytest.mark.parametrize(
    ("change", "error"),
    [
        pytest.param({"columns": ["tmp"]}, r"no column 'tmp'.* Did you mean `temp`", id="column"),
        pytest.param({"columns": []}, "Say at least one --column", id="no-column"),
        pytest.param({"reason": " "}, "Say a --reason", id="no-reason"),
        pytest.param({"nights": [DAY, "yesterday"]}, "yesterday", id="night"),
        pytest.param({"dataset": "metres"}, "metres", id="dataset"),
    ],
)
def test_what_can_not_be_is_refused_and_nothing_is_written(
    change: dict[str, Any], error: str, meters: Runtime
) -> None:
    asked: dict[str, Any] = {"dataset": "meters", "nights": [DAY], "columns": ["temp"], "reason": "why"}
    with pytest.raises(ConfigError, match=error):
        hold(**asked | change, runtime=meters)
    assert not meters.lake.exists("meters", "amendments")


def test_a_night_that_was_not_validated_can_not_be_held(meters: Runtime) -> None:
    with pytest.raises(NotReadyError, match="run `holdfast validate meters 2013-07-06`"):
        held(meters, "2013-07-06")


def verdict(*, column: str = "temp", **changes: Any) -> DriftRecord:
    """Return a verdict that takes a column for faulty since the second night."""
    bug = DataBug(
        column=column,
        signature="unit_change",
        explanation=f"{column} is 1.8 times what it was, plus 32.",
        first_partition=DAY,
        n_rows=N,
        share=1.0,
    )
    plain = {
        "dataset": "meters",
        "partition_key": DAYS[2],
        "model_version": "1",
        "window": (DAYS[0], DAYS[2]),
        "columns": (),
        "bugs": (bug,),
        "action": "investigate",
        "severity": "critical",
        "is_alarm": True,
        "is_confirmed": True,
        "n_alarm_nights": 1,
    }
    return DriftRecord.model_validate({**plain, **changes})


def test_nights_since_a_fault_are_held_once_with_what_is_wrong(meters):
    assert hold_faulty_nights(verdict(), runtime=meters) == (DAYS[1], DAYS[2])
    assert hold_faulty_nights(verdict(), runtime=meters) == ()
    assert [is_held("meters", day, runtime=meters) for day in DAYS] == [False, True, True]
    (record,) = meters.ledger.revisions(AmendmentRecord, "meters", DAYS[1])
    assert record.reason == "temp is 1.8 times what it was, plus 32."
    assert rows_of(meters, "validated", DAYS[1]) == 0


def test_night_that_a_person_let_go_is_not_held_again(meters):
    hold_faulty_nights(verdict(), runtime=meters)
    lift("meters", [DAYS[1]], reason="it was that hot", runtime=meters, actor="bob")
    assert hold_faulty_nights(verdict(), runtime=meters) == ()
    assert [is_held("meters", day, runtime=meters) for day in DAYS] == [False, False, True]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"is_confirmed": False}, id="not-confirmed"),
        pytest.param({"action": "retrain"}, id="another-action"),
        pytest.param({"column": "temp_yesterday"}, id="fault-of-a-made-feature"),
    ],
)
def test_nothing_is_held_without_a_confirmed_fault_of_a_landed_column(meters, changes):
    assert hold_faulty_nights(verdict(**changes), runtime=meters) == ()
    assert not is_held("meters", DAYS[2], runtime=meters)
