"""Keep the predictions that others take the place of, marked by whom and why."""

from __future__ import annotations

from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.records import SupersessionRecord, now_utc
from pipelines.runtime import Runtime
from pipelines.storage.digest import plain_table, table_digest
from pipelines.storage.lake import PARTITION_COLUMN

#: The lake's table of them. No step reads it as predictions.
SUPERSEDED = "superseded_predictions"
_MARKS = pa.schema(
    {
        "predictions_digest": pa.string(),
        "superseded_by": pa.string(),
        "superseded_at": pa.timestamp("us", tz="UTC"),
        "superseded_actor": pa.string(),
        "superseded_reason": pa.string(),
        "champion_sequence": pa.int64(),
    }
)


class Why(NamedTuple):
    """Who has predictions made anew, and why."""

    actor: str
    reason: str


def keep_superseded(
    dataset: str, partition_key: str, successors: pa.Table, *, runtime: Runtime, why: Why | None = None
) -> SupersessionRecord | None:
    """Keep the predictions in force of a partition, if others are about to take their place.

    Called before the others are written: a process killed in between leaves the old ones in force and kept,
    and a repeat keeps them once. The lake's table ``superseded_predictions`` holds the rows, batch by batch
    (``predictions_digest``), the ledger one record a batch.

    Parameters
    ----------
    successors : pyarrow.Table
        All the predictions that are about to be written, by one ``model_version``.
    why : Why, optional
        Who asked for them, and why. By default what the record says: the champion's move, where its version
        takes over from another.

    Returns
    -------
    SupersessionRecord or None
        None where nothing is superseded: there were no predictions, or these very ones.
    """
    present = _present(dataset, partition_key, successors, runtime)
    if present is None or not successors.num_rows:
        return None
    before, after = (str(pc.max(rows["model_version"]).as_py()) for rows in (present, successors))
    digest = table_digest(present)
    if before == after and digest == table_digest(successors):
        return None
    champion = runtime.ledger.champions.present(dataset)
    asked = why or _on_record(dataset, before, after, runtime)
    record = SupersessionRecord(
        dataset=dataset,
        partition_key=partition_key,
        model_version=before,
        superseded_by=after,
        sequence=0 if champion is None else champion.sequence,
        actor=asked.actor,
        reason=asked.reason,
        predictions_digest=digest,
        n_rows=present.num_rows,
    )
    _keep(record, present, runtime)
    runtime.ledger.record(record)
    return record


def _present(dataset: str, partition_key: str, successors: pa.Table, runtime: Runtime) -> pa.Table | None:
    """Return the predictions in force, without columns that only other partitions use; None without any."""
    if not runtime.lake.exists(dataset, "predictions"):
        return None
    found = runtime.lake.read(dataset, "predictions", partitions=[partition_key])
    if not found.num_rows:
        return None
    used = [
        name
        for name in found.column_names
        if name != PARTITION_COLUMN
        and (name in successors.column_names or found[name].null_count < found.num_rows)
    ]
    return found.select(used)


def _on_record(dataset: str, before: str, after: str, runtime: Runtime) -> Why:
    champion = runtime.ledger.champions.present(dataset)
    if before == after:
        return Why("score", f"v{after} scored the partition again: its rows or features had changed")
    if champion is None or champion.model_version != after:
        return Why("score", f"the partition was scored with v{after}, as was asked")
    done = "promoted" if champion.action == "promote" else "brought back"
    return Why(champion.actor, f"v{after} was {done}: {champion.reason or 'no reason was given'}")


def _keep(record: SupersessionRecord, rows: pa.Table, runtime: Runtime) -> None:
    marks = {
        "predictions_digest": record.predictions_digest,
        "superseded_by": record.superseded_by,
        "superseded_at": now_utc(),
        "superseded_actor": record.actor,
        "superseded_reason": record.reason,
        "champion_sequence": record.sequence,
    }
    batch = plain_table(rows)
    for field in _MARKS:
        batch = batch.append_column(field, pa.repeat(pa.scalar(marks[field.name], field.type), len(batch)))
    schema = batch.schema
    if runtime.lake.exists(record.dataset, SUPERSEDED):
        schema = pa.unify_schemas([runtime.lake.schema(record.dataset, SUPERSEDED), schema])

    def with_batch(kept: pa.Table) -> pa.Table:
        if _holds(kept, record):
            return kept
        missing = [field for field in schema if field.name not in batch.column_names]
        whole = batch
        for field in missing:
            whole = whole.append_column(field, pa.nulls(len(batch), field.type))
        return pa.concat_tables([kept, whole.select(schema.names)])

    runtime.lake.update(record.dataset, SUPERSEDED, record.partition_key, with_batch, schema=schema)


def _holds(kept: pa.Table, record: SupersessionRecord) -> bool:
    same = pc.and_(
        pc.equal(kept["predictions_digest"], record.predictions_digest),
        pc.and_(
            pc.equal(kept["superseded_by"], record.superseded_by),
            pc.equal(kept["champion_sequence"], record.sequence),
        ),
    )
    return bool(pc.any(same).as_py())
