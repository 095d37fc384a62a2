"""What every amendment does around its own change: read what is in force, write, validate, record.

An amendment is on the table before the night is validated: a kill in between leaves a request that a
repeat completes. Of two people at once both are heard; each validates until the night's newest
verdict is of the amendments that are in force.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from pipelines.errors import ConfigError, ConflictError
from pipelines.records import AmendmentRecord, ValidationRecord, now_utc
from pipelines.runtime import Runtime
from pipelines.steps.dependents import dependents
from pipelines.steps.quarantine import TABLE
from pipelines.steps.validate import validate_range
from pipelines.validation import changes
from pipelines.validation.amendments import AMENDMENTS_SCHEMA, attach_amendments, digest_in_force
from pipelines.validation.amendments import TABLE as AMENDMENTS

_MAX_ATTEMPTS = 5


@dataclass(frozen=True)
class Request:
    """Who asks, for which night, and why.

    Parameters
    ----------
    actor, reason : str
        Go on record; neither may be empty.
    """

    dataset: str
    partition_key: str
    actor: str
    reason: str

    def __post_init__(self) -> None:
        for name in ("actor", "reason"):
            if not getattr(self, name).strip():
                raise ConfigError(f"Say a --{name}: who changes data by hand, and why, goes on record.")

    @property
    def where(self) -> str:
        """The night as a command names it."""
        return f"{self.dataset} {self.partition_key}"

    def signature(self) -> dict[str, str]:
        """Return what goes beside each row: ``actor``, ``reason``, and now as ``amended_at``."""
        return {"actor": self.actor, "reason": self.reason, "amended_at": now_utc().isoformat()}


def fetch_before(connection: duckdb.DuckDBPyConnection, request: Request, runtime: Runtime) -> None:
    """Make the table of the night's amendments before the request."""
    view = f"{changes.BEFORE}_view"
    attach_amendments(connection, runtime.lake, request.dataset, [request.partition_key], view=view)
    names = ", ".join(AMENDMENTS_SCHEMA.names)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {changes.BEFORE} AS SELECT {names} FROM {view}")  # noqa: S608


def write(request: Request, runtime: Runtime, change: Callable[[pa.Table], pa.Table]) -> None:
    """Replace the night's amendments by what ``change`` makes of them."""
    runtime.lake.update(request.dataset, AMENDMENTS, request.partition_key, change, schema=AMENDMENTS_SCHEMA)


def revalidate(
    request: Request, action: str, connection: duckdb.DuckDBPyConnection, runtime: Runtime
) -> AmendmentRecord:
    """Validate the night anew; return what came of the requested rows.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        With the table :data:`~pipelines.validation.changes.REQUESTED`.
    """
    verdict = _validated(request, runtime)
    # As it is now: the requested rows that are still there stay.
    view = "holdfast_quarantined_now"
    runtime.lake.attach(connection, request.dataset, TABLE, view=view, partitions=[request.partition_key])
    n_rows = changes.n_requested(connection)
    staying = f"{view} SEMI JOIN {changes.REQUESTED} USING (quarantine_id)"
    ((n_staying,),) = connection.sql(f"SELECT count(*) FROM {staying}").fetchall()  # noqa: S608
    broken = connection.sql(
        "SELECT json_extract_string(reason, '/rule') AS rule, json_extract_string(reason, '/column') AS col, "  # noqa: S608
        f"count(*) AS n FROM (SELECT unnest(json_extract(reasons, '$[*]')) AS reason FROM {staying}) "
        "GROUP BY ALL ORDER BY n DESC, rule, col LIMIT 10"
    ).fetchall()
    is_published = verdict.outcome != "refused"
    return AmendmentRecord.model_validate(
        {
            "dataset": request.dataset,
            "partition_key": request.partition_key,
            "action": action,
            "actor": request.actor,
            "reason": request.reason,
            "n_rows": n_rows,
            "n_rejoined": n_rows - n_staying if is_published and action != "undo" else 0,
            "n_staying": n_staying,
            "rows_digest": changes.requested_digest(connection),
            "amendments_digest": verdict.amendments_digest,
            "outcome": verdict.outcome,
            "validated_digest": verdict.validated_digest,
            "n_published": verdict.n_published,
            "n_quarantined": verdict.n_quarantined,
            "still_broken": tuple(f"{rule}({column}): {n}" for rule, column, n in broken),
            "dependents": dependents(verdict, runtime),
        }
    )


def _validated(request: Request, runtime: Runtime) -> ValidationRecord:
    """Validate until the verdict is of the amendments that are in force: others may amend meanwhile."""
    dataset, night = request.dataset, request.partition_key
    for _ in range(_MAX_ATTEMPTS):
        (verdict,) = validate_range(dataset, night, night, runtime=runtime, has_all_docs=True)
        if verdict.amendments_digest == digest_in_force(runtime.lake, dataset, night):
            return verdict
    raise ConflictError(
        f"{request.where}: others kept amending; your amendment is in force. "
        f"Run `holdfast validate {request.where}` when they are done."
    )


def keep(record: AmendmentRecord, runtime: Runtime) -> AmendmentRecord:
    """Put what was done on record; a request that named no row at all leaves no trace."""
    if record.n_rows:
        runtime.ledger.record(record)
    return record
