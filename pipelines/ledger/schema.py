"""The tables of the ledger."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
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
    # The hash chain; null in a row that an older program wrote after the ledger was upgraded.
    Column("evidence_seal", String(64)),
    Column("previous_digest", String(64)),
    Column("digest", String(64)),
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

# An episode, the triggers that were decided on, the breaker and the messages are tables of their own:
# `create_all` adds them to a ledger from before they were kept, and no older table changes.
episodes = Table(
    "episodes",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("dataset", String(80), nullable=False),
    Column("status", String(20), nullable=False),
    Column("action", String(20), nullable=False),
    Column("severity", String(20), nullable=False),
    # A JSON list of words.
    Column("kinds", Text, nullable=False),
    Column("cause", Text, nullable=False),
    Column("consequence", Text, nullable=False),
    Column("next_step", Text, nullable=False),
    Column("model_version", String(40), nullable=False),
    Column("first_alarm", String(10), nullable=False),
    Column("opened_for", String(10), nullable=False),
    Column("last_alarm", String(10), nullable=False),
    Column("closed_for", String(10)),
    Column("closing_reason", Text),
    Column("opened_at", DateTime(timezone=True), nullable=False),
    Column("closed_at", DateTime(timezone=True)),
    # A night opens one incident, however often and by however many it is followed.
    UniqueConstraint("dataset", "opened_for"),
    Index(
        "one_open_episode",
        "dataset",
        unique=True,
        sqlite_where=text("status = 'open'"),
        postgresql_where=text("status = 'open'"),
    ),
)

triggers = Table(
    "triggers",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("dataset", String(80), nullable=False),
    Column("partition_key", String(10), nullable=False),
    Column("episode_id", Integer),
    Column("verdict", String(20), nullable=False),
    Column("reason", Text, nullable=False),
    # Of the verdict and its reason: a trigger that comes twice is kept once.
    Column("digest", String(64), nullable=False),
    # Of a `go` alone: which retraining of its episode this is (1, 2), and the night that it is as of.
    Column("attempt", Integer),
    Column("retraining_key", String(10)),
    Column("decided_at", DateTime(timezone=True), nullable=False),
    UniqueConstraint("dataset", "partition_key", "digest"),
    # Two deciders that both counted n retrainings of an episode can't both ask for the next one.
    UniqueConstraint("episode_id", "attempt"),
)

breakers = Table(
    "breakers",
    metadata,
    Column("dataset", String(80), nullable=False),
    # As for champions: the newest row is the state, the others are its history.
    Column("sequence", Integer, nullable=False),
    Column("is_open", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("actor", String(200), nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False),
    PrimaryKeyConstraint("dataset", "sequence"),
)

messages = Table(
    "messages",
    metadata,
    Column("key", String(300), primary_key=True),
    Column("dataset", String(80), nullable=False),
    Column("partition_key", String(10), nullable=False),
    Column("severity", String(20), nullable=False),
    Column("title", Text, nullable=False),
    Column("cause", Text, nullable=False),
    Column("consequence", Text, nullable=False),
    Column("next_step", Text, nullable=False),
    Column("link", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("sent_at", DateTime(timezone=True)),
    # Since when one sender has it to itself; no part of the record.
    Column("claimed_at", DateTime(timezone=True)),
    Column("n_attempts", Integer, nullable=False, default=0),
    Column("last_error", Text),
    # A JSON list of channels.
    Column("delivered_to", Text, nullable=False, default="[]"),
    Index("messages_by_dataset", "dataset", "sent_at"),
)
