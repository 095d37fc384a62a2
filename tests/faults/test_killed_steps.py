"""kill -9 at every write of a step: a reader never sees half, and the retry ends where it should."""

from __future__ import annotations

import itertools

import toy_world

from pipelines.records import AmendmentRecord, IngestionRecord, ScoringRecord, ValidationRecord
from pipelines.runtime import Runtime
from pipelines.steps.amend import Request, release
from pipelines.steps.hold import hold, lift
from pipelines.steps.ingest import ingest
from pipelines.steps.score import score
from pipelines.steps.validate import validate

DAY, BEFORE = "2011-01-05", "2011-01-04"
ROWS_A_DAY = 24


def run_ingest(runtime: Runtime) -> None:
    ingest("bikes", DAY, runtime=runtime)


def run_validate(runtime: Runtime) -> None:
    validate("bikes", DAY, runtime=runtime)


def run_release(runtime: Runtime) -> None:
    release(Request("bikes", DAY, "ann", "a person looked"), runtime=runtime, is_all=True)


def run_hold(runtime: Runtime) -> None:
    hold("bikes", [DAY], columns=["hum"], reason="the sensor is stuck", runtime=runtime)


def run_score(runtime: Runtime) -> None:
    score(toy_world.DATASET, toy_world.LAST_LABELLED, runtime=runtime)


def rows_of(runtime: Runtime, table: str, key: str, dataset: str = "bikes") -> int:
    if not runtime.lake.exists(dataset, table):
        return 0
    return runtime.lake.read(dataset, table, partitions=[key]).num_rows


def blows(kill, step, runtime):
    """Kill the step before and after its first, second, ... write, until it has no more writes."""
    for n in itertools.count(1):
        struck = [kill(step, runtime, n, when) for when in ("before", "after")]
        if not any(struck):
            return
        yield n


def test_an_ingest_killed_at_any_write_is_whole_or_absent_and_then_done(bikes, kill_at_write):
    n_blows = 0
    for _ in blows(kill_at_write, run_ingest, bikes):
        n_blows += 1
        assert rows_of(bikes, "raw", DAY) in (0, ROWS_A_DAY)
        assert rows_of(bikes, "labels", BEFORE) in (0, ROWS_A_DAY)
    assert n_blows >= 3
    record = ingest("bikes", DAY, runtime=bikes)
    assert (record.n_rows, record.n_labels) == (ROWS_A_DAY, ROWS_A_DAY)
    assert rows_of(bikes, "raw", DAY) == rows_of(bikes, "labels", BEFORE) == ROWS_A_DAY
    assert len(bikes.ledger.history(IngestionRecord, "bikes")) == 1


def test_a_validation_killed_at_any_write_never_publishes_half(bikes, kill_at_write):
    ingest("bikes", DAY, runtime=bikes)
    n_blows = 0
    for _ in blows(kill_at_write, run_validate, bikes):
        n_blows += 1
        assert rows_of(bikes, "validated", DAY) in (0, ROWS_A_DAY)
    assert n_blows >= 3
    record = validate("bikes", DAY, runtime=bikes)
    assert record.n_published + record.n_quarantined == ROWS_A_DAY
    assert rows_of(bikes, "validated", DAY) == record.n_published
    assert len(bikes.ledger.history(ValidationRecord, "bikes")) == 1


def test_an_amendment_killed_at_any_write_is_completed_by_its_repeat(bikes, tmp_path, kill_at_write):
    table = bikes.settings.sources / "bikes" / "hour.csv"
    lines = table.read_text().splitlines()
    hum = lines[0].split(",").index("hum")
    row = next(n for n, line in enumerate(lines) if DAY in line)
    cells = lines[row].split(",")
    lines[row] = ",".join([*cells[:hum], "7", *cells[hum + 1 :]])
    table.write_text("\n".join(lines) + "\n")
    ingest("bikes", DAY, runtime=bikes)
    assert validate("bikes", DAY, runtime=bikes).n_quarantined == 1
    n_blows = 0
    for _ in blows(kill_at_write, run_release, bikes):
        n_blows += 1
        assert rows_of(bikes, "validated", DAY) in (ROWS_A_DAY - 1, ROWS_A_DAY)
    assert n_blows >= 3
    run_release(bikes)
    newest = bikes.ledger.latest(ValidationRecord, "bikes", DAY)
    assert (newest.n_released, newest.n_published, newest.n_quarantined) == (1, ROWS_A_DAY, 0)
    assert rows_of(bikes, "validated", DAY) == ROWS_A_DAY
    assert rows_of(bikes, "amendments", DAY) == 1
    assert {record.n_published for record in bikes.ledger.revisions(AmendmentRecord, "bikes")} <= {ROWS_A_DAY}


def test_a_hold_killed_at_any_write_is_completed_by_its_repeat(bikes, kill_at_write):
    ingest("bikes", DAY, runtime=bikes)
    before = validate("bikes", DAY, runtime=bikes)
    n_blows = 0
    for _ in blows(kill_at_write, run_hold, bikes):
        n_blows += 1
        assert rows_of(bikes, "validated", DAY) in (0, ROWS_A_DAY)
        if rows_of(bikes, "validated", DAY) == 0:
            assert rows_of(bikes, "quarantine", DAY) == ROWS_A_DAY
    assert n_blows >= 4
    run_hold(bikes)
    newest = bikes.ledger.latest(ValidationRecord, "bikes", DAY)
    assert (newest.outcome, newest.n_published, newest.n_quarantined) == ("refused", 0, ROWS_A_DAY)
    assert (rows_of(bikes, "validated", DAY), rows_of(bikes, "quarantine", DAY)) == (0, ROWS_A_DAY)
    assert rows_of(bikes, "amendments", DAY) == ROWS_A_DAY
    assert len(bikes.ledger.revisions(AmendmentRecord, "bikes")) == 1
    lift("bikes", [DAY], reason="it was right", runtime=bikes)
    assert bikes.ledger.latest(ValidationRecord, "bikes", DAY).digest == before.digest
    assert rows_of(bikes, "validated", DAY) == ROWS_A_DAY


def test_a_scoring_killed_at_any_write_leaves_all_predictions_or_none(tmp_path, kill_at_write):
    world = toy_world.open_world(tmp_path, "champions")
    dataset, night = toy_world.DATASET, toy_world.LAST_LABELLED
    n_rows = rows_of(world, "validated", night, dataset)
    n_blows = 0
    for _ in blows(kill_at_write, run_score, world):
        n_blows += 1
        assert rows_of(world, "predictions", night, dataset) in (0, n_rows)
    assert n_blows >= 2
    record = score(dataset, night, runtime=world)
    predictions = world.lake.read(dataset, "predictions", partitions=[night])
    assert record.n_rows == predictions.num_rows == len(set(predictions["row_id"].to_pylist())) == n_rows
    assert len(world.ledger.history(ScoringRecord, dataset)) == 1
