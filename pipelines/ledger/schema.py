"""The tables of the ledger."""

from __future__ import annotations

from sqlalchemy import (
    Column,
    DateTime,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from pipelines.records import OPEN_RETRAINING

metadata = MetaData()

decisions = Table(
    "decisions",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("kind", String(40), nullable=False),
    Column("dataset", String(80), nullable=False),
    Column("partition_key", String(10), nullable=False),
    Column("subject", String(80), nullable=False),
    # Counts the versions of one decision; its uniqueness makes two recorders at once agree.
    Column("revision", Integer, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("decided_at", DateTime(timezone=True), nullable=False),
    Column("payload", Text, nullable=False),
    UniqueConstraint("kind", "dataset", "partition_key", "subject", "revision"),
    Index("decisions_by_partition", "dataset", "kind", "partition_key"),
)

champions = Table(
    "champions",
    metadata,
    Column("dataset", String(80), nullable=False),
    # The compare-and-set: two moves from one sequence number can't both insert the next.
    Column("sequence", Integer, nullable=False),
    Column("model_version", String(40), nullable=False),
    Column("previous_version", String(40)),
    Column("action", String(20), nullable=False),
    Column("actor", String(200), nullable=False),
    Column("reason", Text, nullable=False),
    Column("evidence_digest", String(64), nullable=False),
    Column("partition_key", String(10), nullable=False),
    Column("moved_at", DateTime(timezone=True), nullable=False),
    PrimaryKeyConstraint("dataset", "sequence"),
)

_OPEN = ", ".join(f"'{status}'" for status in sorted(OPEN_RETRAINING))

retrainings = Table(
    "retrainings",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("dataset", String(80), nullable=False),
    Column("partition_key", String(10), nullable=False),
    Column("status", String(20), nullable=False),
    Column("reason", Text, nullable=False),
    Column("model_version", String(40)),
    Column("requested_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    UniqueConstraint("dataset", "partition_key"),
    # Single flight: the database itself refuses a second open retraining of a dataset.
    Index(
        "one_open_retraining",
        "dataset",
        unique=True,
        sqlite_where=text(f"status IN ({_OPEN})"),
        postgresql_where=text(f"status IN ({_OPEN})"),
    ),
)
