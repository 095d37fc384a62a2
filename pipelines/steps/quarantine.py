"""Look into the quarantine: which nights, which rules, which rows; and write rows to a file to edit."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from pipelines.errors import EngineError, NotReadyError
from pipelines.records import Record, ValidationRecord, partition_date
from pipelines.runtime import Runtime
from pipelines.storage.engine import connect
from pipelines.storage.sql import literal
from pipelines.validation.edits import write_rows

TABLE = "quarantine"
#: The view of one night's quarantine, or of several.
VIEW = "holdfast_quarantined"
_BATCH_ROWS = 2_000


class RuleCount(Record):
    """How many rows of a night are in quarantine by one rule; a row may break several."""

    rule: str
    column: str
    severity: str
    n_rows: int


class QuarantinedNight(Record):
    """What is in quarantine of one night, and what people decided about it so far."""

    dataset: str
    partition_key: str
    outcome: str
    n_in: int
    n_published: int
    n_quarantined: int
    quarantined_fraction: float
    n_amended: int
    n_released: int
    rules: tuple[RuleCount, ...]


class QuarantinedRow(Record):
    """One row: where it came from, every rule that it breaks with the value, and its cells.

    A cell that could not be cast is shown as the text that the source has.
    """

    quarantine_id: str
    row_id: str | None
    source_file: str | None
    source_line: int | None
    reasons: tuple[dict[str, Any], ...]
    row: dict[str, Any]


def list_nights(
    dataset: str,
    *,
    runtime: Runtime,
    first: str | None = None,
    last: str | None = None,
    rule: str | None = None,
) -> list[QuarantinedNight]:
    """Return the nights that have rows in quarantine, or amendments; those with a rule, if one is named.

    Raises
    ------
    ConfigError
        If there is no such dataset, or a key is no date.
    """
    runtime.dataset(dataset)
    for key in (first, last):
        if key is not None:
            partition_date(key)
    history = runtime.ledger.history(ValidationRecord, dataset, first=first, last=last)
    records = [record for record in history if record.n_quarantined or record.amendments_digest]
    counts = _rule_counts(dataset, [record.partition_key for record in records], rule, runtime)
    return [
        QuarantinedNight(
            dataset=dataset,
            partition_key=record.partition_key,
            outcome=record.outcome,
            n_in=record.n_in,
            n_published=record.n_published,
            n_quarantined=record.n_quarantined,
            quarantined_fraction=record.n_quarantined / record.n_in if record.n_in else 0.0,
            n_amended=record.n_amended,
            n_released=record.n_released,
            rules=tuple(counts.get(record.partition_key, ())),
        )
        for record in records
        if rule is None or record.partition_key in counts
    ]


def show_rows(
    dataset: str,
    partition_key: str,
    *,
    runtime: Runtime,
    rule: str | None = None,
    ids: Sequence[str] = (),
    limit: int = 20,
) -> list[QuarantinedRow]:
    """Return rows of a night's quarantine, by row key; at most ``limit``.

    Raises
    ------
    NotReadyError
        If the night was not validated yet.
    """
    with quarantined(dataset, partition_key, runtime=runtime) as connection:
        rows = _rows(connection, runtime, dataset, where=chosen(rule, ids), limit=limit)
        return [QuarantinedRow.model_validate(row) for row in rows]


def export_rows(
    dataset: str,
    partition_key: str,
    path: Path,
    *,
    runtime: Runtime,
    rule: str | None = None,
    ids: Sequence[str] = (),
) -> int:
    """Write rows of a night's quarantine to a ``.jsonl`` or ``.csv`` file, to be edited; return how many.

    Raises
    ------
    NotReadyError
        If the night was not validated yet.
    ConfigError
        If the file can't be written.
    """
    with quarantined(dataset, partition_key, runtime=runtime) as connection:
        rows = _rows(connection, runtime, dataset, where=chosen(rule, ids), limit=None)
        return write_rows(path, rows, editable_columns(dataset, runtime))


def editable_columns(dataset: str, runtime: Runtime) -> list[str]:
    """Return the cells of a row that a repair may set, in order."""
    return ["event_time", *runtime.dataset(dataset).columns]


@contextmanager
def quarantined(dataset: str, partition_key: str, *, runtime: Runtime) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open DuckDB with the view :data:`VIEW` of one night's quarantine.

    Raises
    ------
    NotReadyError
        If the night was not validated yet, or before rows had a ``quarantine_id``.
    """
    partition_date(partition_key)
    runtime.dataset(dataset)
    if runtime.ledger.latest(ValidationRecord, dataset, partition_key) is None:
        raise NotReadyError(
            f"{dataset} {partition_key} was not validated yet: "
            f"run `holdfast validate {dataset} {partition_key}` first."
        )
    if "quarantine_id" not in runtime.lake.schema(dataset, TABLE).names:
        raise NotReadyError(
            f"{dataset} {partition_key} was validated by an older Holdfast: "
            f"run `holdfast ingest` and `holdfast validate {dataset} {partition_key}` once more."
        )
    with connect(threads=2) as connection:
        runtime.lake.attach(connection, dataset, TABLE, view=VIEW, partitions=[partition_key])
        try:
            yield connection
        except duckdb.Error as error:
            raise EngineError(
                f"The engine failed on the quarantine of {dataset} {partition_key}: {error}"
            ) from error


