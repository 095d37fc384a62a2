"""Bring an older ledger up to date: once, in one transaction, however many open it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from sqlalchemy import Connection, Engine, Inspector, insert, inspect, select, text, update

from pipelines.ledger.append_only import is_append_only, make_append_only
from pipelines.ledger.chain import GENESIS, link
from pipelines.ledger.evidence import evidence_row, evidence_seal
from pipelines.ledger.rows import aware
from pipelines.ledger.schema import champions, decisions
from pipelines.records import ChampionMove, ChampionNote, now_utc

# They came together: a ledger has all of them or none.
_COLUMNS = ("evidence_seal", "previous_digest", "digest")


def upgrade(engine: Engine) -> None:
    """Chain the moves of a ledger from before the hash chain, and have the database keep what is on record.

    What was changed before the chain can't be seen any more; a note on record says when it begins. Whether
    it is done shows in the columns alone, so that it is done once: moves that have no digest later were not
    written by this version, and no start makes them whole. A trigger that is not there is made whenever the
    ledger is opened, also one that somebody has dropped.
    """
    with engine.connect() as connection:
        if _is_chained(inspect(connection)) and is_append_only(connection):
            return
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            # SQLite's transactions begin immediate ones: a second process waits there by itself.
            connection.execute(text("LOCK TABLE champions IN ACCESS EXCLUSIVE MODE"))
        if not _is_chained(inspect(connection)):
            _add_chain(connection)
        if not is_append_only(connection):
            make_append_only(connection)


def _is_chained(inspector: Inspector) -> bool:
    return {column["name"] for column in inspector.get_columns("champions")}.issuperset(_COLUMNS)


def _add_chain(connection: Connection) -> None:
    for name in _COLUMNS:
        connection.execute(text(f"ALTER TABLE champions ADD COLUMN {name} VARCHAR(64)"))
    plain = [column for column in champions.c if column.name not in _COLUMNS]
    rows = connection.execute(select(*plain).order_by(champions.c.dataset, champions.c.sequence))
    moves = [ChampionMove.model_validate(aware(row)) for row in rows.mappings()]
    for dataset, group in groupby(moves, key=lambda move: move.dataset):
        _chain(connection, dataset, list(group))


def _chain(connection: Connection, dataset: str, moves: Sequence[ChampionMove]) -> None:
    before = GENESIS
    for move in moves:
        linked = link(
            move, previous_digest=before, evidence_seal=evidence_seal(evidence_row(connection, move))
        )
        connection.execute(
            update(champions)
            .where(champions.c.dataset == dataset, champions.c.sequence == move.sequence)
            .values(**linked.model_dump(include=set(_COLUMNS)))
        )
        before = linked.digest
    _note(connection, moves[-1])


def _note(connection: Connection, newest: ChampionMove) -> None:
    note = ChampionNote(
        dataset=newest.dataset,
        partition_key=newest.partition_key,
        about="chain",
        found=None,
        restored=None,
        sequence=newest.sequence,
        actor="upgrade",
        reason=f"Moves 1 to {newest.sequence} were made before the record was a chain, and were chained now: "
        "what was changed in them before shows nowhere.",
        noticed_at=now_utc(),
    )
    connection.execute(
        insert(decisions).values(
            kind=note.kind,
            dataset=note.dataset,
            partition_key=note.partition_key,
            subject=note.subject,
            revision=0,
            digest=note.digest,
            decided_at=note.decided_at,
            payload=note.model_dump_json(),
        )
    )
