"""The champions' moves are a chain: whatever is changed in it, or in its evidence, is found."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy import text
from tampering import drop_triggers, tamper

from pipelines.errors import IntegrityError
from pipelines.ledger.champions import request_digest
from pipelines.ledger.ledger import Ledger
from pipelines.records import ChainHead, ChampionMove, ChampionNote, GateRecord, GateResult
from pipelines.registry.champion import head_of

DATASET = "flights"
FIRST_AT = datetime(2026, 3, 1, 12, 0, 0, 5, tzinfo=UTC)
NIGHTS = ("2013-07-01", "2013-07-10", "2013-07-20")


def gates(version: str, sequence: int, *, is_passed: bool = True) -> GateRecord:
    return GateRecord(
        dataset=DATASET,
        partition_key=NIGHTS[0],
        model_version=version,
        bundle_digest="b",
        champion_version=None,
        champion_sequence=sequence - 1,
        metric="auc",
        challenger_value=0.75,
        champion_value=None,
        gates=(GateResult(name="beats_naive", is_passed=is_passed, observed="0.7", required="0.5"),),
        is_passed=is_passed,
    )


def promotion(sequence: int, version: str, evidence: str, **changes: object) -> ChampionMove:
    plain = {
        "dataset": DATASET,
        "sequence": sequence,
        "model_version": version,
        "previous_version": None if sequence == 1 else str(sequence - 1),
        "action": "promote",
        "actor": "ada",
        "reason": "passed",
        "evidence_digest": evidence,
        "partition_key": NIGHTS[min(sequence, 3) - 1],
        "moved_at": FIRST_AT + timedelta(hours=sequence),
    }
    return ChampionMove.model_validate(plain | changes)


def fill(ledger: Ledger) -> list[ChampionMove]:
    """Promote v1, then v2, and go back to v1."""
    moves = []
    for sequence, version in ((1, "1"), (2, "2")):
        evidence = gates(version, sequence)
        ledger.record(evidence)
        moves.append(ledger.champions.move(promotion(sequence, version, evidence.digest)))
    back = promotion(3, "1", "", action="rollback", previous_version="2", reason="odd")
    back = back.model_copy(update={"evidence_digest": request_digest(back)})
    return [*moves, ledger.champions.move(back)]


def problems(ledger: Ledger, anchor: ChainHead | None = None) -> list[tuple[int, str]]:
    report = ledger.champions.verify(DATASET, anchor=anchor)
    assert report.is_intact == (not report.breaks)
    return [(found.sequence, found.problem) for found in report.breaks]


def test_moves_as_they_were_written_verify(ledger: Ledger) -> None:
    assert problems(ledger) == []
    moves = fill(ledger)
    assert ledger.champions.history(DATASET) == moves
    assert problems(ledger, head_of(moves[-1])) == []
    assert problems(ledger, head_of(moves[0])) == []
    assert ledger.champions.verify(DATASET).head == head_of(moves[-1])


@pytest.mark.parametrize(
    ("statement", "sequence", "said"),
    [
        pytest.param("UPDATE champions SET actor = 'adb' WHERE sequence = 2", 2, "digest", id="actor"),
        pytest.param("UPDATE champions SET reason = 'passeD' WHERE sequence = 1", 1, "digest", id="reason"),
        pytest.param("UPDATE champions SET model_version = '3' WHERE sequence = 2", 2, "digest", id="who"),
        pytest.param(
            "UPDATE champions SET partition_key = '2013-07-11' WHERE sequence = 2", 2, "digest", id="night"
        ),
        pytest.param(
            "UPDATE champions SET moved_at = '2026-03-01 14:00:00.000006' WHERE sequence = 2",
            2,
            "digest",
            id="a-microsecond",
        ),
        pytest.param(
            "UPDATE champions SET action = 'rollback' WHERE sequence = 2", 2, "digest", id="another-action"
        ),
        pytest.param(
            "UPDATE champions SET action = 'promotf' WHERE sequence = 2", 2, "can't be read", id="no-action"
        ),
        pytest.param("UPDATE champions SET digest = NULL WHERE sequence = 2", 2, "no digest", id="unchained"),
        pytest.param("DELETE FROM champions WHERE sequence = 2", 2, "missing", id="taken-out"),
        pytest.param("DELETE FROM champions WHERE sequence = 3", 3, "missing", id="taken-from-the-end"),
        pytest.param("DELETE FROM champions", 3, "the record is empty", id="all-gone"),
        pytest.param("UPDATE champions SET dataset = 'bikes'", 3, "missing", id="moved-away"),
        pytest.param(
            "UPDATE decisions SET payload = replace(payload, '0.75', '0.76')", 1, "evidence", id="evidence"
        ),
        pytest.param(
            "UPDATE decisions SET decided_at = '2020-01-01 00:00:00.000000'", 1, "evidence", id="its-time"
        ),
        pytest.param(
            "UPDATE decisions SET digest = replace(digest, '0', '1')", 1, "not in the ledger", id="its-digest"
        ),
        pytest.param("DELETE FROM decisions", 1, "not in the ledger", id="evidence-gone"),
    ],
)
def test_what_was_changed_is_found(
    ledger: Ledger, url: str, statement: str, sequence: int, said: str
) -> None:
    head = head_of(fill(ledger)[-1])
    tamper(url, statement)
    assert any(found == sequence and said in problem for found, problem in problems(ledger, head))


def test_moves_that_changed_places_are_found(ledger: Ledger, url: str) -> None:
    fill(ledger)
    swap = ((1, 9), (2, 1), (9, 2))
    tamper(url, *(f"UPDATE champions SET sequence = {to} WHERE sequence = {at}" for at, to in swap))
    assert {sequence for sequence, _ in problems(ledger)} >= {1, 2}


def test_a_move_that_is_put_in_is_found(ledger: Ledger) -> None:
    fill(ledger)
    forged = gates("9", 4, is_passed=False)
    ledger.record(forged)
    ledger.champions.move(promotion(4, "9", forged.digest))
    ledger.champions.move(promotion(5, "8", "made up"))
    found = dict(problems(ledger))
    assert "not passed" in found[4]
    assert "not in the ledger" in found[5]


def test_every_single_byte_counts(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    ledger = Ledger(url)
    fill(ledger)
    engine = sqlalchemy.create_engine(url)
    with engine.connect() as connection:
        connection.execute(text("PRAGMA synchronous=OFF"))
        drop_triggers(connection)
        connection.commit()
        rows = connection.execute(text("SELECT * FROM champions WHERE sequence = 2")).mappings().one()
    n_changes = 0
    for column, value in rows.items():
        change = text(f"UPDATE champions SET {column} = :to WHERE {column} = :at AND sequence = 2")
        for place in range(len(value)) if isinstance(value, str) else ():
            changed = value[:place] + chr(ord(value[place]) ^ 1) + value[place + 1 :]
            for at, to in ((value, changed), (changed, value)):
                with engine.begin() as connection:
                    connection.execute(change, {"at": at, "to": to})
                if to == changed:
                    report = ledger.champions.verify(DATASET, with_evidence=False)
                    assert not report.is_intact, (column, place)
            n_changes += 1
    assert n_changes > 250
    engine.dispose()
    assert problems(ledger) == []
    ledger.close()


def test_a_time_that_reads_the_same_but_is_written_otherwise_is_found(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    ledger = Ledger(url)
    fill(ledger)
    tamper(url, "UPDATE champions SET moved_at = replace(moved_at, ' ', 'T') WHERE sequence = 2")
    assert [(n, "time was changed" in problem) for n, problem in problems(ledger)] == [(2, True)]
    ledger.close()


def test_a_move_that_can_not_be_read_stops_whoever_needs_it(ledger: Ledger, url: str) -> None:
    fill(ledger)
    tamper(url, "UPDATE champions SET action = 'promotf' WHERE sequence = 3")
    with pytest.raises(IntegrityError, match="champion verify"):
        ledger.champions.present(DATASET)


def test_who_was_champion_at_a_moment(ledger: Ledger) -> None:
    moves = fill(ledger)
    champions = ledger.champions
    assert champions.at(DATASET, moment=moves[0].moved_at - timedelta(microseconds=1)) is None
    for move in moves:
        assert champions.at(DATASET, moment=move.moved_at) == move
        later = (move.moved_at + timedelta(minutes=59)).astimezone(timezone(timedelta(hours=5)))
        assert champions.at(DATASET, moment=later) == move


@pytest.mark.parametrize(
    ("night", "sequence"),
    [
        pytest.param("2013-06-30", None, id="before-the-first"),
        pytest.param("2013-07-01", 1, id="the-challengers-night"),
        pytest.param("2013-07-09", 1, id="later"),
        pytest.param("2013-07-10", 2, id="the-next-one"),
        pytest.param("2013-07-20", 2, id="the-last-night-before-a-rollback"),
        pytest.param("2013-07-21", 3, id="the-night-after"),
    ],
)
def test_who_was_champion_for_a_night(ledger: Ledger, night: str, sequence: int | None) -> None:
    fill(ledger)
    move = ledger.champions.at(DATASET, night=night)
    assert (None if move is None else move.sequence) == sequence


def test_a_clock_that_was_set_back_does_not_turn_moves_around(ledger: Ledger) -> None:
    first = ledger.champions.move(promotion(1, "1", "a"))
    second = ledger.champions.move(promotion(2, "2", "b", moved_at=FIRST_AT - timedelta(days=9)))
    assert second.moved_at == first.moved_at + timedelta(microseconds=1)
    assert ledger.champions.at(DATASET, moment=second.moved_at) == second


_OLD = """
CREATE TABLE champions (dataset VARCHAR(80) NOT NULL, sequence INTEGER NOT NULL,
    model_version VARCHAR(40) NOT NULL, previous_version VARCHAR(40), action VARCHAR(20) NOT NULL,
    actor VARCHAR(200) NOT NULL, reason TEXT NOT NULL, evidence_digest VARCHAR(64) NOT NULL,
    partition_key VARCHAR(10) NOT NULL, moved_at {timestamp} NOT NULL, PRIMARY KEY (dataset, sequence))