def chosen(rule: str | None, ids: Sequence[str]) -> str:
    """Return SQL that chooses rows of the quarantine by a rule that they break and by their keys."""
    conditions = ["true"]
    if rule is not None:
        conditions.append(
            "list_contains(list_transform(json_extract(reasons, '$[*]'), "
            f"lambda reason: {_is_rule('reason', rule)}), true)"
        )
    if ids:
        conditions.append(f"quarantine_id IN ({', '.join(map(literal, ids))})")
    return " AND ".join(conditions)


def _is_rule(reason: str, rule: str) -> str:
    """Return SQL: whether a reason is of a rule, named alone or with its columns: ``cast:x``, ``f(x)``."""
    name, column = f"json_extract_string({reason}, '/rule')", f"json_extract_string({reason}, '/column')"
    return f"({name} = {literal(rule)} OR {name} || '(' || {column} || ')' = {literal(rule)})"


def _rule_counts(
    dataset: str, partitions: Sequence[str], rule: str | None, runtime: Runtime
) -> dict[str, list[RuleCount]]:
    if not partitions or not runtime.lake.exists(dataset, TABLE):
        return {}
    parts = ", ".join(f"json_extract_string(reason, '/{name}')" for name in ("rule", "column", "severity"))
    narrowed = "true" if rule is None else _is_rule("reason", rule)
    counts: dict[str, list[RuleCount]] = {}
    with connect(threads=2) as connection:
        runtime.lake.attach(connection, dataset, TABLE, view=VIEW, partitions=partitions)
        rows = connection.sql(
            f"SELECT partition_key, {parts}, count(*) AS n "  # noqa: S608 (fixed names, quoted values)
            f"FROM (SELECT partition_key, unnest(json_extract(reasons, '$[*]')) AS reason FROM {VIEW}) "
            f"WHERE {narrowed} GROUP BY ALL ORDER BY partition_key, n DESC, 2, 3"
        ).fetchall()
    for key, name, column, severity, n in rows:
        found = RuleCount(rule=name, column=column or "", severity=severity or "", n_rows=n)
        counts.setdefault(str(key), []).append(found)
    return counts


def _rows(
    connection: duckdb.DuckDBPyConnection,
    runtime: Runtime,
    dataset: str,
    *,
    where: str,
    limit: int | None,
) -> Iterator[dict[str, Any]]:
    columns = editable_columns(dataset, runtime)
    names = "quarantine_id, row_id, source_file, source_line, reasons, row"
    bound = "" if limit is None else f" LIMIT {int(limit)}"
    query = f"SELECT {names} FROM {VIEW} WHERE {where} ORDER BY row_id, quarantine_id{bound}"  # noqa: S608
    for batch in connection.sql(query).to_arrow_reader(_BATCH_ROWS):
        for row in batch.to_pylist():
            cells = json.loads(row["row"])
            texts = json.loads(cells.get("miscast") or "{}")
            shown = {name: texts.get(name) if cells.get(name) is None else cells[name] for name in columns}
            if "record" in texts:
                shown["record"] = texts["record"]
            yield {**row, "reasons": json.loads(row["reasons"]), "row": shown}
