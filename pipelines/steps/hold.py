"""Hold a night whose data shows a fault: all its rows go to quarantine for a person, none to training.

A unit that changed, a flood of nulls, a level that was renamed, a sensor that is stuck: the rules about
rows may let such data pass. Held, the night has nothing published, whatever the suite says of it, until
a person releases or repairs its rows, or the source lands others in their place.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import duckdb

from pipelines.config import DatasetConfig
from pipelines.config.explanations import nearest
from pipelines.errors import ConfigError
from pipelines.records import AmendmentRecord, IngestionRecord, Record, partition_date
from pipelines.runtime import Runtime
from pipelines.steps.amending import Request, fetch_before, keep, revalidate, write
from pipelines.steps.quarantine import VIEW, quarantined
from pipelines.validation import changes
from pipelines.validation.holds import SUSPECTS, make_suspects
from pipelines.validation.raw import attach_raw, row_types

_ACTOR = "holdfast"


class HoldRecord(Record):
    """Nights that were held, or are held no longer: of each, what came of it, as the ledger keeps it.

    Of a night, ``n_rows`` counts the rows that the hold names. Rows that are in quarantine by a rule of
    the suite are not among them; where there are no others, nothing was done, and nothing is on record.
    """

    dataset: str
    columns: tuple[str, ...]
    nights: tuple[AmendmentRecord, ...]

    @property
    def n_rows(self) -> int:
        """Rows that the holds name, of all nights."""
        return sum(night.n_rows for night in self.nights)


def hold(
    dataset: str,
    nights: Iterable[str],
    *,
    columns: Sequence[str],
    reason: str,
    runtime: Runtime,
    actor: str = _ACTOR,
) -> HoldRecord:
    """Put all rows of some nights into quarantine, by the rule ``held``; have nothing of them published.

    Rows that are in quarantine by a rule of the suite stay there for that alone. What was published is
    withdrawn from the lake, so that no training, no features of later nights and no window sees it.
    Predictions that were made of them stay, and are told as stale. Rows that people repaired or released
    before are so again once the hold is lifted.

    Parameters
    ----------
    nights : iterable of str
        Partition keys, each validated before.
    columns : sequence of str
        Whose values show the fault; a repeat with others adds them. At least one.
    reason : str
        What is wrong; goes on record, and to each row.
    actor : str
        Who decides.

    Returns
    -------
    HoldRecord
        A repeat changes nothing, and gives the same. Rows that were released from a hold are held again:
        who calls this by a rule should look into the night's history before.

    Raises
    ------
    ConfigError
        If a column is none of the dataset, there is no reason, or a key is no date; nothing was written.
    NotReadyError
        If a night was not validated yet; those before it are held.
    ConflictError, EngineError
        As :func:`~pipelines.steps.validate.validate`.
    """
    config = runtime.dataset(dataset)
    _require_columns(columns, config)
    requests = _requests(dataset, nights, reason, actor)
    found = tuple(_hold(request, columns, config, runtime) for request in requests)
    return HoldRecord(dataset=dataset, columns=tuple(columns), nights=found)


def lift(
    dataset: str, nights: Iterable[str], *, reason: str, runtime: Runtime, actor: str = _ACTOR
) -> HoldRecord:
    """Take the holds of some nights back: they are what the suite, and people before, made of them.

    Returns
    -------
    HoldRecord
        ``n_rows`` of a night counts the rows that a hold named; a repeat changes nothing.

    Raises
    ------
    ConfigError, NotReadyError, ConflictError, EngineError
        As :func:`hold`.
    """
    runtime.dataset(dataset)
    requests = _requests(dataset, nights, reason, actor)
    found = tuple(_lift(request, runtime) for request in requests)
    return HoldRecord(dataset=dataset, columns=(), nights=found)


def _requests(dataset: str, nights: Iterable[str], reason: str, actor: str) -> list[Request]:
    found = [Request(dataset, night, actor, reason) for night in dict.fromkeys(nights)]
    for request in found:
        partition_date(request.partition_key)
    return found


def _hold(
    request: Request, columns: Sequence[str], config: DatasetConfig, runtime: Runtime
) -> AmendmentRecord:
    with quarantined(request.dataset, request.partition_key, runtime=runtime) as connection:
        _attach_rows(connection, request, config, runtime)
        fetch_before(connection, request, runtime)
        by_rule = f"SELECT quarantine_id FROM {VIEW} WHERE NOT {changes.is_held_only('reasons')}"  # noqa: S608
        wanted = f"SELECT quarantine_id FROM {SUSPECTS} ANTI JOIN ({by_rule}) USING (quarantine_id)"  # noqa: S608
        changes.request(connection, wanted)
        by = request.signature()
        write(request, runtime, lambda before: changes.held(connection, SUSPECTS, before, columns, by))
        return keep(revalidate(request, "hold", connection, runtime), runtime)


def _lift(request: Request, runtime: Runtime) -> AmendmentRecord:
    with quarantined(request.dataset, request.partition_key, runtime=runtime) as connection:
        fetch_before(connection, request, runtime)
        held = f"SELECT quarantine_id FROM {changes.BEFORE} WHERE held IS NOT NULL OR action = 'hold'"  # noqa: S608
        changes.request(connection, held)
        by = request.signature()
        write(request, runtime, lambda before: changes.lifted(connection, before, by))
        return keep(revalidate(request, "lift", connection, runtime), runtime)


def _attach_rows(
    connection: duckdb.DuckDBPyConnection, request: Request, config: DatasetConfig, runtime: Runtime
) -> None:
    """Make the table of all rows of the night, as its newest ingestion landed them."""
    newest = runtime.ledger.latest(IngestionRecord, request.dataset, request.partition_key)
    assert newest is not None  # noqa: S101 - it was validated
    conflicts = attach_raw(
        connection,
        runtime.lake,
        request.dataset,
        {request.partition_key: newest},
        config.columns,
        version=runtime.lake.version(request.dataset, "raw"),
    )
    for conflict in conflicts.values():
        raise conflict
    make_suspects(connection, row_types(config.columns))


def _require_columns(columns: Sequence[str], config: DatasetConfig) -> None:
    if not columns:
        raise ConfigError("Say at least one --column: whose values show what is wrong.")
    known = ["event_time", *config.columns]
    if unknown := [name for name in columns if name not in known]:
        raise ConfigError(f"There is no column {unknown[0]!r}.{nearest(unknown[0], known)}")