"""


def make_old(url: str) -> None:
    """Leave a ledger as it was before the chain: the same moves, without a digest."""
    ledger = Ledger(url)
    fill(ledger)
    ledger.close()
    timestamp = "TIMESTAMP WITH TIME ZONE" if url.startswith("postgresql") else "DATETIME"
    columns = "dataset, sequence, model_version, previous_version, action, actor, reason, evidence_digest, "
    columns += "partition_key, moved_at"
    tamper(
        url,
        "ALTER TABLE champions RENAME TO chained",
        _OLD.format(timestamp=timestamp).replace("PRIMARY KEY", "CONSTRAINT old_key PRIMARY KEY"),
        f"INSERT INTO champions SELECT {columns} FROM chained",
        "DROP TABLE chained",
    )


def test_an_older_ledger_is_chained_once_however_many_open_it(url: str) -> None:
    make_old(url)
    with ThreadPoolExecutor(6) as pool:
        ledgers = list(pool.map(Ledger, [url] * 6))
    ledger = ledgers[0]
    assert problems(ledger) == []
    assert [move.model_version for move in ledger.champions.history(DATASET)] == ["1", "2", "1"]
    (note,) = ledger.revisions(ChampionNote, DATASET)
    assert (note.about, note.sequence) == ("chain", 3)
    ledger.champions.move(promotion(4, "2", "c"))
    assert [sequence for sequence, _ in problems(ledger)] == [4]  # its evidence is made up
    for opened in ledgers:
        opened.close()


def test_a_chain_that_was_cut_off_is_not_made_anew(url: str) -> None:
    ledger = Ledger(url)
    fill(ledger)
    tamper(url, "UPDATE champions SET digest = NULL, previous_digest = NULL, evidence_seal = NULL")
    ledger.close()
    again = Ledger(url)
    assert [n for n, problem in problems(again) if "no digest" in problem] == [1, 2, 3]
    again.close()
