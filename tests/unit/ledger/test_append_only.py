"""The database itself refuses to change what is on record, until somebody takes the refusal away."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy
from drift_nights import DATASET, crown, verdict
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, ProgrammingError
from tampering import tamper

from pipelines.ledger.append_only import APPEND_ONLY, is_append_only
from pipelines.ledger.ledger import Ledger
from pipelines.monitoring.telling.messages import episode_message
from pipelines.records import DriftRecord
from pipelines.steps.incidents import incident_of

NIGHT = "2013-07-01"


def run(url: str, statement: str) -> None:
    """Run a statement as any program that has the database's password."""
    engine = sqlalchemy.create_engine(url)
    try:
        with engine.begin() as connection:
            connection.execute(text(statement))
    finally:
        engine.dispose()


def is_kept(url: str) -> bool:
    engine = sqlalchemy.create_engine(url)
    try:
        with engine.connect() as connection:
            return is_append_only(connection)
    finally:
        engine.dispose()


def fill(ledger: Ledger) -> None:
    crown(ledger, "1")
    ledger.record(verdict(NIGHT))


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("UPDATE {table} SET dataset = 'bikes'", id="update"),
        pytest.param("UPDATE {table} SET dataset = dataset", id="update-to-the-same"),
        pytest.param("DELETE FROM {table}", id="delete-all"),
        pytest.param("DELETE FROM {table} WHERE dataset = 'flights'", id="delete-one"),
        pytest.param("INSERT INTO {table} SELECT * FROM {table} {conflict}", id="insert-over-it"),
    ],
)
@pytest.mark.parametrize("table", [table.name for table in APPEND_ONLY])
def test_what_is_on_record_is_not_changed(ledger: Ledger, url: str, table: str, statement: str) -> None:
    fill(ledger)
    conflict = ""
    if url.startswith("sqlite"):
        statement = statement.replace("INSERT", "INSERT OR REPLACE")
    elif "INSERT" in statement:
        key = {"champions": "dataset, sequence", "decisions": "id"}[table]
        conflict = f"ON CONFLICT ({key}) DO UPDATE SET dataset = 'bikes'"
    with pytest.raises(IntegrityError, match=f"{table} is append-only"):
        run(url, statement.format(table=table, conflict=conflict))
    assert len(ledger.champions.history(DATASET)) == len(ledger.revisions(DriftRecord, DATASET)) == 1


def test_a_table_is_not_emptied_at_one_stroke(postgresql_url: str) -> None:
    ledger = Ledger(postgresql_url)
    fill(ledger)
    with pytest.raises(IntegrityError, match="champions is append-only"):
        run(postgresql_url, "TRUNCATE champions")
    ledger.close()


def test_what_is_appended_goes_on_as_before(ledger: Ledger) -> None:
    fill(ledger)
    fill(ledger)
    ledger.record(verdict(NIGHT, "retrain"))
    assert [move.sequence for move in ledger.champions.history(DATASET)] == [1, 2]
    assert [night.action for night in ledger.revisions(DriftRecord, DATASET)] == ["none", "retrain"]


def test_an_older_ledger_is_kept_from_its_first_opening_on_however_many_open_it(url: str) -> None:
    ledger = Ledger(url)
    fill(ledger)
    ledger.close()
    tamper(url)
    assert not is_kept(url)
    with ThreadPoolExecutor(6) as pool:
        opened = list(pool.map(Ledger, [url] * 6))
    assert is_kept(url)
    assert len(opened[0].champions.history(DATASET)) == 1
    for one in opened:
        one.close()


def test_a_trigger_that_was_switched_off_is_made_anew(postgresql_url: str) -> None:
    Ledger(postgresql_url).close()
    run(postgresql_url, "ALTER TABLE champions DISABLE TRIGGER ALL")
    assert not is_kept(postgresql_url)
    Ledger(postgresql_url).close()
    assert is_kept(postgresql_url)


@pytest.fixture
def limited_url(postgresql_url: str) -> Iterator[str]:
    """Give the address of a role with no more rights than the how-to grants."""
    Ledger(postgresql_url).close()
    role = "appender_" + postgresql_url.rpartition("_")[2]
    for statement in (
        f"CREATE ROLE {role} LOGIN",
        f"GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO {role}",
        f"GRANT UPDATE ON retrainings, episodes, messages TO {role}",
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}",
    ):
        run(postgresql_url, statement)
    yield postgresql_url.replace("holdfast@", f"{role}@")
    run(postgresql_url, f"DROP OWNED BY {role}")
    run(postgresql_url, f"DROP ROLE {role}")


def test_a_role_that_owns_nothing_does_a_nights_work_and_takes_no_trigger_away(limited_url: str) -> None:
    ledger = Ledger(limited_url)
    fill(ledger)
    alarm = verdict(NIGHT, "retrain")
    episode = ledger.episodes.open(incident_of(alarm, "retrain", first_alarm=NIGHT))
    ledger.triggers.keep(DATASET, NIGHT, episode_id=episode.id, verdict="wait", reason="r")
    ledger.open_retraining(DATASET, NIGHT, status="requested", reason="drift")
    ledger.update_retraining(DATASET, NIGHT, status="promoted")
    assert ledger.episodes.close(episode, night=NIGHT, reason="calm").status == "closed"
    message = episode_message(episode, "retrain", is_worse=False, pages="")
    ledger.outbox.put(message)
    claimed = ledger.outbox.claim(message.key)
    assert claimed is not None
    assert ledger.outbox.mark_sent(claimed, delivered_to=["log"]).sent_at is not None
    ledger.close()
    for statement in ("UPDATE champions SET actor = 'bob'", "DELETE FROM decisions"):
        with pytest.raises(ProgrammingError, match="permission denied"):
            run(limited_url, statement)
    with pytest.raises(ProgrammingError, match="must be owner"):
        tamper(limited_url)
